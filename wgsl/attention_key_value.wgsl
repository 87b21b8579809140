// header: const HEAD_SIZE = 32u;
// The gradient of causal attention towards keys and values (Dao et al. 2022, algorithm 4) without atomics: each key walks
// the queries that see it, over all query heads of its group, and recomputes its probabilities from lse.
struct Dims { B: u32, T: u32, H: u32, G: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>;
override ADD_KEY: bool = false;
override ADD_VALUE: bool = false;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let g = id.y % dims.G;
  let b = id.y / dims.G;
  if (j >= dims.T) { return; }
  let at = ((b * dims.T + j) * dims.G + g) * D4;
  var key: array<vec4f, D4>;
  var value: array<vec4f, D4>;
  var key_sum: array<vec4f, D4>;
  var value_sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { key[d] = k[at + d] * dims.scale; value[d] = v[at + d]; }
  let share = dims.H / dims.G;
  for (var h = g * share; h < (g + 1u) * share; h++) {
    for (var t = j; t < dims.T; t++) {
      let row = ((b * dims.T + t) * dims.H + h) * D4;
      let known = lse_delta[(b * dims.H + h) * dims.T + t];
      var score = 0.0;
      var dp = 0.0;
      for (var d = 0u; d < D4; d++) { score += dot(key[d], q[row + d]); dp += dot(value[d], dy[row + d]); }
      let p = exp(score - known.x);
      let ds = p * (dp - known.y) * dims.scale;
      for (var d = 0u; d < D4; d++) { key_sum[d] += ds * q[row + d]; value_sum[d] += p * dy[row + d]; }
    }
  }
  for (var d = 0u; d < D4; d++) {
    if (ADD_KEY) { key_sum[d] += dk[at + d]; }
    if (ADD_VALUE) { value_sum[d] += dv[at + d]; }
    dk[at + d] = key_sum[d];
    dv[at + d] = value_sum[d];
  }
}
