/** The SFT loss: mean negative log-likelihood of the completion tokens of a whole optimizer step. */
import type { Plan, Tensor } from "../plan/mod.ts";
import { type TokenLogprob, weightedSum } from "../../kernels/mod.ts";

/**
 * loss = -sum(mask logp) / M. `weights` [N] holds -mask/M, with M the unmasked target tokens of the whole step and not of
 * the micro-batch: means of micro-batch means would weigh short sequences more.
 */
export function sftLoss(plan: Plan, logprob: Tensor, weights: Tensor): Tensor {
  return weightedSum(plan, logprob, weights, 1);
}

/** [3] masked means of logsumexp, entropy (nats) and accuracy; `weights` [N] holds mask / M. */
export function tokenMetrics(plan: Plan, scored: TokenLogprob, weights: Tensor): Tensor {
  return weightedSum(plan, scored.aux, weights, 3);
}
