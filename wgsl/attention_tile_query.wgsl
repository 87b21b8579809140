// header: const HEAD_SIZE = 32u; const ROWS = 16u;
// attention_query.wgsl the way of attention_tile.wgsl: queries and dy stay in workgroup memory, keys and
// values pass through.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const CHUNKS = (D4 + 7u) / 8u;
const KEYS = 32u;
const Y = ROWS / 4u;
const WIDE = CHUNKS * 8u + 1u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> y_in: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse_delta: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;
var<workgroup> queries: array<vec4f, ROWS * WIDE>;
var<workgroup> ups: array<vec4f, ROWS * WIDE>;
var<workgroup> tile: array<vec4f, KEYS * 9u>;
var<workgroup> weights: array<vec4f, KEYS * (Y + 1u)>; // [key][y] of the score gradients of y's four rows

// 32 dimensions of the keys or values from j0 on.
fn load_tile(thread: u32, from_b: u32, j0: u32, stride: u32, head: u32, chunk: u32) {
  for (var i = thread; i < KEYS * 8u; i += 8u * Y) {
    let d = chunk * 8u + i % 8u;
    var v = vec4f();
    if (d < D4) { v = qkv[(from_b + min(j0 + i / 8u, dims.T - 1u)) * stride + head + d]; }
    tile[i / 8u * 9u + i % 8u] = v;
  }
}

@compute @workgroup_size(8, Y)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let x = local.x;
  let y = local.y;
  let h = group.y % dims.H;
  let b = group.y / dims.H;
  let from_b = b * dims.T;
  let stride = (dims.H + 2u * dims.G) * D4;
  let key_head = (dims.H + h / (dims.H / dims.G)) * D4;
  let first = (groups.x - 1u - group.x) * ROWS; // the longest rows start first
  let last_t = dims.T - 1u;
  let t = min(first + y + Y * vec4u(0u, 1u, 2u, 3u), vec4u(last_t));
  for (var i = thread; i < ROWS * CHUNKS * 8u; i += 8u * Y) {
    let d = i % (CHUNKS * 8u);
    let row = i / (CHUNKS * 8u);
    let n = from_b + min(first + row, last_t);
    var q = vec4f();
    var u = vec4f();
    if (d < D4) {
      q = qkv[n * stride + h * D4 + d] * dims.scale;
      u = dy[(n * dims.H + h) * D4 + d];
    }
    queries[row * WIDE + d] = q;
    ups[row * WIDE + d] = u;
  }
  workgroupBarrier();
  var known = vec4f();
  var delta = vec4f();
  var mine = vec4u();
  for (var i = 0u; i < 4u; i++) {
    known[i] = lse[(b * dims.H + h) * dims.T + t[i]];
    for (var d = x; d < D4; d += 8u) {
      delta[i] += dot(ups[(y + Y * i) * WIDE + d], y_in[((from_b + t[i]) * dims.H + h) * D4 + d]);
    }
    if (SEGMENTED) { mine[i] = segments[from_b + t[i]]; }
  }
  weights[y * 8u + x] = delta;
  workgroupBarrier();
  delta = vec4f();
  for (var i = 0u; i < 8u; i++) { delta += weights[y * 8u + i]; }
  var sum = array<mat4x4f, CHUNKS>(); // column i: 4 dimensions of row i
  let last_row = min(dims.T, first + ROWS) - 1u;
  let end = select(dims.T, last_row + 1u, CAUSAL);
  for (var j0 = (max(first + 1u, dims.window) - dims.window) / KEYS * KEYS; j0 < end; j0 += KEYS) {
    if (SEGMENTED) {
      if (segments[from_b + min(j0 + KEYS - 1u, last_t)] < segments[from_b + first]) { continue; }
      if (!CAUSAL) { if (segments[from_b + j0] > segments[from_b + last_row]) { break; } }
    }
    var s = array<vec4f, 4>();  // of the keys x, x + 8, x + 16, x + 24: scores of the four rows
    var dp = array<vec4f, 4>(); // and the gradients of their probabilities
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      load_tile(thread, from_b, j0, stride, key_head, chunk);
      workgroupBarrier();
      for (var d = 0u; d < 8u; d++) {
        let at = y * WIDE + chunk * 8u + d;
        let q = mat4x4f(queries[at], queries[at + Y * WIDE], queries[at + 2u * Y * WIDE], queries[at + 3u * Y * WIDE]);
        for (var n = 0u; n < 4u; n++) { s[n] += tile[(x + 8u * n) * 9u + d] * q; }
      }
    }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      load_tile(thread, from_b, j0, stride, key_head + dims.G * D4, chunk);
      workgroupBarrier();
      for (var d = 0u; d < 8u; d++) {
        let at = y * WIDE + chunk * 8u + d;
        let u = mat4x4f(ups[at], ups[at + Y * WIDE], ups[at + 2u * Y * WIDE], ups[at + 3u * Y * WIDE]);
        for (var n = 0u; n < 4u; n++) { dp[n] += tile[(x + 8u * n) * 9u + d] * u; }
      }
    }
    for (var n = 0u; n < 4u; n++) {
      let j = j0 + x + 8u * n;
      var sees = (vec4u(j) <= select(vec4u(last_t), t, CAUSAL)) & (vec4u(j + dims.window) > t);
      if (SEGMENTED) { sees &= vec4u(segments[from_b + min(j, last_t)]) == mine; }
      weights[(x + 8u * n) * (Y + 1u) + y] = select(vec4f(), exp(s[n] - known), sees) * (dp[n] - delta);
    }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      load_tile(thread, from_b, j0, stride, key_head, chunk);
      workgroupBarrier();
      var more = sum[chunk];
      for (var k = 0u; k < KEYS; k++) {
        let ds = weights[k * (Y + 1u) + y];
        let v = tile[k * 9u + x];
        more += mat4x4f(v * ds.x, v * ds.y, v * ds.z, v * ds.w);
      }
      sum[chunk] = more;
    }
  }
  for (var i = 0u; i < 4u; i++) {
    if (first + y + Y * i >= dims.T) { continue; }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let d = chunk * 8u + x;
      if (d >= D4) { continue; }
      let to = (from_b + t[i]) * stride + h * D4 + d;
      var out = sum[chunk][i] * dims.scale;
      if (ADD) { out += d_qkv[to]; }
      d_qkv[to] = out;
    }
    if (x == 0u) { lse_delta[(b * dims.H + h) * dims.T + t[i]] = vec2f(known[i], delta[i]); }
  }
}
