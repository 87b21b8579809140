// The gradients of gain and bias: d (+)= the parts of all workgroups, in a fixed order. COLUMNS columns a workgroup; each of its
// SEGMENTS takes every SEGMENTS-th part, and the first adds up what the others found.
struct Dims { S: u32, C: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> parts: array<f32>; // [S, 2, C] with CENTER, else [S, C]
@group(0) @binding(2) var<storage, read_write> d_gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_bias: array<f32>;
override CENTER: bool = false;
override ADD_GAIN: bool = false;
override ADD_BIAS: bool = false;
const COLUMNS = 16u;
const SEGMENTS = 4u;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(16, 4)
fn finish(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let wide = select(dims.C, 2u * dims.C, CENTER);
  let at = group.x * COLUMNS + local.x;
  var sum = 0.0;
  if (at < wide) {
    for (var s = local.y; s < dims.S; s += SEGMENTS) { sum += parts[s * wide + at]; }
  }
  sums[local.y * COLUMNS + local.x] = sum;
  workgroupBarrier();
  if (local.y > 0u || at >= wide) { return; }
  for (var s = 1u; s < SEGMENTS; s++) { sum += sums[s * COLUMNS + local.x]; }
  if (at < dims.C) {
    if (ADD_GAIN) { sum += d_gain[at]; }
    d_gain[at] = sum;
  } else {
    let c = at - dims.C;
    if (ADD_BIAS) { sum += d_bias[c]; }
    d_bias[c] = sum;
  }
}
