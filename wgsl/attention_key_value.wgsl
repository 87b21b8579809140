// header: const HEAD_SIZE = 32u;
// The gradient of attention towards keys and values (Dao et al. 2022, algorithm 4) without atomics: each key
// walks the queries that see it, over all query heads of its group, and recomputes its probabilities from lse. Writes
// the key and value heads of d_qkv.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(5) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let g = id.y % dims.G;
  let b = id.y / dims.G;
  if (j >= dims.T) { return; }
  let stride = (dims.H + 2u * dims.G) * D4;
  let at = (b * dims.T + j) * stride + (dims.H + g) * D4;
  let beyond = dims.G * D4; // from a key to its value
  var key: array<vec4f, D4>;
  var value: array<vec4f, D4>;
  var key_sum: array<vec4f, D4>;
  var value_sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { key[d] = qkv[at + d] * dims.scale; value[d] = qkv[at + beyond + d]; }
  let share = dims.H / dims.G;
  let end = min(dims.T, j + dims.window);
  for (var h = g * share; h < (g + 1u) * share; h++) {
    for (var t = select(0u, j, CAUSAL); t < end; t++) {
      if (SEGMENTED) { if (segments[b * dims.T + j] != segments[b * dims.T + t]) { continue; } }
      let row = (b * dims.T + t) * stride + h * D4;
      let from_y = ((b * dims.T + t) * dims.H + h) * D4;
      let known = lse_delta[(b * dims.H + h) * dims.T + t];
      var score = 0.0;
      var dp = 0.0;
      for (var d = 0u; d < D4; d++) {
        score += dot(key[d], qkv[row + d]);
        dp += dot(value[d], dy[from_y + d]);
      }
      let p = exp(score - known.x);
      let ds = p * (dp - known.y) * dims.scale;
      for (var d = 0u; d < D4; d++) { key_sum[d] += ds * qkv[row + d]; value_sum[d] += p * dy[from_y + d]; }
    }
  }
  for (var d = 0u; d < D4; d++) {
    if (ADD) { key_sum[d] += d_qkv[at + d]; value_sum[d] += d_qkv[at + beyond + d]; }
    d_qkv[at + d] = key_sum[d];
    d_qkv[at + beyond + d] = value_sum[d];
  }
}
