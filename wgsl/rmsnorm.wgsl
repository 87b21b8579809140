// uses: grid
// y = x * inv * gain, inv = 1 / sqrt(mean(x^2) + eps) (Zhang & Sennrich 2019). One workgroup a row.
struct Dims { N: u32, C: u32, eps: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> inv: array<f32>; // [N], kept for the backward pass
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups);
  if (n >= dims.N) { return; }
  var sum = 0.0;
  for (var c = lane; c < dims.C; c += 64u) {
    let value = x[n * dims.C + c];
    sum += value * value;
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  let scale = 1.0 / sqrt(sums[0] / f32(dims.C) + dims.eps);
  if (lane == 0u) { inv[n] = scale; }
  for (var c = lane; c < dims.C; c += 64u) { y[n * dims.C + c] = x[n * dims.C + c] * scale * gain[c]; }
}
