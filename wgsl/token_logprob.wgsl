// uses: grid
// Folds one chunk of the vocabulary into the running softmax statistics of each row: logits[N,W] are those of tokens
// first .. first + W. One workgroup a row. stats[N] = (max, sum exp(z - max), logit of the target, sum exp(z - max) z).
struct Dims { N: u32, W: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> best: array<u32>; // argmax so far, the lowest index among equals
var<workgroup> values: array<f32, 64>;
var<workgroup> weighted: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

@compute @workgroup_size(64)
fn fold(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups);
  if (n >= dims.N) { return; }
  let row = n * dims.W;
  var highest = -1e30;
  var place = 0u;
  for (var w = lane; w < dims.W; w += 64u) {
    let z = logits[row + w];
    if (z > highest) { highest = z; place = w; }
  }
  values[lane] = highest;
  places[lane] = place;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let other = values[lane + half];
      let there = places[lane + half];
      if (other > values[lane] || (other == values[lane] && there < places[lane])) {
        values[lane] = other;
        places[lane] = there;
      }
    }
  }
  workgroupBarrier();
  let chunk_max = values[0];
  let chunk_best = places[0];
  workgroupBarrier();
  var total = 0.0;
  var mass = 0.0;
  for (var w = lane; w < dims.W; w += 64u) {
    let z = logits[row + w];
    let e = exp(z - chunk_max);
    total += e;
    mass += e * z;
  }
  values[lane] = total;
  weighted[lane] = mass;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      values[lane] += values[lane + half];
      weighted[lane] += weighted[lane + half];
    }
  }
  workgroupBarrier();
  if (lane != 0u) { return; }
  var known = vec4f(-1e30, 0.0, 0.0, 0.0);
  if (dims.first > 0u) { known = stats[n]; }
  if (dims.first == 0u || chunk_max > known.x) { best[n] = dims.first + chunk_best; }
  let raised = max(known.x, chunk_max);
  let old_scale = exp(known.x - raised);
  let new_scale = exp(chunk_max - raised);
  var wanted = known.z;
  let t = targets[n];
  if (t >= dims.first && t < dims.first + dims.W) { wanted = logits[row + t - dims.first]; }
  stats[n] = vec4f(raised, known.y * old_scale + values[0] * new_scale, wanted, known.w * old_scale + weighted[0] * new_scale);
}
