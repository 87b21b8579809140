// uses: grid
// Joins the splits of attention_decode in their order: partial sums [N*H,splits,D+4] with (highest, total) last -> y [N*H,D].
struct Dims { rows: u32, splits: u32, D4: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.rows * dims.D4) { return; }
  let width = dims.D4 + 1u;
  let first = (i / dims.D4) * dims.splits * width;
  var highest = -1e30;
  for (var s = 0u; s < dims.splits; s++) { highest = max(highest, partials[first + s * width + dims.D4].x); }
  var sum = vec4f();
  var total = 0.0;
  for (var s = 0u; s < dims.splits; s++) {
    let end = partials[first + s * width + dims.D4];
    if (end.y == 0.0) { continue; } // a split behind the last key
    let shrink = exp(end.x - highest);
    sum += shrink * partials[first + s * width + i % dims.D4];
    total += shrink * end.y;
  }
  y[i] = sum / total;
}
