// The golden numbers of PPO's losses and of the pairwise reward loss (test/golden/alignment.json), as functions that run the shaders, as
// they are or changed, and return the largest error.
import {
  add,
  pairwiseReward,
  PPO_POLICY_METRICS,
  PPO_VALUE_METRICS,
  ppoPolicy,
  ppoValue,
  tokenLogprob,
  weightedSum,
} from "../../kernels/mod.ts";
import golden from "../golden/alignment.json" with { type: "json" };
import type { Check } from "./preference_golden.ts";
import { type Change, largestError, runLoss } from "./run.ts";
import type { Gpu } from "../../src/plan/mod.ts";

interface PolicyCase {
  lp: number[];
  advantages: number[];
  old?: number[];
  reference?: number[];
  weights?: number[];
  dual?: number;
  kl?: number;
  klLoss?: "k2" | "k3";
  surrogate?: "clip" | "gspo" | "cispo";
  clip?: readonly [number, number];
}

async function policy(gpu: Gpu, of: PolicyCase, change?: Change) {
  const { lp, advantages, dual = 0, kl = 0, clip = [0.2, 0.2] } = of;
  const N = lp.length;
  const { old = Array(N).fill(0), reference = old, weights = Array(N).fill(1 / N) } = of;
  const got = await runLoss(gpu, { shape: [1, N], data: lp }, (plan, logprobs, given) =>
    ppoPolicy(plan, {
      logprobs,
      old: given("old", [1, N], old),
      reference: given("reference", [1, N], reference),
      advantages: given("advantages", [1, N], advantages),
      weights: given("weights", [1, N], weights),
      means: given("means", [1, N], weights),
      hyper: given("hyper", [4], [...clip, dual, kl]),
    }, { surrogate: of.surrogate, klLoss: of.klLoss }), change);
  const metric = (name: typeof PPO_POLICY_METRICS[number]) => got.metrics[PPO_POLICY_METRICS.indexOf(name)];
  return { ...got, metric };
}

const logs = (ratios: number[]) => ratios.map(Math.log);

export const PPO_POLICY_CHECKS: Record<string, Check> = {
  "clip table": async (gpu, change) => {
    const { ratio, adv, loss, grad, clipfrac, approxkl_k2 } = golden.H_policy;
    const got = await policy(gpu, { lp: logs(ratio), advantages: adv }, change);
    const clipped = [got.metric("policy/clipfrac_avg"), got.metric("policy/clipfrac_high")];
    return largestError([got.loss, ...got.gradient, got.metric("policy/approxkl_avg"), ...clipped], [
      loss,
      ...grad,
      approxkl_k2,
      clipfrac,
      1 / ratio.length,
    ]);
  },
  "first epoch": async (gpu, change) => {
    const { loss, grad } = golden.H_policy_first_epoch;
    const lp = [-0.3, -2.5, -7.75, -0.001, -31];
    const got = await policy(gpu, { lp, old: lp, advantages: golden.H_policy.adv }, change);
    return largestError([got.loss, ...got.gradient, got.metric("val/ratio")], [loss, ...grad, 1]);
  },
  "masked tokens": async (gpu, change) => {
    const { ratio, adv, loss, grad } = golden.H_policy;
    const between = (values: number[], other: number) => values.flatMap((value) => [value, other]);
    const got = await policy(gpu, {
      lp: between(logs(ratio), -50),
      advantages: between(adv, 1e6),
      weights: between(Array(ratio.length).fill(1 / ratio.length), 0),
    }, change);
    return largestError([got.loss, ...got.gradient], [loss, ...between(grad, 0)]);
  },
  "dual clip": async (gpu, change) => {
    const { ratio, adv, loss } = golden.H_dualclip;
    const got = await policy(gpu, { lp: logs(ratio), advantages: adv, dual: 3 }, change);
    const mean = (loss[0] + loss[1]) / 2;
    return largestError([got.loss, ...got.gradient], [mean, 0, 0]);
  },
  // Expectations under p, as weighted sums over its three outcomes.
  "divergences": async (gpu, change) => {
    const { p, q, KL, E_k2, E_k3 } = golden.I_kl;
    const lp = logs(p), reference = logs(q);
    const of = { lp, old: lp, reference, weights: p, advantages: [0, 0, 0] };
    const [k2, k3] = [
      await policy(gpu, { ...of, kl: 2, klLoss: "k2" }, change),
      await policy(gpu, { ...of, kl: 2, klLoss: "k3" }, change),
    ];
    const l = lp.map((value, i) => value - reference[i]);
    return largestError(
      [
        k2.loss,
        k3.loss,
        ...k2.gradient,
        ...k3.gradient,
        k2.metric("policy/reference_k1"),
        k2.metric("policy/reference_k3"),
      ],
      [
        2 * E_k2,
        2 * E_k3,
        ...l.map((l, i) => 2 * p[i] * l),
        ...l.map((l, i) => 2 * p[i] * (1 - Math.exp(-l))),
        KL,
        E_k3,
      ],
    );
  },
  cispo: async (gpu, change) => { // -A clip(ratio) lp, of which lp alone has a gradient
    const ratio = [1, 1.5, 0.5], lp = [-1, -2, -3], advantages = [1, -1, 2];
    const got = await policy(gpu, {
      lp,
      old: lp.map((value, i) => value - Math.log(ratio[i])),
      advantages,
      surrogate: "cispo",
    }, change);
    const slopes = [1, 1.2, 0.8].map((bounded, i) => -advantages[i] * bounded / 3);
    return largestError([got.loss, ...got.gradient], [slopes.reduce((sum, g, i) => sum + g * lp[i], 0), ...slopes]);
  },
};

/** Losses whose gradient goes through entropies and logsumexp, and ranges and ratios that the table has not. */
export const POLICY_TERM_CHECKS: Record<string, Check> = {
  // One sequence of two tokens and padding: its ratio is e^0.2, just out of the range where the advantage is positive.
  gspo: async (gpu, change) => {
    const lp = [0.1, 0.3, 9], advantages = [1, -2, 1e6], weights = [0.5, 0.5, 0];
    const got = await policy(gpu, { lp, advantages, weights, surrogate: "gspo" }, change);
    const ratio = Math.exp(0.2);
    return largestError([got.loss, ...got.gradient, got.metric("val/ratio")], [-0.6 + ratio, 0, ratio, 0, ratio]);
  },
  // A wide range above 1, and none below.
  range: async (gpu, change) => {
    const of = { lp: logs([1.7, 2.5, 0.3, 0.3]), advantages: [1, 1, 1, -1], clip: [1, 1] as const };
    const got = await policy(gpu, of, change);
    return largestError([got.loss, ...got.gradient, got.metric("policy/clipfrac_high")], [
      (-1.7 - 2 - 0.3 + 0.3) / 4,
      ...[-1.7, 0, -0.3, 0.3].map((g) => g / 4),
      0.25,
    ]);
  },
  // Entropies and logsumexps of two rows of logits, each with a weight of its own.
  entropy: async (gpu, change) => {
    const { logits: rows, entropy } = golden.A1_ce;
    const [first, second] = rows;
    const each = [0.5, -2], factors = [0.25, -1.5, 0];
    const data = first.flatMap((_, v) => [first[v], second[v], 0, 0]);
    const got = await runLoss(gpu, { shape: [3, 4], data }, (plan, head, given) => {
      const hidden = given("hidden", [2, 4], [1, 0, 0, 0, 0, 1, 0, 0]);
      const { logprob, aux } = tokenLogprob(
        plan,
        hidden,
        head,
        given("targets", [2], Uint32Array.of(2, 1)),
        undefined,
        true,
      );
      const sums = weightedSum(plan, aux, given("each", [2], each), 3);
      const terms = weightedSum(plan, sums, given("factors", [3], factors), 1);
      return { loss: add(plan, terms, weightedSum(plan, logprob, given("chosen", [2], [1, 1]), 1)) };
    }, change);
    const lse = rows.map((row) => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)));
    const loss = rows.reduce(
      (sum, row, n) => sum + row[[2, 1][n]] - lse[n] + each[n] * (factors[0] * lse[n] + factors[1] * entropy[n]),
      0,
    );
    const slopes = first.flatMap((_, v) => [
      ...rows.map((row, n) => {
        const logP = row[v] - lse[n], p = Math.exp(logP);
        return Number(v === [2, 1][n]) - p + each[n] * (factors[0] * p - factors[1] * p * (logP + entropy[n]));
      }),
      0,
      0,
    ]);
    return largestError([got.loss, ...got.gradient], [loss, ...slopes]);
  },
};

export const PPO_VALUE_CHECKS: Record<string, Check> = {
  "value table": async (gpu, change) => {
    const { v_old, v_new, returns, clip, loss, grad } = golden.H_value;
    const N = 2 * v_new.length; // every other token is masked
    const between = (values: number[], other: number) => values.flatMap((value) => [value, other]);
    const factor = 0.25;
    const got = await runLoss(gpu, { shape: [N], data: between(v_new, 40) }, (plan, values, given) =>
      ppoValue(plan, {
        values,
        old: given("old", [N], between(v_old, -40)),
        returns: given("returns", [N], between(returns, 1e6)),
        weights: given("weights", [N], between(Array(v_new.length).fill(1 / v_new.length), 0)),
        hyper: given("hyper", [2], [clip, factor]),
      }), change);
    const metric = (name: typeof PPO_VALUE_METRICS[number]) => got.metrics[PPO_VALUE_METRICS.indexOf(name)];
    const errors = v_new.map((v, i) => returns[i] - v);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return largestError(
      [
        got.loss,
        ...got.gradient,
        metric("loss/value_avg"),
        metric("val/clipfrac_avg"),
        metric("val/errors"),
        metric("val/errors_squared"),
      ],
      [
        factor * loss,
        ...between(grad.map((g) => factor * g), 0),
        loss,
        1 / 3,
        mean(errors),
        mean(errors.map((e) => e * e)),
      ],
    );
  },
};

const REWARD_ROWS = [
  "E_rm_equal",
  "E_rm_pos",
  "E_rm_neg",
  "E_rm_margin",
  "E_rm_center",
  "E_rm_big",
  "E_rm_bigneg",
] as const;

/** Each row twice, with half of the weight each, and a pair of padding behind them. */
export const REWARD_CHECKS: Record<string, Check> = Object.fromEntries(REWARD_ROWS.map((name) => {
  const { r: [better, worse], margin, center, loss, grad: [up, down] } = golden[name];
  const check: Check = async (gpu, change) => {
    const data = [better, better, -9, worse, worse, 9];
    const got = await runLoss(gpu, { shape: [6], data }, (plan, rewards, given) =>
      pairwiseReward(plan, {
        rewards,
        margin: given("margin", [3], [margin, margin, 5]),
        weight: given("weight", [3], [0.5, 0.5, 0]),
        hyper: given("hyper", [1], [center]),
      }), change);
    const [accuracy, gap] = got.metrics;
    const slopes = [up / 2, up / 2, 0, down / 2, down / 2, 0];
    return largestError([got.loss, ...got.gradient, accuracy, gap], [
      loss,
      ...slopes,
      Number(better > worse),
      better - worse,
    ]);
  };
  return [name, check];
}));
