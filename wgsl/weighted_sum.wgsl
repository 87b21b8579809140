// out[b] = sum over t of x[b,t] w[b % R, t], in a fixed order: one workgroup a row, 64 strided sums, then a tree.
struct Dims { B: u32, T: u32, R: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let b = group.x;
  var sum = 0.0;
  for (var t = lane; t < dims.T; t += 64u) { sum += x[b * dims.T + t] * w[(b % dims.R) * dims.T + t]; }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { out[b] = sums[0]; }
}
