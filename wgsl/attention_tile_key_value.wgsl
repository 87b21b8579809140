// header: const HEAD_SIZE = 32u; const ROWS = 16u;
// attention_key_value.wgsl the way of attention_tile.wgsl: ROWS keys and values stay in workgroup memory, queries and
// dy pass through, 32 at a time.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const CHUNKS = (D4 + 7u) / 8u;
const QUERIES = 32u;
const Y = ROWS / 4u;
const WIDE = CHUNKS * 8u + 1u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(5) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;
var<workgroup> keys: array<vec4f, ROWS * WIDE>;
var<workgroup> values: array<vec4f, ROWS * WIDE>;
var<workgroup> tile: array<vec4f, QUERIES * 9u>;
var<workgroup> weights: array<vec4f, QUERIES * (Y + 1u)>; // [query][y] of something of y's four keys

// 32 dimensions of the queries from t0 on.
fn load_queries(thread: u32, from_b: u32, t0: u32, stride: u32, h: u32, chunk: u32) {
  for (var i = thread; i < QUERIES * 8u; i += 8u * Y) {
    let d = chunk * 8u + i % 8u;
    var v = vec4f();
    if (d < D4) { v = qkv[(from_b + min(t0 + i / 8u, dims.T - 1u)) * stride + h * D4 + d]; }
    tile[i / 8u * 9u + i % 8u] = v;
  }
}

// The same of dy.
fn load_ups(thread: u32, from_b: u32, t0: u32, h: u32, chunk: u32) {
  for (var i = thread; i < QUERIES * 8u; i += 8u * Y) {
    let d = chunk * 8u + i % 8u;
    var v = vec4f();
    if (d < D4) { v = dy[((from_b + min(t0 + i / 8u, dims.T - 1u)) * dims.H + h) * D4 + d]; }
    tile[i / 8u * 9u + i % 8u] = v;
  }
}

// What the tile's queries add to 4 rows x 4 dimensions.
fn gather(x: u32, y: u32) -> mat4x4f {
  var more = mat4x4f();
  for (var k = 0u; k < QUERIES; k++) {
    let p = weights[k * (Y + 1u) + y];
    let v = tile[k * 9u + x];
    more += mat4x4f(v * p.x, v * p.y, v * p.z, v * p.w);
  }
  return more;
}

@compute @workgroup_size(8, Y)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let x = local.x;
  let y = local.y;
  let g = group.y % dims.G;
  let b = group.y / dims.G;
  let from_b = b * dims.T;
  let stride = (dims.H + 2u * dims.G) * D4;
  let key_head = (dims.H + g) * D4;
  let beyond = dims.G * D4; // from a key to its value
  let first = group.x * ROWS;
  let last_t = dims.T - 1u;
  let j = min(first + y + Y * vec4u(0u, 1u, 2u, 3u), vec4u(last_t));
  for (var i = thread; i < ROWS * CHUNKS * 8u; i += 8u * Y) {
    let d = i % (CHUNKS * 8u);
    let row = i / (CHUNKS * 8u);
    let at = (from_b + min(first + row, last_t)) * stride + key_head + d;
    var k = vec4f();
    var v = vec4f();
    if (d < D4) {
      k = qkv[at] * dims.scale;
      v = qkv[at + beyond];
    }
    keys[row * WIDE + d] = k;
    values[row * WIDE + d] = v;
  }
  var mine = vec4u();
  if (SEGMENTED) { for (var i = 0u; i < 4u; i++) { mine[i] = segments[from_b + j[i]]; } }
  var key_sum = array<mat4x4f, CHUNKS>(); // column i: 4 dimensions of key i
  var value_sum = array<mat4x4f, CHUNKS>();
  let last_key = min(first + ROWS, dims.T) - 1u;
  let end = min(dims.T, last_key + dims.window);
  let heads = dims.H / dims.G;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    for (var t0 = select(0u, first / QUERIES * QUERIES, CAUSAL); t0 < end; t0 += QUERIES) {
      if (SEGMENTED) {
        // Ids never fall along a row, so no later tile holds a query of the last key's segment.
        if (segments[from_b + t0] > segments[from_b + last_key]) { break; }
        if (!CAUSAL) {
          if (segments[from_b + min(t0 + QUERIES - 1u, last_t)] < segments[from_b + first]) { continue; }
        }
      }
      var s = array<vec4f, 4>();  // of the queries x, x + 8, x + 16, x + 24: scores of the four keys
      var dp = array<vec4f, 4>(); // and the gradients of their probabilities
      for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        workgroupBarrier();
        load_queries(thread, from_b, t0, stride, h, chunk);
        workgroupBarrier();
        for (var d = 0u; d < 8u; d++) {
          let at = y * WIDE + chunk * 8u + d;
          let k = mat4x4f(keys[at], keys[at + Y * WIDE], keys[at + 2u * Y * WIDE], keys[at + 3u * Y * WIDE]);
          for (var n = 0u; n < 4u; n++) { s[n] += tile[(x + 8u * n) * 9u + d] * k; }
        }
      }
      for (var n = 0u; n < 4u; n++) {
        let t = t0 + x + 8u * n;
        let at = min(t, last_t);
        var sees = (select(vec4u(), j, CAUSAL) <= vec4u(t)) & (j + dims.window > vec4u(t)) & vec4<bool>(t < dims.T);
        if (SEGMENTED) { sees &= vec4u(segments[from_b + at]) == mine; }
        s[n] = select(vec4f(), exp(s[n] - lse_delta[(b * dims.H + h) * dims.T + at].x), sees);
        weights[(x + 8u * n) * (Y + 1u) + y] = s[n];
      }
      for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        workgroupBarrier();
        load_ups(thread, from_b, t0, h, chunk);
        workgroupBarrier();
        for (var d = 0u; d < 8u; d++) {
          let at = y * WIDE + chunk * 8u + d;
          let v = mat4x4f(values[at], values[at + Y * WIDE], values[at + 2u * Y * WIDE], values[at + 3u * Y * WIDE]);
          for (var n = 0u; n < 4u; n++) { dp[n] += tile[(x + 8u * n) * 9u + d] * v; }
        }
        value_sum[chunk] += gather(x, y);
      }
      workgroupBarrier();
      for (var n = 0u; n < 4u; n++) {
        let at = min(t0 + x + 8u * n, last_t);
        weights[(x + 8u * n) * (Y + 1u) + y] = s[n] * (dp[n] - lse_delta[(b * dims.H + h) * dims.T + at].y);
      }
      for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        workgroupBarrier();
        load_queries(thread, from_b, t0, stride, h, chunk);
        workgroupBarrier();
        key_sum[chunk] += gather(x, y);
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    if (first + y + Y * i >= dims.T) { continue; }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let d = chunk * 8u + x;
      if (d >= D4) { continue; }
      let to = (from_b + j[i]) * stride + key_head + d;
      var dk = key_sum[chunk][i] * dims.scale;
      var dv = value_sum[chunk][i];
      if (ADD) {
        dk += d_qkv[to];
        dv += d_qkv[to + beyond];
      }
      d_qkv[to] = dk;
      d_qkv[to + beyond] = dv;
    }
  }
}
