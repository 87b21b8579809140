/** The objective of PPO's epochs: clipped surrogate plus clipped value loss, on rollouts that are given. */
import type { Plan, Tensor } from "../plan/mod.ts";
import { add, ppoPolicy, ppoValue } from "../../kernels/mod.ts";

export interface PpoTensors {
  /** [B,T] of the sampled tokens, when they were sampled: log-probabilities and values. */
  oldLogprobs: Tensor;
  oldValues: Tensor;
  /** [B,T] log-probabilities under the frozen reference. */
  reference: Tensor;
  /** [B,T] */
  advantages: Tensor;
  returns: Tensor;
  /** [B,T] mask / (completion tokens of the whole step). */
  weights: Tensor;
  /** [2] clip range and dual clip; [2] clip range of values and the factor of their loss. */
  policyHyper: Tensor;
  valueHyper: Tensor;
}

/**
 * loss = token mean of max(-A ratio, -A clip(ratio)) + factor * half the token mean of max((v - R)^2, (clip(v) - R)^2)
 * (Schulman et al. 2017; value clipping as in OpenAI's baselines). `logprobs` and `values` [B,T]. The KL penalty is part of the
 * reward, and advantages come whitened or not as the recipe likes.
 */
export function ppoLoss(
  plan: Plan,
  logprobs: Tensor,
  values: Tensor,
  given: PpoTensors,
): { loss: Tensor; policyMetrics: Tensor; valueMetrics: Tensor } {
  const { oldLogprobs, oldValues, reference, advantages, returns, weights, policyHyper, valueHyper } = given;
  const policy = ppoPolicy(plan, { logprobs, old: oldLogprobs, reference, advantages, weights, hyper: policyHyper });
  const value = ppoValue(plan, { values, old: oldValues, returns, weights, hyper: valueHyper });
  return {
    loss: add(plan, policy.loss, value.loss),
    policyMetrics: policy.metrics,
    valueMetrics: value.metrics,
  };
}
