// uses: grid
// header: const HEAD_SIZE = 32u; const SHARE = 2u;
// Attention of single tokens against a paged key/value cache, one lane for a row, SHARE query heads of one key head and a
// split of the keys: no barriers, for adapters without cheap ones. Those heads share the loads of keys and values.
const PAGE = 16u;
const D4 = HEAD_SIZE / 4u;
struct Dims { N: u32, H: u32, G: u32, M: u32, splits: u32, split: u32, window: u32, scale: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;     // [N,H+2G,D]
@group(0) @binding(2) var<storage, read> keys: array<vec4f>;    // [pages,16,G,D]
@group(0) @binding(3) var<storage, read> values: array<vec4f>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;    // [slots,M] pages of a sequence
@group(0) @binding(5) var<storage, read> slots: array<u32>;     // [N] the sequence of a row
@group(0) @binding(6) var<storage, read> positions: array<u32>; // [N] the row's own place: the last key it sees
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>; // [N,H,D], or [N,H,splits,D+4] with (highest, total) last
override SPLIT: bool = false;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 8u + lane;
  let teams = dims.H / SHARE;
  if (i >= dims.N * teams * dims.splits) { return; }
  let part = i % dims.splits;
  let first = (i / dims.splits) % teams * SHARE; // of the query heads
  let g = first / (dims.H / dims.G);
  let n = i / (dims.splits * teams);
  let table = slots[n] * dims.M;
  let count = min(positions[n] + 1u, dims.M * PAGE);
  let end = min(count, (part + 1u) * dims.split);
  var query: array<vec4f, D4 * SHARE>;
  var sum: array<vec4f, D4 * SHARE>;
  // -1e30 and not -infinity: WGSL may assume that no infinities occur.
  var highest: array<f32, SHARE>;
  var total: array<f32, SHARE>;
  let source = n * (dims.H + 2u * dims.G) * D4 + first * D4;
  for (var d = 0u; d < D4 * SHARE; d++) { query[d] = qkv[source + d] * dims.scale; }
  for (var s = 0u; s < SHARE; s++) { highest[s] = -1e30; }
  var page = 0u;
  for (var j = max(part * dims.split, count - min(count, dims.window)); j < end; j++) {
    if (j % PAGE == 0u || page == 0u) { page = tables[table + j / PAGE] * PAGE; }
    let row = ((page + j % PAGE) * dims.G + g) * D4;
    var score = array<f32, SHARE>(); // naga clears what is declared in a loop only if told so
    for (var d = 0u; d < D4; d++) {
      let key = keys[row + d];
      for (var s = 0u; s < SHARE; s++) { score[s] += dot(query[s * D4 + d], key); }
    }
    var shrink: array<f32, SHARE>;
    var weight: array<f32, SHARE>;
    for (var s = 0u; s < SHARE; s++) {
      let raised = max(highest[s], score[s]);
      shrink[s] = exp(highest[s] - raised);
      weight[s] = exp(score[s] - raised);
      total[s] = total[s] * shrink[s] + weight[s];
      highest[s] = raised;
    }
    for (var d = 0u; d < D4; d++) {
      let value = values[row + d];
      for (var s = 0u; s < SHARE; s++) { sum[s * D4 + d] = sum[s * D4 + d] * shrink[s] + weight[s] * value; }
    }
  }
  for (var s = 0u; s < SHARE; s++) {
    let head = n * dims.H + first + s;
    if (SPLIT) {
      let to = (head * dims.splits + part) * (D4 + 1u);
      for (var d = 0u; d < D4; d++) { y[to + d] = sum[s * D4 + d]; }
      y[to + D4] = vec4f(highest[s], total[s], 0.0, 0.0);
    } else {
      for (var d = 0u; d < D4; d++) { y[head * D4 + d] = sum[s * D4 + d] / total[s]; }
    }
  }
}
