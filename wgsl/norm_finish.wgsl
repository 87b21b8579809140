// The gradients of gain and bias: d += the parts of all workgroups, in order. One invocation a column of parts.
struct Dims { S: u32, C: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> parts: array<f32>; // [S, 2, C] with CENTER, else [S, C]
@group(0) @binding(2) var<storage, read_write> d_gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_bias: array<f32>;
override CENTER: bool = false;
override ADD_GAIN: bool = false;
override ADD_BIAS: bool = false;

@compute @workgroup_size(64)
fn finish(@builtin(global_invocation_id) id: vec3u) {
  let wide = select(dims.C, 2u * dims.C, CENTER);
  if (id.x >= wide) { return; }
  var sum = 0.0;
  for (var s = 0u; s < dims.S; s++) { sum += parts[s * wide + id.x]; }
  if (id.x < dims.C) {
    if (ADD_GAIN) { sum += d_gain[id.x]; }
    d_gain[id.x] = sum;
  } else {
    let c = id.x - dims.C;
    if (ADD_BIAS) { sum += d_bias[c]; }
    d_bias[c] = sum;
  }
}
