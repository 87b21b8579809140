// Column sums of x[N,C] in a fixed order: partial[s,c] over `ROWS` rows each, then out[c] (+)= the partials in order.
struct Dims { N: u32, C: u32, S: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
override ADD: bool = false;
const ROWS = 32u;

@compute @workgroup_size(64)
fn partial_sums(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let s = id.y;
  if (c >= dims.C) { return; }
  let end = min((s + 1u) * ROWS, dims.N);
  var sum = 0.0;
  for (var n = s * ROWS; n < end; n++) { sum += x[n * dims.C + c]; }
  out[s * dims.C + c] = sum;
}

@compute @workgroup_size(64)
fn total(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= dims.C) { return; }
  var sum = 0.0;
  for (var s = 0u; s < dims.S; s++) { sum += x[s * dims.C + c]; }
  if (ADD) { sum += out[c]; }
  out[c] = sum;
}
