/** The DPO objective of ETA-DPO: sigmoid loss on pairs plus a small SFT term on the winners. */
import type { Plan, Tensor } from "../plan/mod.ts";
import { add, dpo, weightedSum } from "../../kernels/mod.ts";
import { sftLoss } from "./sft.ts";

export interface DpoTensors {
  /** [2P,T] 1 on completion tokens: P chosen sequences, then P rejected ones. */
  mask: Tensor;
  /** [2P] */
  reference: Tensor;
  /** [P] 1 / pairs of the step, 0 for padding. */
  pairWeight: Tensor;
  /** [2P,T] -alpha / (completion tokens of all winners of the step) on winners' completions, 0 elsewhere. */
  sftWeight: Tensor;
  /** [2] beta, label smoothing. */
  hyper: Tensor;
}

/**
 * loss = mean over pairs of -ls(beta d) + alpha * token mean of -logp(chosen)   (Rafailov et al. 2023; the second term is
 * TRL's loss_type ["sigmoid", "sft"] with weights [1, alpha]). `logprob` [2P,T] are token log-probabilities.
 */
export function dpoLoss(plan: Plan, logprob: Tensor, given: DpoTensors): { loss: Tensor; metrics: Tensor } {
  const sums = weightedSum(plan, logprob, given.mask, given.mask.shape[0]);
  const { pairWeight: weight, reference, hyper } = given;
  const pair = dpo(plan, { logprobs: sums, reference, weight, hyper });
  return { loss: add(plan, pair.loss, sftLoss(plan, logprob, given.sftWeight)), metrics: pair.metrics };
}
