// Named mistakes in the shaders of the losses: each a text and what it becomes. The golden check that a mistake names must fail on it;
// a kernel is a row of KERNELS, and a new one comes with its checks and its own mistakes.
import type { Change } from "./run.ts";
import { type Check, KTO_CHECKS, PREFERENCE_CHECKS } from "./preference_golden.ts";
import { POLICY_TERM_CHECKS, PPO_POLICY_CHECKS, PPO_VALUE_CHECKS, REWARD_CHECKS } from "./ppo_golden.ts";

export interface Mutation {
  name: string;
  /** The kernel by its name in plans, and text of its shader that is there once. */
  kernel: string;
  find: string;
  replace: string;
  /** The golden check that must see it. */
  check: string;
}

/** Golden checks of the kernels that are mutated, by family. */
export const CHECKS: Record<string, Record<string, Check>> = {
  preference: PREFERENCE_CHECKS,
  kto: KTO_CHECKS,
  ppo_policy: PPO_POLICY_CHECKS,
  policy_terms: POLICY_TERM_CHECKS,
  ppo_value: PPO_VALUE_CHECKS,
  reward: REWARD_CHECKS,
};

/** The mistake as a change of shaders. `seen` counts the kernels that it changed: none means that the check runs other code. */
export function mutate({ name, kernel, find, replace }: Mutation, seen: { count: number }): Change {
  return (original) => {
    if (original.name !== kernel) return original;
    const places = original.code.split(find).length - 1;
    if (places !== 1) {
      throw new Error(`Cannot apply mutation "${name}": ${kernel} has its text ${places} times, not once: ${find}`);
    }
    seen.count++;
    return { ...original, code: original.code.replace(find, () => replace) };
  };
}

const of = (kernel: string, ...rows: [name: string, check: string, find: string, replace: string][]): Mutation[] =>
  rows.map(([name, check, find, replace]) => ({ name, kernel, find, replace, check }));

export const MUTATIONS: Mutation[] = [
  ...of(
    "preference.forward",
    ["the lead has the wrong sign", "sigmoid", "let z = beta * (u - v) - margin;", "let z = beta * (v - u) - margin;"],
    ["chosen and rejected are swapped", "sigmoid", "vec2f(ratio(p), ratio(P + p))", "vec2f(ratio(P + p), ratio(p))"],
    ["the reference is forgotten", "sigmoid", "return lp[i] - reference[i];", "return lp[i];"],
    ["the reference is used without one", "simpo", "if (REFERENCE_FREE) { return lp[i]; }", ""],
    ["beta is forgotten", "sigmoid", "let beta = hyper[0];", "let beta = 1.0;"],
    [
      "beta is forgotten in the slope",
      "sigmoid",
      "return vec3f(by_z.x, beta * by_z.y, -beta * by_z.y);",
      "return vec3f(by_z.x, by_z.y, -by_z.y);",
    ],
    [
      "both slopes have one sign",
      "sigmoid",
      "return vec3f(by_z.x, beta * by_z.y, -beta * by_z.y);",
      "return vec3f(by_z.x, beta * by_z.y, beta * by_z.y);",
    ],
    [
      "label smoothing is ignored",
      "sigmoid_ls",
      "default: { by_z = cross_entropy(z, e); }",
      "default: { by_z = cross_entropy(z, 0.0); }",
    ],
    ["label smoothing is ignored in the slope", "sigmoid_ls", "e - sigmoid(-z));", "-sigmoid(-z));"],
    [
      "label smoothing has its sides swapped",
      "sigmoid_ls",
      "-(1.0 - e) * log_sigmoid(z) - e * log_sigmoid(-z)",
      "-e * log_sigmoid(z) - (1.0 - e) * log_sigmoid(-z)",
    ],
    ["pairs are summed, not averaged", "aot", "sum[0] += w * found.x;", "sum[0] += found.x;"],
    [
      "the slope does not know the weight",
      "aot slopes",
      "pulls[p].chosen = w * found.y",
      "pulls[p].chosen = found.y",
    ],
    ["IPO on sums", "ipo_norm", "LOSS == IPO || LOSS == SIGMOID_NORM", "LOSS == SIGMOID_NORM"],
    ["SimPO on sums", "simpo", "LOSS == SIMPO || LOSS == ORPO;", "LOSS == ORPO;"],
    [
      "lengths of winner and loser are swapped",
      "sigmoid_norm",
      "vec2f(1.0 / pair.tokens_w, 1.0 / pair.tokens_l), means",
      "vec2f(1.0 / pair.tokens_l, 1.0 / pair.tokens_w), means",
    ],
    ["lengths are forgotten in the slope", "sigmoid_norm", "w * found.z * share.y * r.y", "w * found.z * r.y"],
    ["IPO's target is 1 / beta", "ipo_sum", "vec2f((z - 0.5) * (z - 0.5),", "vec2f((z - 1.0) * (z - 1.0),"],
    ["IPO's slope misses its 2", "ipo_sum", "2.0 * (z - 0.5))", "(z - 0.5))"],
    ["the hinge is flipped", "hinge", "max(0.0, 1.0 - z)", "max(0.0, 1.0 + z)"],
    ["the hinge never rests", "torchtune", "max(0.0, 1.0 - z)", "1.0 - z"],
    ["EXO's smoothing has its sides swapped", "exo_pair", "log_sigmoid(z) - log(1.0 - e)", "log_sigmoid(z) - log(e)"],
    ["EXO's slope misses the loser's side", "exo_pair", "up * down * (a - b)", "up * down * a"],
    ["NCA counts the loser whole", "nca_pair", "- 0.5 * log_sigmoid(-y),", "- log_sigmoid(-y),"],
    [
      "NCA's slope misses its half",
      "nca_pair",
      "beta * (0.5 * sigmoid(x) - sigmoid(-x))",
      "beta * (sigmoid(x) - sigmoid(-x))",
    ],
    [
      "BCO raises the loser",
      "bco_pair",
      "-log_sigmoid(x) - log_sigmoid(-y), -beta",
      "-log_sigmoid(x) - log_sigmoid(y), -beta",
    ],
    [
      "BCO's loser slope has the wrong sign",
      "bco_pair",
      "-beta * sigmoid(-x), beta * sigmoid(y))",
      "-beta * sigmoid(-x), -beta * sigmoid(y))",
    ],
    ["robust does not divide by 1 - 2 e", "robust", "let scale = 1.0 / (1.0 - 2.0 * e);", "let scale = 1.0;"],
    [
      "robust is cDPO",
      "robust",
      "e * log_sigmoid(-z) - (1.0 - e) * log_sigmoid(z), ",
      "-e * log_sigmoid(-z) - (1.0 - e) * log_sigmoid(z), ",
    ],
    ["SPPO has one target for both", "sppo_hard", "let below = v + 0.5 / beta;", "let below = v - 0.5 / beta;"],
    ["APO-zero raises the loser", "apo_zero", "vec3f(sigmoid(-x) + sigmoid(y),", "vec3f(sigmoid(-x) + sigmoid(-y),"],
    ["APO-down raises the winner", "apo_down", "vec3f(sigmoid(x) + down,", "vec3f(sigmoid(-x) + down,"],
    ["APO-down's slope misses the lead", "apo_down", "beta * (x_steep - up * down)", "beta * x_steep"],
    [
      "DiscoPOP's gate is shut",
      "discopop",
      "let gate = sigmoid(cooled);\n      let shut = sigmoid(-cooled);",
      "let gate = sigmoid(-cooled);\n      let shut = sigmoid(cooled);",
    ],
    ["DiscoPOP ignores its temperature", "discopop", "let cooled = z / hyper[3];", "let cooled = z;"],
    ["DiscoPOP's slope misses the turn of the gate", "discopop", " + log_sigmoid(z) * turn", ""],
    ["SimPO adds gamma", "simpo", "cross_entropy(z - hyper[2], e)", "cross_entropy(z + hyper[2], e)"],
    [
      "ORPO takes probabilities for odds",
      "orpo_or",
      "return vec2f(a - log(rest), 1.0 / rest);",
      "return vec2f(a, 1.0);",
    ],
    ["ORPO forgets beta", "orpo_or", "return beta * vec3f(odds.x,", "return vec3f(odds.x,"],
    ["forward KL turned round", "fwd_kl", "let e = exponential(-u);", "let e = exponential(u);"],
    [
      "JS is the log-sigmoid of the loser's side",
      "js",
      "vec2f(log_sigmoid(u), sigmoid(-u))",
      "vec2f(log_sigmoid(-u), sigmoid(-u))",
    ],
    ["a divergence without its slope", "js", "w * found.y * share.x * c.y", "w * found.y * share.x"],
    ["alpha is not taken off 1", "alpha0.5", "let rise = hyper[1] - 1.0;", "let rise = hyper[1];"],
    ["AOT does not sort", "aot slopes", "if (LOSS == AOT) { met =", "if (LOSS == AOT && lane > 64u) { met ="],
    [
      "AOT sorts one side upside down",
      "aot",
      "if (other < own ||",
      "if ((side == 1u && other > own) || (side == 0u && other < own) ||",
    ],
    ["unpaired AOT is AOT", "aot-unpaired", "if (LOSS == AOT_UNPAIRED) { return ratio(p + side * dims.P); }", ""],
    ["accuracy counts ties", "metrics of ties", "reward.x > reward.y", "reward.x >= reward.y"],
    ["falling winners count those that rise", "metrics", "reward.x < 0.0", "reward.x > 0.0"],
    [
      "rewards without beta",
      "metrics",
      "sum[1] += pair.weight * hyper[0] * reward.x;",
      "sum[1] += pair.weight * reward.x;",
    ],
    ["margins are sums", "metrics", "hyper[0] * (reward.x - reward.y)", "hyper[0] * (reward.x + reward.y)"],
    [
      "losers' log-probabilities are winners'",
      "metrics",
      "sum[7] += pair.weight * lp[P + p];",
      "sum[7] += pair.weight * lp[p];",
    ],
  ),
  ...of(
    "preference.backward",
    ["both sides get the winner's slope", "sigmoid", "d_loss[0] * pulls[p].rejected", "d_loss[0] * pulls[p].chosen"],
    ["losers' slopes go to winners", "sigmoid", "    d_lp[dims.P + p] = rejected;", "    d_lp[p] = rejected;"],
  ),
  ...of(
    "weighted_sum.forward",
    ["the mask is dropped", "token level", " * w[(b % dims.R) * dims.T + t]", ""],
    [
      "the mask is off by one",
      "token level",
      "w[(b % dims.R) * dims.T + t]",
      "w[(b % dims.R) * dims.T + (t + 1u) % dims.T]",
    ],
    ["mean for sum", "token level", "out[b] = sums[0];", "out[b] = sums[0] / f32(dims.T);"],
  ),
  ...of(
    "weighted_sum.backward",
    ["the SFT term is overwritten", "sigmoid_plus_sft", "if (ADD) { value += dx[i]; }", ""],
    ["the mask is dropped from the gradient", "token level", " * w[(b % dims.R) * dims.T + i % dims.T]", ""],
    ["the gradient goes to the next sequence", "token level", "d_out[b] *", "d_out[(b + 1u) % dims.B] *"],
  ),
  ...of(
    "segment_sum.forward",
    ["the mask is dropped", "token level, packed", "sum += x[n] * w[n];", "sum += x[n];"],
    ["segments are off by one", "token level, packed", "segments[n] == group.x", "segments[n] == group.x + 1u"],
  ),
  ...of(
    "segment_sum.backward",
    ["the mask is dropped", "token level, packed", "d_out[segments[n]] * w[n];", "d_out[segments[n]];"],
    ["one segment gets all", "token level, packed", "value = d_out[segments[n]]", "value = d_out[0]"],
  ),
  ...of(
    "token_logprob.fold",
    ["targets are off by one", "token level", "let t = targets[n];", "let t = targets[(n + 1u) % dims.N];"],
    ["no normaliser", "token level", "logprob[n] = wanted - lse;", "logprob[n] = wanted;"],
  ),
  ...of(
    "token_logprob.backward",
    [
      "targets are off by one in the gradient",
      "token level",
      "targets[n] - dims.first",
      "targets[(n + 1u) % dims.N] - dims.first",
    ],
    [
      "the softmax is missing from the gradient",
      "token level",
      "(onehot(hit - w * LANES) - exp(logits[i] - Elem(lse)))",
      "onehot(hit - w * LANES)",
    ],
    ["the gradient has the wrong sign", "token level", "logits[i] = g *", "logits[i] = -g *"],
  ),
  ...of(
    "kto.forward",
    ["desirable and undesirable are swapped", "kto", "select(k - u, u - k, wanted)", "select(u - k, k - u, wanted)"],
    ["the KL estimate is added", "kto", "let k = max(0.0, kl[0]);", "let k = -max(0.0, kl[0]);"],
    ["a negative KL estimate counts", "kto", "let k = max(0.0, kl[0]);", "let k = kl[0];"],
    ["the KL estimate is ignored", "kto", "let k = max(0.0, kl[0]);", "let k = 0.0;"],
    ["the value for the loss", "kto", "item.weight * sigmoid(-lead)", "item.weight * sigmoid(lead)"],
    ["the reference is forgotten", "kto", "let u = lp[p] - reference[p];", "let u = lp[p];"],
    ["both kinds are pulled one way", "kto", "select(beta, -beta, wanted)", "-beta"],
    ["the slope of a log-sigmoid", "kto", "* sigmoid(lead) * sigmoid(-lead);", "* sigmoid(-lead);"],
    ["beta is forgotten", "kto", "let beta = hyper[0];", "let beta = 1.0;"],
    ["rewards of the kinds are swapped", "kto", "select(0.0, item.share, wanted)", "select(item.share, 0.0, wanted)"],
  ),
  ...of(
    "kto.backward",
    ["the gradient has the wrong sign", "kto", "var g = d_loss[0] * pulls[p];", "var g = -d_loss[0] * pulls[p];"],
  ),
  ...of(
    "ppo_policy.forward",
    ["the mask is dropped", "masked tokens", "let w = weights[n];", "let w = 0.2;"],
    [
      "the better of plain and clipped",
      "clip table",
      "var loss = max(plain, clipped);",
      "var loss = min(plain, clipped);",
    ],
    ["no clipping", "clip table", "let clipped = -a * bounded;", "let clipped = plain;"],
    [
      "the ratio is turned round",
      "clip table",
      "clamp(lp[n] - old[n], -20.0, 20.0)",
      "clamp(old[n] - lp[n], -20.0, 20.0)",
    ],
    ["advantages have the wrong sign", "clip table", "let a = advantages[n];", "let a = -advantages[n];"],
    [
      "clipping on one side",
      "clip table",
      "clamp(ratio, 1.0 - hyper[0], 1.0 + hyper[1])",
      "min(ratio, 1.0 + hyper[1])",
    ],
    ["sum for mean", "clip table", "sum[0] += w * (loss + penalty);", "sum[0] += loss + penalty;"],
    [
      "dual clip for good tokens",
      "dual clip",
      "hyper[2] > 0.0 && a < 0.0) { loss",
      "hyper[2] > 0.0 && a > 0.0) { loss",
    ],
    ["k2 without its half", "divergences", "let k2 = 0.5 * l * l;", "let k2 = l * l;"],
    ["k3 turned round", "divergences", "exp(-near) - 1.0 + near", "exp(near) - 1.0 - near"],
    ["the penalty is a bonus", "divergences", "sum[0] += w * (loss + penalty);", "sum[0] += w * (loss - penalty);"],
    ["CISPO without the bound", "cispo", "loss = clipped * lp[n];", "loss = plain * lp[n];"],
    ["one range for both sides", "range", "1.0 + hyper[1]", "1.0 + 0.2"],
    [
      "the clipped share above counts both sides",
      "clip table",
      "select(0.0, 1.0, out && ratio > 1.0)",
      "select(0.0, 1.0, out)",
    ],
    ["approximate KL without its half", "clip table", "mean * 0.5 * d * d", "mean * d * d"],
    ["the clipped share counts all", "clip table", "var out = clipped > plain;", "var out = clipped >= plain;"],
  ),
  ...of(
    "ppo_policy.backward",
    ["sum for mean", "clip table", "g *= d_loss[0] * weights[n];", "g *= d_loss[0];"],
    ["clipped tokens pull too", "clip table", "plain >= clipped && !dual", "!dual"],
    ["clipping on the wrong side", "clip table", "plain >= clipped && !dual", "plain <= clipped && !dual"],
    ["the ratio is left out", "clip table", "let plain = -a * ratio;", "let plain = -a;"],
    ["the dual clip still pulls", "dual clip", "plain >= clipped && !dual", "plain >= clipped"],
    ["advantages have the wrong sign", "first epoch", "let a = advantages[n];", "let a = -advantages[n];"],
    ["the penalty has no gradient", "divergences", "g += hyper[3] * slope;", ""],
    ["the gradient of k3 for k2", "divergences", "var slope = l;", "var slope = 1.0 - exp(-l);"],
    ["the gradient of k1 for k2", "divergences", "var slope = l;", "var slope = 1.0;"],
    ["the gradient of k2 for k3", "divergences", "if (K3) { slope =", "if (K3 && n > 64u) { slope ="],
    ["the range above is the one below", "range", "1.0 + hyper[1]", "1.0 + 0.2"],
    ["CISPO's weight is not bounded", "cispo", "if (CISPO) { g = clipped; }", "if (CISPO) { g = plain; }"],
  ),
  ...of(
    "sequence_old",
    ["padding is in the sequence's ratio", "gspo", "if (means[first + t] != 0.0) { sum +=", "{ sum +="],
    ["the ratio is a product, no mean", "gspo", "sums[0].x / max(sums[0].y, 1.0)", "sums[0].x"],
    ["every token has its own ratio", "gspo", "lp[first + t] - mean,", "old[first + t],"],
  ),
  ...of(
    "token_logprob.backward_aux",
    ["the entropy is missing from its slope", "entropy", "(log_p + Elem(entropy))", "log_p"],
    ["entropy falls where it should rise", "entropy", "- g_entropy *", "+ g_entropy *"],
    ["logsumexp has no gradient", "entropy", "Elem(g_lse - g)", "Elem(-g)"],
    [
      "the gradients of logsumexp and entropy are swapped",
      "entropy",
      "let g_lse = d_aux[n];",
      "let g_lse = d_aux[dims.N + n];",
    ],
    ["the log-probability has no gradient", "entropy", "g * onehot(hit - w * LANES) + ", ""],
  ),
  ...of(
    "ppo.finish",
    ["metrics are off by one", "clip table", "metrics[m - 1u] = sums[0];", "metrics[m % (dims.M - 1u)] = sums[0];"],
  ),
  ...of(
    "ppo_value.forward",
    [
      "the better of plain and clipped",
      "value table",
      "0.5 * max(e * e, bounded * bounded)",
      "0.5 * min(e * e, bounded * bounded)",
    ],
    ["the half is missing", "value table", "0.5 * max(", "max("],
    ["no clipping", "value table", "max(e * e, bounded * bounded)", "e * e"],
    [
      "clipping around 0.5",
      "value table",
      "clamp(values[n], old[n] - hyper[0], old[n] + hyper[0])",
      "clamp(values[n], 0.5 - hyper[0], 0.5 + hyper[0])",
    ],
    [
      "the mask is dropped",
      "value table",
      "let w = weights[n];\n    if (w == 0.0) { continue; }",
      "let w = 1.0 / f32(dims.N);",
    ],
    ["the factor is forgotten", "value table", "sum[0] += w * hyper[1] * loss;", "sum[0] += w * loss;"],
  ),
  ...of(
    "ppo_value.backward",
    ["sum for mean", "value table", "* weights[n] * e", "* e"],
    ["the gradient has the wrong sign", "value table", "g = -d_loss[0]", "g = d_loss[0]"],
    ["clipping on the wrong side", "value table", "e * e >= bounded * bounded", "e * e <= bounded * bounded"],
    ["the factor is forgotten", "value table", "-d_loss[0] * hyper[1] * weights[n] * e", "-d_loss[0] * weights[n] * e"],
  ),
  ...of(
    "reward.forward",
    ["sum for mean", "E_rm_pos", "sum += w *", "sum +="],
    ["padding counts", "E_rm_pos", "if (w == 0.0) { continue; }", "if (w == 0.0) { sum += log_sigmoid(r[p]); }"],
    [
      "winner and loser are swapped",
      "E_rm_pos",
      "log_sigmoid(better - worse - margin[p])",
      "log_sigmoid(worse - better - margin[p])",
    ],
    ["the margin is added", "E_rm_margin", "better - worse - margin[p]", "better - worse + margin[p]"],
    ["the centring is forgotten", "E_rm_center", "center * both * both - ", "-"],
    [
      "the naive logarithm",
      "E_rm_bigneg",
      "return min(x, 0.0) - log(1.0 + exp(-abs(x)));",
      "return log(1.0 / (1.0 + exp(-x)));",
    ],
    ["accuracy counts ties", "E_rm_equal", "better > worse", "better >= worse"],
  ),
  ...of(
    "reward.backward",
    ["both are pulled one way", "E_rm_pos", "scale * (pull + s)", "scale * (pull - s)"],
    ["the centring has no gradient", "E_rm_center", "2.0 * hyper[0] * (better + worse)", "0.0"],
    ["the centring misses its 2", "E_rm_center", "2.0 * hyper[0] *", "hyper[0] *"],
    ["the margin is forgotten", "E_rm_margin", "sigmoid(margin[p] - better + worse)", "sigmoid(worse - better)"],
    ["padding is pulled", "E_rm_pos", "d_loss[0] * weight[p]", "d_loss[0]"],
  ),
];
