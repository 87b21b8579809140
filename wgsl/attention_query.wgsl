// header: const HEAD_SIZE = 32u;
// The gradient of causal attention towards the queries (Dao et al. 2022, algorithm 4) without atomics: each query walks
// its keys and recomputes their probabilities from lse.
struct Dims { B: u32, T: u32, H: u32, G: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;
override ADD: bool = false;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let h = id.y % dims.H;
  let b = id.y / dims.H;
  if (t >= dims.T) { return; }
  let g = h / (dims.H / dims.G);
  let row = ((b * dims.T + t) * dims.H + h) * D4;
  let known = lse_delta[(b * dims.H + h) * dims.T + t];
  var mine: array<vec4f, D4>;
  var up: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { mine[d] = q[row + d] * dims.scale; up[d] = dy[row + d]; }
  for (var j = 0u; j <= t; j++) {
    let at = ((b * dims.T + j) * dims.G + g) * D4;
    var score = 0.0;
    var dp = 0.0;
    for (var d = 0u; d < D4; d++) { score += dot(mine[d], k[at + d]); dp += dot(up[d], v[at + d]); }
    let ds = exp(score - known.x) * (dp - known.y) * dims.scale;
    for (var d = 0u; d < D4; d++) { sum[d] += ds * k[at + d]; }
  }
  for (var d = 0u; d < D4; d++) {
    if (ADD) { sum[d] += dq[row + d]; }
    dq[row + d] = sum[d];
  }
}
