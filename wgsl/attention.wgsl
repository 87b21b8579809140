// header: const HEAD_SIZE = 32u;
// Attention, causal or within whole rows, with online softmax (Milakov & Gimelshein 2018; Dao et al. 2022) and grouped key/value heads (GQA).
// qkv [B,T,H+2G,D]: query heads, key heads, value heads; y [B,T,H,D]; lse [B,H,T]. One invocation a query row; no T x T
// matrix anywhere.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>; // [B,T]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window

@compute @workgroup_size(32)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let h = id.y % dims.H;
  let b = id.y / dims.H;
  if (t >= dims.T) { return; }
  let g = h / (dims.H / dims.G);
  let stride = (dims.H + 2u * dims.G) * D4;
  let row = (b * dims.T + t) * stride + h * D4;
  var query: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { query[d] = qkv[row + d] * dims.scale; }
  // -1e30 and not -infinity: WGSL may assume that no infinities occur.
  var highest = -1e30;
  var total = 0.0;
  let end = select(dims.T, t + 1u, CAUSAL);
  for (var j = max(t + 1u, dims.window) - dims.window; j < end; j++) {
    if (SEGMENTED) { if (segments[b * dims.T + j] != segments[b * dims.T + t]) { continue; } }
    let key = (b * dims.T + j) * stride + (dims.H + g) * D4;
    let value = key + dims.G * D4;
    var score = 0.0;
    for (var d = 0u; d < D4; d++) { score += dot(query[d], qkv[key + d]); }
    let raised = max(highest, score);
    let shrink = exp(highest - raised);
    let weight = exp(score - raised);
    total = total * shrink + weight;
    for (var d = 0u; d < D4; d++) { sum[d] = sum[d] * shrink + weight * qkv[value + d]; }
    highest = raised;
  }
  let to = ((b * dims.T + t) * dims.H + h) * D4;
  for (var d = 0u; d < D4; d++) { y[to + d] = sum[d] / total; }
  lse[(b * dims.H + h) * dims.T + t] = highest + log(total);
}
