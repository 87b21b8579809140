// uses: elem1, grid
// Folds one chunk of the vocabulary into the running softmax statistics of each row: logits[N,W] are those of tokens
// first .. first + W. TEAM invocations a row, SIZE / TEAM rows a workgroup, each element read once: sums are rescaled
// when the maximum rises (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018).
struct Dims { N: u32, W: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<Elem>;
@group(0) @binding(2) var<storage, read> scalars: array<f32>; // the same memory: an Elem has no address of its parts
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // (max, sum exp(z - max), sum exp(z - max) z, logit of the target)
@group(0) @binding(5) var<storage, read_write> best: array<u32>; // argmax so far, the lowest index among equals
@group(0) @binding(6) var<storage, read_write> logprob: array<f32>; // [N], with LAST
@group(0) @binding(7) var<storage, read_write> aux: array<f32>; // [3,N] logsumexp, entropy, 1 where the target is the argmax
override SIZE: u32 = 64u;
override TEAM: u32 = 64u;
override FIRST: bool = true; // the first chunk of the vocabulary, and the last
override LAST: bool = true;
var<workgroup> sums: array<vec4f, SIZE>;
var<workgroup> places: array<u32, SIZE>;

// Two sets of sums in one; `places` of equal maxima: the lower.
fn merge(a: vec4f, b: vec4f) -> vec4f {
  let high = max(a.x, b.x);
  let left = exp(a.x - high);
  let right = exp(b.x - high);
  return vec4f(high, a.y * left + b.y * right, a.z * left + b.z * right, 0.0);
}

@compute @workgroup_size(SIZE)
fn fold(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = flat_group(group, groups) * (SIZE / TEAM) + lane / TEAM;
  let n = min(row, dims.N - 1u);
  let width = dims.W / LANES;
  var high = -1e30;
  var place = 0u;
  var total = Elem(0.0);
  var mass = Elem(0.0);
  for (var w = lane % TEAM; w < width; w += TEAM) {
    let z = logits[n * width + w];
    let most = highest(z);
    let raised = max(high, most);
    let scale = exp(high - raised);
    let e = exp(z - Elem(raised));
    total = total * scale + e;
    mass = mass * scale + e * z;
    if (most > high) { place = w; }
    high = raised;
  }
  var mine = vec4f(high, across(total), across(mass), 0.0);
  if (TEAM > 1u) {
    sums[lane] = mine;
    places[lane] = place;
    for (var half = TEAM / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane % TEAM < half) {
        let other = sums[lane + half];
        let there = places[lane + half];
        if (other.x > mine.x || (other.x == mine.x && there < place)) { place = there; }
        places[lane] = place;
        mine = merge(mine, other);
        sums[lane] = mine;
      }
    }
  }
  if (lane % TEAM != 0u || row >= dims.N) { return; }
  // Within the Elem, the first place that holds the maximum.
  place *= LANES;
  for (var k = 0u; k + 1u < LANES; k++) {
    if (scalars[n * dims.W + place] == mine.x) { break; }
    place++;
  }
  place += dims.first;
  var wanted = 0.0;
  let t = targets[n];
  if (!FIRST) {
    let known = stats[n];
    wanted = known.w;
    if (mine.x <= known.x) { place = best[n]; }
    mine = merge(known, mine);
  }
  if (t >= dims.first && t < dims.first + dims.W) { wanted = scalars[n * dims.W + t - dims.first]; }
  if (LAST) {
    let lse = mine.x + log(mine.y);
    logprob[n] = wanted - lse;
    aux[n] = lse;
    aux[dims.N + n] = lse - mine.z / mine.y;
    aux[2u * dims.N + n] = select(0.0, 1.0, place == t);
  } else {
    stats[n] = vec4f(mine.xyz, wanted);
    best[n] = place;
  }
}
