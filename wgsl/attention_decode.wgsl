// header: const HEAD_SIZE = 32u; const SHARE = 2u;
// Attention of single tokens against a paged key/value cache, one workgroup for a row, a key head and a split of the keys
// (flash decoding: Dao et al. 2023). 64 keys at a time: two lanes score a key, then each lane sums four dimensions over its
// share of the keys. The SHARE query heads of a key head share its loads.
const PAGE = 16u;
const D4 = HEAD_SIZE / 4u;
const WIDE = 128u;
const TILE = 64u;
const TEAMS = WIDE / D4; // lanes for one load of a value row
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
var<workgroup> query: array<vec4f, D4 * SHARE>;
var<workgroup> halves: array<f32, WIDE * SHARE>;
var<workgroup> scores: array<f32, TILE * SHARE>;
var<workgroup> tree: array<f32, TILE * SHARE>;
var<workgroup> sums: array<vec4f, WIDE>;
var<workgroup> totals: array<f32, WIDE>;
var<workgroup> last: u32; // one past the last key

fn row_of(table: u32, j: u32, g: u32) -> u32 {
  return ((tables[table + j / PAGE] * PAGE + j % PAGE) * dims.G + g) * D4;
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let part = group.x;
  let g = group.y;
  let n = group.z;
  let table = slots[n] * dims.M;
  let source = n * (dims.H + 2u * dims.G) * D4 + g * SHARE * D4;
  for (var d = lane; d < D4 * SHARE; d += WIDE) { query[d] = qkv[source + d] * dims.scale; }
  if (lane == 0u) { last = min(positions[n] + 1u, dims.M * PAGE); }
  let count = workgroupUniformLoad(&last);
  let end = min(count, (part + 1u) * dims.split);
  var sum: array<vec4f, SHARE>;
  var total: array<f32, SHARE>;
  var highest: array<f32, SHARE>;
  for (var s = 0u; s < SHARE; s++) { highest[s] = -1e30; }
  let d = lane % D4;
  let team = lane / D4;
  for (var first = max(part * dims.split, count - min(count, dims.window)); first < end; first += TILE) {
    let j = first + lane / 2u;
    var score = array<f32, SHARE>(); // naga clears what is declared in a loop only if told so
    if (j < end) {
      let row = row_of(table, j, g);
      for (var k = lane % 2u; k < D4; k += 2u) {
        let key = keys[row + k];
        for (var s = 0u; s < SHARE; s++) { score[s] += dot(query[s * D4 + k], key); }
      }
    }
    for (var s = 0u; s < SHARE; s++) { halves[s * WIDE + lane] = score[s]; }
    workgroupBarrier();
    if (lane < TILE) {
      for (var s = 0u; s < SHARE; s++) {
        let whole = halves[s * WIDE + 2u * lane] + halves[s * WIDE + 2u * lane + 1u];
        scores[s * TILE + lane] = whole;
        tree[s * TILE + lane] = select(-1e30, whole, first + lane < end);
      }
    }
    for (var half = TILE / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) {
        for (var s = 0u; s < SHARE; s++) {
          tree[s * TILE + lane] = max(tree[s * TILE + lane], tree[s * TILE + lane + half]);
        }
      }
    }
    workgroupBarrier();
    for (var s = 0u; s < SHARE; s++) {
      let raised = max(highest[s], tree[s * TILE]);
      let shrink = exp(highest[s] - raised);
      sum[s] *= shrink;
      total[s] *= shrink;
      highest[s] = raised;
    }
    if (team < TEAMS) {
      for (var k = team; k < min(TILE, end - first); k += TEAMS) {
        let value = values[row_of(table, first + k, g) + d];
        for (var s = 0u; s < SHARE; s++) {
          let weight = exp(scores[s * TILE + k] - highest[s]);
          sum[s] += weight * value;
          total[s] += weight;
        }
      }
    }
    workgroupBarrier();
  }
  for (var s = 0u; s < SHARE; s++) {
    workgroupBarrier();
    sums[lane] = sum[s];
    totals[lane] = total[s];
    workgroupBarrier();
    if (lane < D4) {
      var all = vec4f();
      var mass = 0.0;
      for (var k = 0u; k < TEAMS; k++) { all += sums[k * D4 + lane]; mass += totals[k * D4 + lane]; }
      let head = n * dims.H + g * SHARE + s;
      if (SPLIT) {
        let to = (head * dims.splits + part) * (D4 + 1u);
        y[to + lane] = all;
        if (lane == 0u) { y[to + D4] = vec4f(highest[s], mass, 0.0, 0.0); }
      } else {
        y[head * D4 + lane] = all / mass;
      }
    }
  }
}
