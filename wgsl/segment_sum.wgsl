// Sums over the segments of packed rows. x, w and segments [N]; out[s] = sum of x[n] w[n] over n with segments[n] = s, in
// a fixed order: one workgroup a segment, 64 strided sums, then a tree. Every workgroup looks at all N numbers: N times S is
// small beside one layer of the model.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var n = lane; n < dims.N; n += 64u) { if (segments[n] == group.x) { sum += x[n] * w[n]; } }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { out[group.x] = sums[0]; }
}
