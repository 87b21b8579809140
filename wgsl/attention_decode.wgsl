// One new query per sequence against a key/value cache: qkv [B,H+2G,D], of which the query heads are read, caches
// [B,S,G,D], keys 0 .. positions[b].
// One workgroup a head: 64 lanes score 64 keys at a time, then each lane sums its dimensions (online softmax by tile).
struct Dims { B: u32, S: u32, H: u32, G: u32, D: u32, scale: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<f32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
var<workgroup> weights: array<f32, 64>;
var<workgroup> tree: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let h = group.x;
  let b = group.y;
  let g = h / (dims.H / dims.G);
  let count = min(positions[b] + 1u, dims.S);
  let query = (b * (dims.H + 2u * dims.G) + h) * dims.D;
  var highest = -1e30;
  var total = 0.0;
  var sums = array<f32, 4>(); // dimensions lane, lane + 64, lane + 128, lane + 192
  for (var first = 0u; first < count; first += 64u) {
    let j = first + lane;
    var score = -1e30;
    if (j < count) {
      let at = ((b * dims.S + j) * dims.G + g) * dims.D;
      score = 0.0;
      for (var d = 0u; d < dims.D; d++) { score += qkv[query + d] * keys[at + d]; }
      score *= dims.scale;
    }
    tree[lane] = score;
    for (var half = 32u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { tree[lane] = max(tree[lane], tree[lane + half]); }
    }
    workgroupBarrier();
    let raised = max(highest, tree[0]);
    let shrink = exp(highest - raised);
    let weight = select(0.0, exp(score - raised), j < count);
    workgroupBarrier();
    weights[lane] = weight;
    tree[lane] = weight;
    for (var half = 32u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { tree[lane] += tree[lane + half]; }
    }
    workgroupBarrier();
    total = total * shrink + tree[0];
    highest = raised;
    let end = min(64u, count - first);
    for (var i = 0u; i < 4u; i++) {
      let d = lane + i * 64u;
      if (d >= dims.D) { break; }
      var sum = sums[i] * shrink;
      for (var k = 0u; k < end; k++) {
        sum += weights[k] * values[((b * dims.S + first + k) * dims.G + g) * dims.D + d];
      }
      sums[i] = sum;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let d = lane + i * 64u;
    if (d >= dims.D) { break; }
    y[(b * dims.H + h) * dims.D + d] = sums[i] / total;
  }
}
