// header: const HEAD_SIZE = 32u;
// The gradient of causal attention (Dao et al. 2022, algorithm 4) without atomics: probabilities are recomputed from lse;
// `query` walks the keys of one query, `key_value` walks the queries of one key over all query heads of its group.
struct Dims { B: u32, T: u32, H: u32, G: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> out2: array<vec4f>;
override ADD: bool = false;
override ADD2: bool = false;

@compute @workgroup_size(32)
fn query(@builtin(global_invocation_id) id: vec3u) {
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
    if (ADD) { sum[d] += out[row + d]; }
    out[row + d] = sum[d];
  }
}

@compute @workgroup_size(32)
fn key_value(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let g = id.y % dims.G;
  let b = id.y / dims.G;
  if (j >= dims.T) { return; }
  let at = ((b * dims.T + j) * dims.G + g) * D4;
  var key: array<vec4f, D4>;
  var value: array<vec4f, D4>;
  var dk: array<vec4f, D4>;
  var dv: array<vec4f, D4>;
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
      for (var d = 0u; d < D4; d++) { dk[d] += ds * q[row + d]; dv[d] += p * dy[row + d]; }
    }
  }
  for (var d = 0u; d < D4; d++) {
    if (ADD) { dk[d] += out[at + d]; }
    if (ADD2) { dv[d] += out2[at + d]; }
    out[at + d] = dk[d];
    out2[at + d] = dv[d];
  }
}
