// uses: grid
// With h = x inv and g = dy * gain: dx = inv (g - h mean(g h)); d_gain = sum over rows of dy h, in partial sums of 32 rows.
struct Dims { N: u32, C: u32, S: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read> inv: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
override ADD: bool = false;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn input(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups);
  if (n >= dims.N) { return; }
  let scale = inv[n];
  var sum = 0.0;
  for (var c = lane; c < dims.C; c += 64u) {
    let i = n * dims.C + c;
    sum += dy[i] * gain[c] * x[i] * scale;
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  let mean = sums[0] / f32(dims.C);
  for (var c = lane; c < dims.C; c += 64u) {
    let i = n * dims.C + c;
    var value = scale * (dy[i] * gain[c] - x[i] * scale * mean);
    if (ADD) { value += out[i]; }
    out[i] = value;
  }
}

@compute @workgroup_size(64)
fn gain_partial(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let s = id.y;
  if (c >= dims.C) { return; }
  let end = min((s + 1u) * 32u, dims.N);
  var sum = 0.0;
  for (var n = s * 32u; n < end; n++) { sum += dy[n * dims.C + c] * x[n * dims.C + c] * inv[n]; }
  out[s * dims.C + c] = sum;
}
