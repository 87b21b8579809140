// header: const HEAD_SIZE = 32u;
// The gradient of attention towards the queries (Dao et al. 2022, algorithm 4) without atomics: each query walks
// its keys and recomputes their probabilities from lse. Writes the query heads of d_qkv, and for the other half of the
// gradient lse_delta [B,H,T] = (lse, sum over D of dy * y).
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse_delta: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let h = id.y % dims.H;
  let b = id.y / dims.H;
  if (t >= dims.T) { return; }
  let g = h / (dims.H / dims.G);
  let stride = (dims.H + 2u * dims.G) * D4;
  let row = (b * dims.T + t) * stride + h * D4;
  let from_y = ((b * dims.T + t) * dims.H + h) * D4;
  var query: array<vec4f, D4>;
  var up: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  var delta = 0.0;
  for (var d = 0u; d < D4; d++) {
    query[d] = qkv[row + d] * dims.scale;
    up[d] = dy[from_y + d];
    delta += dot(up[d], y[from_y + d]);
  }
  let at = (b * dims.H + h) * dims.T + t;
  let known = lse[at];
  let end = select(dims.T, t + 1u, CAUSAL);
  for (var j = max(t + 1u, dims.window) - dims.window; j < end; j++) {
    if (SEGMENTED) { if (segments[b * dims.T + j] != segments[b * dims.T + t]) { continue; } }
    let key = (b * dims.T + j) * stride + (dims.H + g) * D4;
    let value = key + dims.G * D4;
    var score = 0.0;
    var dp = 0.0;
    for (var d = 0u; d < D4; d++) { score += dot(query[d], qkv[key + d]); dp += dot(up[d], qkv[value + d]); }
    let ds = exp(score - known) * (dp - delta) * dims.scale;
    for (var d = 0u; d < D4; d++) { sum[d] += ds * qkv[key + d]; }
  }
  for (var d = 0u; d < D4; d++) {
    if (ADD) { sum[d] += d_qkv[row + d]; }
    d_qkv[row + d] = sum[d];
  }
  lse_delta[at] = vec2f(known, delta);
}
