/** The objective of the DPO family: a loss on pairs of completions, and a small SFT term on the winners. */
import { type Plan, rows, type Tensor } from "../plan/mod.ts";
import {
  add,
  type Divergence,
  preference,
  type PreferenceLoss,
  scale,
  segmentSum,
  weightedSum,
} from "../../kernels/mod.ts";
import { sftLoss } from "./sft.ts";

export {
  type Divergence,
  DIVERGENCES,
  PREFERENCE_LOSSES,
  PREFERENCE_METRICS,
  type PreferenceLoss,
  REFERENCE_FREE,
} from "../../kernels/mod.ts";

/** What a user chooses; kernels/preference.ts has the formulas. */
export interface PreferenceOptions {
  /** Default sigmoid: DPO. */
  loss?: PreferenceLoss;
  beta: number;
  /** Of pairs that bring none of their own: the chance that a label is wrong. */
  labelSmoothing: number;
  /** Default reverse-kl; `divergenceAlpha`, default 0.5, is the a of alpha. */
  divergence?: Divergence;
  divergenceAlpha?: number;
  /** The lead that SimPO asks for, default 0.5, and the temperature of DiscoPOP, default 0.05. */
  gamma?: number;
  temperature?: number;
  /** Weighs pairs by how much the policy is like the one that wrote them (Zhou et al. 2024, "WPO"). Default false. */
  wpo?: boolean;
  /** Weight of tokens beyond the length of the shorter completion (Liu et al. 2024, "LD-DPO"). Default 1. */
  ldAlpha?: number;
}

export interface PreferenceTensors {
  /** [2P,T] weights of completion tokens, 0 elsewhere: P chosen sequences, then P rejected ones; of packed rows any number. */
  mask: Tensor;
  /** Packed rows: the sequence that each position belongs to, [0, P) chosen, [P, 2P) rejected; more is padding. */
  segments?: Tensor;
  /** [2P] sums with the same weights under the reference. */
  reference: Tensor;
  /** [P,5] see `pairNumbers`. */
  pairs: Tensor;
  /** As `mask`: -alpha / (completion tokens of all winners of the step) on winners' completions, 0 elsewhere. */
  sftWeight: Tensor;
  /** [4] see `preferenceHyper`. */
  hyper: Tensor;
  /** For WPO, of the same tokens: [3,N] the auxiliaries of tokenLogprob, and the same of doubled logits. */
  wpo?: { aux: Tensor; doubled: Tensor };
}

/**
 * loss = mean over pairs of the chosen loss + alpha * token mean of -logp(chosen). The second term is TRL's
 * loss_type [..., "sft"] with weights [1, alpha]; with sigmoid it is RPO. `logprob`, as `mask`, are token log-probabilities.
 */
export function preferenceLoss(
  plan: Plan,
  logprob: Tensor,
  given: PreferenceTensors,
  options: Pick<PreferenceOptions, "loss" | "divergence">,
): { loss: Tensor; metrics: Tensor } {
  const { mask, segments, reference, pairs, hyper, wpo } = given;
  const count = reference.shape[0];
  const sums = (tokens: Tensor) =>
    segments ? segmentSum(plan, tokens, mask, segments, count) : weightedSum(plan, tokens, mask, count);
  // log sum p^2 = logsumexp(2 z) - 2 logsumexp(z)
  const collision = wpo &&
    add(plan, sums(rows(wpo.doubled, 0, 1)), scale(plan, sums(rows(wpo.aux, 0, 1)), -2));
  const { loss = "sigmoid", divergence = "reverse-kl" } = options;
  const found = preference(plan, { logprobs: sums(logprob), reference, pairs, hyper, collision }, { loss, divergence });
  return { loss: add(plan, found.loss, sftLoss(plan, logprob, given.sftWeight)), metrics: found.metrics };
}

/** The `hyper` of options. */
export function preferenceHyper(options: PreferenceOptions): Float32Array {
  const { beta, divergenceAlpha = 0.5, gamma = 0.5, temperature = 0.05 } = options;
  return Float32Array.of(beta, divergenceAlpha, gamma, temperature);
}

/** A row of `pairs`. */
export interface PairNumbers {
  /** 1 / pairs of the step. */
  weight: number;
  /** Sums of the token weights; a sequence without any counts as one of log-probability 0. */
  chosenTokens: number;
  rejectedTokens: number;
  margin: number;
  labelSmoothing: number;
}

/** [size,5], zeros (padding) behind the pairs. */
export function pairNumbers(pairs: readonly PairNumbers[], size: number): Float32Array {
  const numbers = new Float32Array(5 * size);
  pairs.forEach(({ weight, chosenTokens, rejectedTokens, margin, labelSmoothing }, p) =>
    numbers.set([weight, chosenTokens || 1, rejectedTokens || 1, margin, labelSmoothing], 5 * p)
  );
  return numbers;
}

const SMOOTHED: ReadonlySet<PreferenceLoss> = new Set<PreferenceLoss>([
  "sigmoid",
  "sigmoid-norm",
  "exo",
  "robust",
  "aot",
  "aot-unpaired",
  "simpo",
  "cpo",
]);
/** Losses that look at winner and loser apart, so that there is nothing a margin could be taken from. */
const APART: ReadonlySet<PreferenceLoss> = new Set<PreferenceLoss>(["nca", "bco", "sppo", "apo-zero", "apo-down"]);
/** Losses that sort the pairs of a micro-batch. */
export const SORTED: ReadonlySet<PreferenceLoss> = new Set<PreferenceLoss>(["aot", "aot-unpaired"]);

/** Stops combinations that mean nothing, in one line that names both options. */
export function requireOptions(options: PreferenceOptions): void {
  const { loss = "sigmoid", divergence = "reverse-kl", beta, labelSmoothing, ldAlpha = 1, temperature = 0.05 } =
    options;
  const refuse = (why: string) => {
    throw new Error(`Cannot train with loss ${loss}: ${why}`);
  };
  if (!(beta > 0)) refuse(`beta is ${beta}, it must be above 0`);
  requireSmoothing(loss, labelSmoothing, "label smoothing");
  if (divergence !== "reverse-kl" && (SORTED.has(loss) || loss === "simpo" || loss === "cpo" || loss === "orpo")) {
    refuse(`it knows no divergence, and divergence is ${divergence}`);
  }
  if (divergence === "alpha" && options.divergenceAlpha === 1) {
    refuse("divergence alpha has no value at 1; use reverse-kl");
  }
  if (options.wpo && SORTED.has(loss)) refuse("WPO weighs pairs, and sorting takes them apart");
  if (!(temperature > 0 && temperature <= 1)) refuse(`temperature is ${temperature}, it must lie in (0, 1]`);
  if (!(ldAlpha >= 0 && ldAlpha <= 1)) refuse(`ldAlpha is ${ldAlpha}, it must lie in [0, 1]`);
}

/** The same for what a pair brings itself. */
export function requirePair(loss: PreferenceLoss, margin: number, labelSmoothing: number, name: string): void {
  requireSmoothing(loss, labelSmoothing, `label smoothing of ${name}`);
  if (margin !== 0 && APART.has(loss)) {
    throw new Error(`Cannot train with loss ${loss}: margin of ${name} is ${margin}, and this loss knows none`);
  }
}

function requireSmoothing(loss: PreferenceLoss, smoothing: number, name: string): void {
  const refuse = (why: string) => {
    throw new Error(`Cannot train with loss ${loss}: ${name} is ${smoothing}, ${why}`);
  };
  if (!(smoothing >= 0 && smoothing <= 0.5)) refuse("it must lie in [0, 0.5]");
  if (smoothing > 0 && !SMOOTHED.has(loss)) refuse("and this loss knows none");
  if (loss === "exo" && smoothing === 0) refuse("it must be above 0 (the paper's is 0.001)");
  if (loss === "robust" && smoothing === 0.5) refuse("it must be below 0.5");
}
