// The golden numbers of the DPO family and of KTO (test/golden/alignment.json: float64, autodiff checked by finite differences), each as
// a function that runs the shaders, as they are or changed, and returns the largest error.
import type { Gpu, Plan, Tensor } from "../../src/plan/mod.ts";
import { type Divergence, type PreferenceLoss, tokenLogprob } from "../../kernels/mod.ts";
import { ktoItems, ktoLoss } from "../../src/loss/kto.ts";
import { pairNumbers, preferenceHyper, preferenceLoss } from "../../src/loss/preference.ts";
import golden from "../golden/alignment.json" with { type: "json" };
import { type Change, type Given, largestError, runLoss } from "./run.ts";

export type Check = (gpu: Gpu, change?: Change) => Promise<number>;

export interface Case {
  loss: PreferenceLoss;
  divergence?: Divergence;
  beta?: number;
  gamma?: number;
  temperature?: number;
  divergenceAlpha?: number;
  /** Of every pair. */
  labelSmoothing?: number;
  margin?: number;
  /** Of the SFT term. */
  alpha?: number;
  /** Token weights of each winner and of each loser. */
  tokens?: [number, number];
  /** [2P] for WPO: sums of log sum p^2, given as they are. */
  collision?: number[];
}

/** The loss on P pairs given as sums [winners, losers], each a row of one token. */
export function runPairs(gpu: Gpu, sums: number[], reference: number[], options: Case, change?: Change) {
  const P = sums.length / 2;
  const { beta = 0.1, labelSmoothing = 0, margin = 0, alpha = 0, tokens = [1, 1] } = options;
  const row = { weight: 1 / P, chosenTokens: tokens[0], rejectedTokens: tokens[1], margin, labelSmoothing };
  return runLoss(gpu, { shape: [2 * P, 1], data: sums }, (plan, logprob, given) =>
    preferenceLoss(plan, logprob, {
      mask: given("mask", [2 * P, 1], Array(2 * P).fill(1)),
      reference: given("reference", [2 * P], reference),
      pairs: given("pairs", [P, 5], pairNumbers(Array(P).fill(row), P)),
      sftWeight: given("sft", [2 * P, 1], sums.map((_, i) => i < P ? -alpha / tokens[0] / P : 0)),
      hyper: given("hyper", [4], preferenceHyper({ ...options, beta, labelSmoothing })),
    }, options), change);
}

const { inputs, out, metrics } = golden.F_dpo_family;
const SUMS = [inputs.policy_chosen, inputs.policy_rejected];
const REFERENCE = [inputs.ref_chosen, inputs.ref_rejected];
const tokens: [number, number] = [inputs.len_chosen, inputs.len_rejected];
const smoothed = { labelSmoothing: inputs.eps };

/** Rows of the golden table and what they are called here. */
export const FAMILY: Record<keyof typeof out, Case> = {
  sigmoid: { loss: "sigmoid" },
  sigmoid_ls: { loss: "sigmoid", ...smoothed },
  robust: { loss: "robust", ...smoothed },
  hinge: { loss: "hinge" },
  ipo_sum: { loss: "ipo-sum" },
  ipo_norm: { loss: "ipo", tokens },
  exo_pair: { loss: "exo", labelSmoothing: inputs.exo_eps },
  nca_pair: { loss: "nca" },
  bco_pair: { loss: "bco" },
  sppo_hard: { loss: "sppo" },
  apo_zero: { loss: "apo-zero" },
  apo_down: { loss: "apo-down" },
  discopop: { loss: "discopop", temperature: inputs.discopop_tau },
  sigmoid_norm: { loss: "sigmoid-norm", tokens },
  ref_free: { loss: "cpo" },
  simpo: { loss: "simpo", beta: inputs.simpo_beta, gamma: inputs.simpo_gamma, tokens },
  cpo_sigmoid: { loss: "cpo" },
  orpo_or: { loss: "orpo", tokens },
  fwd_kl: { loss: "sigmoid", divergence: "forward-kl" },
  js: { loss: "sigmoid", divergence: "js" },
  "alpha0.5": { loss: "sigmoid", divergence: "alpha", divergenceAlpha: 0.5 },
  sigmoid_plus_sft: { loss: "sigmoid", alpha: 1, tokens },
};

/** Loss, both slopes, and the loss where the policy is the reference. */
function familyRow(name: keyof typeof out): Check {
  const want = out[name];
  return async (gpu, change) => {
    const got = await runPairs(gpu, SUMS, REFERENCE, FAMILY[name], change);
    const still = await runPairs(gpu, REFERENCE, REFERENCE, FAMILY[name], change);
    return largestError([got.loss, ...got.gradient, still.loss], [
      want.loss,
      want.dchosen,
      want.drejected,
      want.loss_at_ref,
    ]);
  };
}

const names = Object.keys(metrics) as (keyof typeof metrics)[];

/**
 * Two chosen and two rejected tokens of a vocabulary of three, each sequence behind a masked token, through head and softmax: in
 * rows of their own, or in one row as segments.
 */
const tokenLevel = (packed: boolean): Check => async (gpu, change) => {
  const g = golden.F_token;
  const rows = [[3, -2, 1], ...g.logits_chosen, [0, 4, -1], ...g.logits_rejected]; // logits [6,3]
  const targets = Uint32Array.of(1, ...g.y_chosen, 2, ...g.y_rejected);
  const [N, C, V] = [rows.length, 8, 3];
  const log3 = Math.log(3);
  // Row n of `hidden` is 1 in column n alone, so that head[v][n] is logit v of row n.
  const head = Array.from({ length: V * C }, (_, i) => rows[i % C]?.[Math.floor(i / C)] ?? 0);
  const got = await runLoss(gpu, { shape: [V, C], data: head }, (plan, weight, given) => {
    const hidden = given(
      "hidden",
      [N, C],
      Array.from({ length: N * C }, (_, i) => Number(i % C === Math.floor(i / C))),
    );
    const { logprob } = tokenLogprob(plan, hidden, weight, given("targets", [N], targets));
    return onePair(plan, logprob, given, N / 2, [-2 * log3, -2 * log3], g.beta, packed);
  }, change);
  const zero = [0, 0, 0];
  const want = [zero, ...g.dlogits_chosen, zero, ...g.dlogits_rejected];
  const slopes = rows.map((_, n) => [0, 1, 2].map((v) => got.gradient[v * C + n]));
  const logps = [got.metrics[5], got.metrics[6]];
  return largestError([got.loss, ...logps, ...slopes.flat()], [g.loss, g.logp_chosen, g.logp_rejected, ...want.flat()]);
};

/** The sigmoid loss on one pair of sequences of T tokens, of which the first is a prompt's. */
function onePair(
  plan: Plan,
  logprob: Tensor,
  given: Given,
  T: number,
  reference: number[],
  beta: number,
  packed: boolean,
) {
  const mask = Array.from({ length: 2 * T }, (_, i) => Number(i % T > 0));
  const row = { weight: 1, chosenTokens: T - 1, rejectedTokens: T - 1, margin: 0, labelSmoothing: 0 };
  return preferenceLoss(plan, logprob, {
    mask: given("mask", [2, T], mask),
    segments: packed ? given("segments", [2 * T], Uint32Array.from(mask, (_, i) => Math.floor(i / T))) : undefined,
    reference: given("reference", [2], reference),
    pairs: given("pairs", [1, 5], pairNumbers([row], 1)),
    sftWeight: given("sft", [2, T], Array(2 * T).fill(0)),
    hyper: given("hyper", [4], preferenceHyper({ beta, labelSmoothing: 0 })),
  }, {});
}

/** Every golden check of the pair losses by name. */
export const PREFERENCE_CHECKS: Record<string, Check> = {
  ...Object.fromEntries((Object.keys(out) as (keyof typeof out)[]).map((name) => [name, familyRow(name)])),
  metrics: async (gpu, change) => {
    const got = await runPairs(gpu, SUMS, REFERENCE, { loss: "sigmoid" }, change);
    const [chosen, rejected, margins, accuracies, falling, ...logps] = got.metrics;
    return largestError([chosen, rejected, margins, accuracies, ...logps, falling], [
      ...names.map((n) => metrics[n]),
      0,
    ]);
  },
  "metrics of ties": async (gpu, change) => { // accuracy is a strict >
    const got = await runPairs(gpu, REFERENCE, REFERENCE, { loss: "sigmoid" }, change);
    return largestError(got.metrics, [0, 0, 0, 0, 0, ...REFERENCE]);
  },
  torchtune: async (gpu, change) => {
    const { logits, beta, loss, hinge } = golden.F_torchtune;
    const errors = await Promise.all(
      logits.flatMap((d, i) =>
        ([["sigmoid", loss[i]], ["hinge", hinge[i]]] as const).map(async ([name, want]) =>
          largestError([(await runPairs(gpu, [d, 0], [0, 0], { loss: name, beta }, change)).loss], [want])
        )
      ),
    );
    return Math.max(...errors);
  },
  aot: async (gpu, change) => {
    const { pc, pr, rc, rr, beta, loss_mean } = golden.F_aot;
    const paired = await runPairs(gpu, [...pc, ...pr], [...rc, ...rr], { loss: "aot", beta }, change);
    return largestError([paired.loss], [loss_mean]);
  },
  "aot slopes": async (gpu, change) => { // of three pairs with one weight, in units of the sigmoid loss at their leads
    const { pc, pr, rc, rr, beta } = golden.F_aot;
    const got = await runPairs(gpu, [...pc, ...pr], [...rc, ...rr], { loss: "aot", beta }, change);
    const leads = [2, -1, -1], references = [-1, -0.5, 0.5]; // policy's by pair: ties keep their order; reference's sorted
    const ranks = [2, 0, 1];
    const slopes = leads.map((lead, p) => -beta / (1 + Math.exp(beta * (lead - references[ranks[p]]))) / 3);
    return largestError(got.gradient, [...slopes, ...slopes.map((slope) => -slope)]);
  },
  "aot-unpaired": async (gpu, change) => {
    const { pc, pr, rc, rr, beta } = golden.F_aot;
    const unpaired = await runPairs(gpu, [...pc, ...pr], [...rc, ...rr], { loss: "aot-unpaired", beta }, change);
    return largestError([unpaired.loss], [golden.F_aot_unpaired.loss_mean]);
  },
  "token level": tokenLevel(false),
  "token level, packed": tokenLevel(true),
};

/** A desirable and an undesirable item, each alone in its step. */
export const KTO_CHECKS: Record<string, Check> = {
  kto: async (gpu, change) => {
    const { beta, logratio_des, logratio_und, kl, loss_des, loss_und, at_ref } = golden.F_kto;
    const one = async (ratio: number, desirable: boolean, kl: number) =>
      await runLoss(gpu, { shape: [1, 1], data: [ratio - 7] }, (plan, logprob, given) =>
        ktoLoss(plan, logprob, {
          mask: given("mask", [1, 1], [1]),
          reference: given("reference", [1], [-7]),
          items: given(
            "items",
            [1, 3],
            ktoItems([desirable], 1, { items: 1, lambdaDesirable: 1, lambdaUndesirable: 1 }),
          ),
          kl: given("kl", [1], [kl]),
          hyper: given("hyper", [1], [beta]),
        }), change);
    const [good, bad, still] = [
      await one(logratio_des, true, kl),
      await one(logratio_und, false, kl),
      await one(0, true, -3), // a negative estimate counts as 0
    ];
    // 1 - s(x) falls by s(x) (1 - s(x)).
    const slope = (loss: number) => beta * loss * (1 - loss);
    return largestError(
      [good.loss, bad.loss, still.loss, ...good.gradient, ...bad.gradient, good.metrics[0], bad.metrics[1]],
      [loss_des, loss_und, at_ref, -slope(loss_des), slope(loss_und), beta * logratio_des, beta * logratio_und],
    );
  },
};
