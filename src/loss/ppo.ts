/** The objective of the epochs of PPO, GRPO and RLOO on rollouts that are given. */
import type { Plan, Tensor } from "../plan/mod.ts";
import {
  add,
  type KlLoss,
  ppoPolicy,
  ppoValue,
  type Surrogate,
  type TokenLogprob,
  weightedSum,
} from "../../kernels/mod.ts";
import { tokenMetrics } from "./sft.ts";

export interface PpoTensors {
  /** [B,T] log-probabilities of the sampled tokens when they were sampled, and under the frozen reference. */
  oldLogprobs: Tensor;
  reference: Tensor;
  /** [B,T] */
  advantages: Tensor;
  /** [B,T] of aggregationWeights (advantages.ts), and mask / (completion tokens of the whole step). */
  weights: Tensor;
  means: Tensor;
  /** [4] clip range below and above, dual clip, coefficient of the divergence. */
  policyHyper: Tensor;
  /** [3] (0, -coefficient, 0) of an entropy bonus: `scored` is then made with gradients of its `aux`. */
  entropyHyper?: Tensor;
  /** The critic, where there is one: [B,T] as it is trained, as it was, what it should be; [2] clip range, factor of its loss. */
  critic?: { values: Tensor; oldValues: Tensor; returns: Tensor; hyper: Tensor };
}

/**
 * loss = sum of weights (surrogate + coefficient k(lp - reference)) - entropy coefficient x token mean of the entropies
 *   + factor x half the token mean of max((v - R)^2, (clip(v) - R)^2)
 * (Schulman et al. 2017; value clipping as in OpenAI's baselines; GRPO, Shao et al. 2024, without critic). The last terms are
 * there where `given` has what they need. Advantages come whitened or not as the recipe likes.
 */
export function ppoLoss(
  plan: Plan,
  scored: TokenLogprob,
  given: PpoTensors,
  options: { surrogate?: Surrogate; klLoss?: KlLoss } = {},
): { loss: Tensor; policyMetrics: Tensor; tokenMetrics: Tensor; valueMetrics: Tensor | null } {
  const { oldLogprobs: old, reference, advantages, weights, means, policyHyper, entropyHyper, critic } = given;
  const inputs = { logprobs: scored.logprob, old, reference, advantages, weights, means, hyper: policyHyper };
  const policy = ppoPolicy(plan, inputs, options);
  const tokens = tokenMetrics(plan, scored, means);
  let loss = policy.loss;
  if (entropyHyper) loss = add(plan, loss, weightedSum(plan, tokens, entropyHyper, 1));
  if (!critic) return { loss, policyMetrics: policy.metrics, tokenMetrics: tokens, valueMetrics: null };
  const { values, oldValues, returns, hyper } = critic;
  const value = ppoValue(plan, { values, old: oldValues, returns, weights: means, hyper });
  loss = add(plan, loss, value.loss);
  return { loss, policyMetrics: policy.metrics, tokenMetrics: tokens, valueMetrics: value.metrics };
}
