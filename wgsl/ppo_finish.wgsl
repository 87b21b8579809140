// Adds up the parts[S,M] that workgroups left, column by column and in a fixed order: column 0 is the loss, the others are
// metrics. One workgroup: S is one for every 1024 tokens.
struct Dims { S: u32, M: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn finish(@builtin(local_invocation_index) lane: u32) {
  for (var m = 0u; m < dims.M; m++) {
    var sum = 0.0;
    for (var s = lane; s < dims.S; s += 64u) { sum += parts[s * dims.M + m]; }
    sums[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { sums[lane] += sums[lane + half]; }
    }
    if (lane == 0u) {
      if (m == 0u) { loss[0] = sums[0]; } else { metrics[m - 1u] = sums[0]; }
    }
    workgroupBarrier(); // sums[0] is read before the next column overwrites it
  }
}
