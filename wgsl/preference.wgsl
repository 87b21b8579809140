// uses: sigmoid
// The losses on preference pairs and their slopes. Of pair p with summed log-probabilities lp and those of the reference,
//   c = lp_w - ref_w, r = lp_l - ref_l (reference-free losses: lp itself), replaced by their scores under another divergence,
//   u = c, v = r, or both divided by the token weights of their sequence; z = beta (u - v) - margin.
// loss = sum of weight f(u, v); pulls = its slopes by lp_w and lp_l. The functions f: kernels/preference.ts names their sources.
// lp and reference [2P]: the P chosen sequences, then the P rejected ones; collision alike, read with WPO alone.
// One workgroup: P is small, and its sums have one order. A pair of weight 0 is padding, and is not looked at.
struct Dims { P: u32 }
struct Pair { weight: f32, tokens_w: f32, tokens_l: f32, margin: f32, smoothing: f32 }
struct Pull { chosen: f32, rejected: f32, opposite: u32, ranked: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> reference: array<f32>;
@group(0) @binding(3) var<storage, read> collision: array<f32>; // sums over tokens of log(sum of squared probabilities)
@group(0) @binding(4) var<storage, read> pairs: array<Pair>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>; // beta, a of the alpha divergence, gamma, temperature
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> metrics: array<f32>;
@group(0) @binding(8) var<storage, read_write> pulls: array<Pull>;
override LOSS: u32 = 0u;
override DIVERGENCE: u32 = 0u;
override WPO: bool = false;

// In the order of PREFERENCE_LOSSES and DIVERGENCES.
const SIGMOID = 0u; const HINGE = 1u; const IPO = 2u; const IPO_SUM = 3u; const EXO = 4u; const NCA = 5u; const BCO = 6u;
const ROBUST = 7u; const SPPO = 8u; const APO_ZERO = 9u; const APO_DOWN = 10u; const AOT = 11u; const AOT_UNPAIRED = 12u;
const DISCOPOP = 13u; const SIGMOID_NORM = 14u; const SIMPO = 15u; const CPO = 16u; const ORPO = 17u;
const REVERSE_KL = 0u; const FORWARD_KL = 1u; const JS = 2u; const ALPHA = 3u;
override REFERENCE_FREE: bool = false;

// Beyond this exponents go on as their tangent: f32 ends at e^88, and log-ratios of long sequences do not.
const STEEP = 20.0;

var<workgroup> sums: array<array<f32, 8>, 64>;

fn log_sigmoid(x: f32) -> f32 {
  return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}

// e^x and its slope.
fn exponential(x: f32) -> vec2f {
  let e = exp(min(x, STEEP));
  return vec2f(e * (1.0 + max(x - STEEP, 0.0)), e);
}

// What a log-ratio counts as under the divergence, and the slope of that.
fn score(u: f32) -> vec2f {
  if (DIVERGENCE == FORWARD_KL) {
    let e = exponential(-u);
    return vec2f(-e.x, e.y);
  }
  if (DIVERGENCE == JS) { return vec2f(log_sigmoid(u), sigmoid(-u)); }
  if (DIVERGENCE == ALPHA) {
    let rise = hyper[1] - 1.0;
    let e = exponential(rise * u);
    return vec2f(e.x / rise, e.y);
  }
  return vec2f(u, 1.0);
}

// Log-odds of a mean probability e^a, and their slope 1 / (1 - e^a). Near e^a = 1 the difference is summed as a series.
fn log_odds(a_in: f32) -> vec2f {
  let a = min(a_in, -1e-6);
  let near = -a * (1.0 + a / 2.0 * (1.0 + a / 3.0 * (1.0 + a / 4.0 * (1.0 + a / 5.0 * (1.0 + a / 6.0)))));
  let rest = select(1.0 - exp(a), near, a > -0.3);
  return vec2f(a - log(rest), 1.0 / rest);
}

// Binary cross-entropy of the label "z > 0" that is wrong with chance e, and its slope.
fn cross_entropy(z: f32, e: f32) -> vec2f {
  return vec2f(-(1.0 - e) * log_sigmoid(z) - e * log_sigmoid(-z), e - sigmoid(-z));
}

// (f, df/du, df/dv)
fn pair_loss(u: f32, v: f32, margin: f32, e: f32) -> vec3f {
  let beta = hyper[0];
  let z = beta * (u - v) - margin;
  let up = sigmoid(z);
  let down = sigmoid(-z);
  let x = beta * u;
  let y = beta * v;
  let x_steep = sigmoid(x) * sigmoid(-x);
  var by_z = vec2f(0.0); // of the losses that see z alone: the loss and its slope by z
  switch LOSS {
    case HINGE: { by_z = vec2f(max(0.0, 1.0 - z), select(0.0, -1.0, z < 1.0)); }
    case IPO, IPO_SUM: { by_z = vec2f((z - 0.5) * (z - 0.5), 2.0 * (z - 0.5)) / (beta * beta); }
    case EXO: {
      let a = log_sigmoid(z) - log(1.0 - e);
      let b = log_sigmoid(-z) - log(e);
      by_z = vec2f(up * a + down * b, up * down * (a - b));
    }
    case ROBUST: {
      let scale = 1.0 / (1.0 - 2.0 * e);
      by_z = scale * vec2f(e * log_sigmoid(-z) - (1.0 - e) * log_sigmoid(z), -(1.0 - e) * down - e * up);
    }
    case DISCOPOP: {
      let cooled = z / hyper[3];
      let gate = sigmoid(cooled);
      let shut = sigmoid(-cooled);
      let turn = gate * shut / hyper[3];
      let fall = exponential(log_sigmoid(cooled) - z).x; // e^-z gate, which is small where e^-z is large
      by_z = vec2f(fall - log_sigmoid(z) * shut, fall * (shut / hyper[3] - 1.0) - down * shut + log_sigmoid(z) * turn);
    }
    case SIMPO: { by_z = cross_entropy(z - hyper[2], e); }
    case NCA: {
      return vec3f(
        -log_sigmoid(x) - 0.5 * log_sigmoid(-x) - 0.5 * log_sigmoid(-y),
        beta * (0.5 * sigmoid(x) - sigmoid(-x)),
        beta * 0.5 * sigmoid(y),
      );
    }
    case BCO: { return vec3f(-log_sigmoid(x) - log_sigmoid(-y), -beta * sigmoid(-x), beta * sigmoid(y)); }
    case SPPO: {
      let above = u - 0.5 / beta;
      let below = v + 0.5 / beta;
      return vec3f(above * above + below * below, 2.0 * above, 2.0 * below);
    }
    case APO_ZERO: { return vec3f(sigmoid(-x) + sigmoid(y), -beta * x_steep, beta * sigmoid(y) * sigmoid(-y)); }
    case APO_DOWN: { return vec3f(sigmoid(x) + down, beta * (x_steep - up * down), beta * up * down); }
    case ORPO: {
      let winner = log_odds(u);
      let loser = log_odds(v);
      let odds = cross_entropy(winner.x - loser.x - margin, 0.0);
      return beta * vec3f(odds.x, odds.y * winner.y, -odds.y * loser.y);
    }
    default: { by_z = cross_entropy(z, e); } // SIGMOID, SIGMOID_NORM, CPO, AOT, AOT_UNPAIRED
  }
  return vec3f(by_z.x, beta * by_z.y, -beta * by_z.y);
}

// Log-ratio of sequence i of 2P.
fn ratio(i: u32) -> f32 {
  if (REFERENCE_FREE) { return lp[i]; }
  return lp[i] - reference[i];
}

// 1 / token weights of the two sequences where the loss is on means.
fn shares(pair: Pair) -> vec2f {
  let means = LOSS == IPO || LOSS == SIGMOID_NORM || LOSS == SIMPO || LOSS == ORPO;
  return select(vec2f(1.0), vec2f(1.0 / pair.tokens_w, 1.0 / pair.tokens_l), means);
}

// Optimal transport compares sorted with sorted: by side 0 pairs are ranked that are asked about, by side 1 those they meet.
// Paired, that is the policy's lead over the loser and the reference's; unpaired, winners' log-ratios and losers'.
fn ranked_by(p: u32, side: u32) -> f32 {
  if (LOSS == AOT_UNPAIRED) { return ratio(p + side * dims.P); }
  return select(lp[p] - lp[dims.P + p], reference[p] - reference[dims.P + p], side == 1u);
}

fn rank_of(p: u32, side: u32) -> u32 {
  let own = ranked_by(p, side);
  var rank = 0u;
  for (var q = 0u; q < dims.P; q++) {
    if (pairs[q].weight == 0.0) { continue; }
    let other = ranked_by(q, side);
    if (other < own || (other == own && q < p)) { rank++; }
  }
  return rank;
}

// metrics = beta times mean c, mean r and their difference, share with c > r, share with c < 0, mean lp_w, mean lp_l: of
// the pairs as they are, also where the loss compares others.
@compute @workgroup_size(64)
fn forward(@builtin(local_invocation_index) lane: u32) {
  let P = dims.P;
  let sorted = LOSS == AOT || LOSS == AOT_UNPAIRED;
  for (var p = lane; p < P; p += 64u) {
    if (sorted && pairs[p].weight != 0.0) { pulls[rank_of(p, 1u)].ranked = p; }
  }
  storageBarrier();
  for (var p = lane; p < P; p += 64u) {
    var opposite = p;
    if (sorted && pairs[p].weight != 0.0) { opposite = pulls[rank_of(p, 0u)].ranked; }
    pulls[p].opposite = opposite;
  }
  storageBarrier();
  var sum: array<f32, 8>;
  for (var p = lane; p < P; p += 64u) {
    let pair = pairs[p];
    let opposite = pulls[p].opposite;
    if (pair.weight == 0.0) {
      pulls[p].chosen = 0.0;
      pulls[p].rejected = 0.0;
      continue;
    }
    let share = shares(pair);
    let own = vec2f(ratio(p), ratio(P + p));
    var met = own;
    var loser = p;
    if (LOSS == AOT) { met = vec2f(lp[p] - reference[opposite], lp[P + p] - reference[P + opposite]); }
    if (LOSS == AOT_UNPAIRED) {
      met.y = ratio(P + opposite);
      loser = opposite;
    }
    let c = score(met.x);
    let r = score(met.y);
    let found = pair_loss(c.x * share.x, r.x * share.y, pair.margin, pair.smoothing);
    var w = pair.weight;
    if (WPO) {
      let likely = (lp[p] - collision[p]) / pair.tokens_w + (lp[P + p] - collision[P + p]) / pair.tokens_l;
      w *= exp(clamp(likely, -STEEP, STEEP));
    }
    pulls[p].chosen = w * found.y * share.x * c.y;
    pulls[loser].rejected = w * found.z * share.y * r.y;
    var reward = own;
    if (REFERENCE_FREE) { reward *= share; }
    sum[0] += w * found.x;
    sum[1] += pair.weight * hyper[0] * reward.x;
    sum[2] += pair.weight * hyper[0] * reward.y;
    sum[3] += pair.weight * hyper[0] * (reward.x - reward.y);
    sum[4] += pair.weight * select(0.0, 1.0, reward.x > reward.y);
    sum[5] += pair.weight * select(0.0, 1.0, reward.x < 0.0);
    sum[6] += pair.weight * lp[p];
    sum[7] += pair.weight * lp[P + p];
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      for (var m = 0u; m < 8u; m++) { sums[lane][m] += sums[lane + half][m]; }
    }
  }
  workgroupBarrier();
  if (lane == 0u) { loss[0] = sums[0][0]; }
  if (lane < 7u) { metrics[lane] = sums[0][lane + 1u]; }
}
