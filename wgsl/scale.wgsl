// uses: elem1, grid
// y = factor x, or y += factor x. N counts Elems.
struct Dims { N: u32, factor: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read_write> y: array<Elem>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  var scaled = dims.factor * x[i];
  if (ADD) { scaled += y[i]; }
  y[i] = scaled;
}
