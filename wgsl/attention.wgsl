// header: const HEAD_SIZE = 32u;
// Causal attention with online softmax (Milakov & Gimelshein 2018; Dao et al. 2022) and grouped key/value heads (GQA).
// q, y [B,T,H,D]; k, v [B,T,G,D]; lse [B,H,T]. One invocation a query row; no T x T matrix anywhere.
struct Dims { B: u32, T: u32, H: u32, G: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(32)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let h = id.y % dims.H;
  let b = id.y / dims.H;
  if (t >= dims.T) { return; }
  let g = h / (dims.H / dims.G);
  let row = ((b * dims.T + t) * dims.H + h) * D4;
  var query: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { query[d] = q[row + d] * dims.scale; }
  // -1e30 and not -infinity: WGSL may assume that no infinities occur.
  var highest = -1e30;
  var total = 0.0;
  for (var j = 0u; j <= t; j++) {
    let at = ((b * dims.T + j) * dims.G + g) * D4;
    var score = 0.0;
    for (var d = 0u; d < D4; d++) { score += dot(query[d], k[at + d]); }
    let raised = max(highest, score);
    let shrink = exp(highest - raised);
    let weight = exp(score - raised);
    total = total * shrink + weight;
    for (var d = 0u; d < D4; d++) { sum[d] = sum[d] * shrink + weight * v[at + d]; }
    highest = raised;
  }
  for (var d = 0u; d < D4; d++) { y[row + d] = sum[d] / total; }
  lse[(b * dims.H + h) * dims.T + t] = highest + log(total);
}
