// Causal attention as on the blackboard: all scores [B,H,T,T] in memory, a softmax over each row, a product with v.
// qkv [B,T,H+2G,D]: query, key and value heads; y [B,T,H,D]. Three dispatches; memory grows with the square of T.
struct Dims { B: u32, T: u32, H: u32, G: u32, D: u32, scale: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn row_of(b: u32, t: u32, head: u32) -> u32 {
  return ((b * dims.T + t) * (dims.H + 2u * dims.G) + head) * dims.D;
}

// One invocation a score; those of the future get a weight of exactly 0.
@compute @workgroup_size(16, 16)
fn score(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let t = id.y;
  let h = id.z % dims.H;
  let b = id.z / dims.H;
  if (t >= dims.T || j >= dims.T) { return; }
  let g = h / (dims.H / dims.G);
  let from_q = row_of(b, t, h);
  let from_k = row_of(b, j, dims.H + g);
  var sum = 0.0;
  for (var d = 0u; d < dims.D; d++) { sum += qkv[from_q + d] * qkv[from_k + d]; }
  scores[(id.z * dims.T + t) * dims.T + j] = select(-1e30, sum * dims.scale, j <= t);
}

// One invocation a row: highest, sum, quotient.
@compute @workgroup_size(64)
fn softmax(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.T) { return; }
  let row = (id.y * dims.T + id.x) * dims.T;
  var highest = -1e30;
  for (var j = 0u; j < dims.T; j++) { highest = max(highest, scores[row + j]); }
  var total = 0.0;
  for (var j = 0u; j < dims.T; j++) {
    let weight = exp(scores[row + j] - highest);
    scores[row + j] = weight;
    total += weight;
  }
  for (var j = 0u; j < dims.T; j++) { scores[row + j] /= total; }
}

// One invocation an output element.
@compute @workgroup_size(16, 16)
fn mix(@builtin(global_invocation_id) id: vec3u) {
  let d = id.x;
  let t = id.y;
  let h = id.z % dims.H;
  let b = id.z / dims.H;
  if (t >= dims.T || d >= dims.D) { return; }
  let g = h / (dims.H / dims.G);
  let row = (id.z * dims.T + t) * dims.T;
  var sum = 0.0;
  for (var j = 0u; j <= t; j++) { sum += scores[row + j] * qkv[row_of(b, j, dims.H + dims.G + g) + d]; }
  y[((b * dims.T + t) * dims.H + h) * dims.D + d] = sum;
}
