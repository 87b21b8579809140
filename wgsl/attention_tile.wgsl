// header: const HEAD_SIZE = 32u; const ROWS = 16u;
// attention.wgsl for GPUs: FlashAttention-2 (Dao 2023) in f32. A workgroup owns ROWS query rows, which stay in
// workgroup memory, and walks tiles of 32 keys; a thread owns 4 rows x 4 keys of the scores, and of the output the same
// 4 rows x 4 dimensions in every 32. Keys and values pass through workgroup memory 32 dimensions at a time.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const CHUNKS = (D4 + 7u) / 8u;
const KEYS = 32u;
const Y = ROWS / 4u;           // rows y, y + Y, y + 2Y, y + 3Y belong to one thread
const WIDE = CHUNKS * 8u + 1u; // one more than needed: neighbours of a column fall into other banks
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>; // [B,T]
@group(0) @binding(3) var<storage, read_write> y_out: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
var<workgroup> queries: array<vec4f, ROWS * WIDE>;
var<workgroup> tile: array<vec4f, KEYS * 9u>;
var<workgroup> weights: array<vec4f, KEYS * (Y + 1u)>; // [key][y] of the weights of y's four rows

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
fn forward(
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
    var v = vec4f();
    if (d < D4) { v = qkv[(from_b + min(first + row, last_t)) * stride + h * D4 + d] * dims.scale; }
    queries[row * WIDE + d] = v;
  }
  var mine = vec4u();
  if (SEGMENTED) { for (var i = 0u; i < 4u; i++) { mine[i] = segments[from_b + t[i]]; } }
  var sum = array<mat4x4f, CHUNKS>(); // column i: 4 dimensions of row i
  var highest = vec4f(-1e30);
  var total = vec4f(); // of this thread's keys
  let last_row = min(dims.T, first + ROWS) - 1u;
  let end = select(dims.T, last_row + 1u, CAUSAL);
  for (var j0 = (max(first + 1u, dims.window) - dims.window) / KEYS * KEYS; j0 < end; j0 += KEYS) {
    if (SEGMENTED) {
      // Ids never fall along a row, so a tile that ends before the first query's segment is past for all of them.
      if (segments[from_b + min(j0 + KEYS - 1u, last_t)] < segments[from_b + first]) { continue; }
      if (!CAUSAL) { if (segments[from_b + j0] > segments[from_b + last_row]) { break; } }
    }
    var s = array<vec4f, 4>(); // of the keys x, x + 8, x + 16, x + 24: scores of the four rows
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
    var most = vec4f(-1e30);
    var seen: array<vec4<bool>, 4>;
    for (var n = 0u; n < 4u; n++) {
      let j = j0 + x + 8u * n;
      var sees = (vec4u(j) <= select(vec4u(last_t), t, CAUSAL)) & (vec4u(j + dims.window) > t);
      if (SEGMENTED) { sees &= vec4u(segments[from_b + min(j, last_t)]) == mine; }
      seen[n] = sees;
      most = max(most, select(vec4f(-1e30), s[n], sees));
    }
    weights[y * 8u + x] = most;
    workgroupBarrier();
    for (var i = 0u; i < 8u; i++) { most = max(most, weights[y * 8u + i]); }
    let raised = max(highest, most);
    let shrink = exp(highest - raised);
    highest = raised;
    total *= shrink;
    workgroupBarrier();
    for (var n = 0u; n < 4u; n++) {
      let p = select(vec4f(), exp(s[n] - raised), seen[n]);
      total += p;
      weights[(x + 8u * n) * (Y + 1u) + y] = p;
    }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      workgroupBarrier();
      load_tile(thread, from_b, j0, stride, key_head + dims.G * D4, chunk);
      workgroupBarrier();
      let old = sum[chunk];
      var more = mat4x4f(old[0] * shrink.x, old[1] * shrink.y, old[2] * shrink.z, old[3] * shrink.w);
      for (var k = 0u; k < KEYS; k++) {
        let p = weights[k * (Y + 1u) + y];
        let v = tile[k * 9u + x];
        more += mat4x4f(v * p.x, v * p.y, v * p.z, v * p.w);
      }
      sum[chunk] = more;
    }
  }
  workgroupBarrier();
  weights[y * 8u + x] = total;
  workgroupBarrier();
  total = vec4f();
  for (var i = 0u; i < 8u; i++) { total += weights[y * 8u + i]; }
  for (var i = 0u; i < 4u; i++) {
    if (first + y + Y * i >= dims.T) { continue; }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      let d = chunk * 8u + x;
      if (d < D4) { y_out[((from_b + t[i]) * dims.H + h) * D4 + d] = sum[chunk][i] / total[i]; }
    }
    if (x == 0u) { lse[(b * dims.H + h) * dims.T + t[i]] = highest[i] + log(total[i]); }
  }
}
