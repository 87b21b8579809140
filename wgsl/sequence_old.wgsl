// What stands in for old log-probabilities so that the ratio of every token is that of its sequence (GSPO-token, Zheng et al. 2025,
// eq. 14): out = lp - mean over the row's tokens of (lp - old). A workgroup a row of [B,T]; tokens are where means is not 0.
struct Dims { T: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> means: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
var<workgroup> sums: array<vec2f, 64>; // log-ratios, tokens

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * dims.T;
  var sum = vec2f(0.0);
  for (var t = lane; t < dims.T; t += 64u) {
    if (means[first + t] != 0.0) { sum += vec2f(lp[first + t] - old[first + t], 1.0); }
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  let mean = sums[0].x / max(sums[0].y, 1.0);
  for (var t = lane; t < dims.T; t += 64u) {
    out[first + t] = select(0.0, lp[first + t] - mean, means[first + t] != 0.0);
  }
}
