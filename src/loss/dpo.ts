/** The DPO objective of ETA-DPO: sigmoid loss on pairs plus a small SFT term on the winners. */
import type { Plan, Tensor } from "../plan/mod.ts";
import { add, dpo, segmentSum, weightedSum } from "../../kernels/mod.ts";
import { sftLoss } from "./sft.ts";

export interface DpoTensors {
  /** [2P,T] 1 on completion tokens: P chosen sequences, then P rejected ones; of packed rows any number. */
  mask: Tensor;
  /** Packed rows: the sequence that each position belongs to, [0, P) chosen, [P, 2P) rejected; more is padding. */
  segments?: Tensor;
  /** [2P] */
  reference: Tensor;
  /** [P] 1 / pairs of the step, 0 for padding. */
  pairWeight: Tensor;
  /** As `mask`: -alpha / (completion tokens of all winners of the step) on winners' completions, 0 elsewhere. */
  sftWeight: Tensor;
  /** [2] beta, label smoothing. */
  hyper: Tensor;
}

/**
 * loss = mean over pairs of -ls(beta d) + alpha * token mean of -logp(chosen)   (Rafailov et al. 2023; the second term is
 * TRL's loss_type ["sigmoid", "sft"] with weights [1, alpha]). `logprob`, as `mask`, are token log-probabilities.
 */
export function dpoLoss(plan: Plan, logprob: Tensor, given: DpoTensors): { loss: Tensor; metrics: Tensor } {
  const { pairWeight: weight, reference, hyper, mask, segments } = given;
  const sums = segments
    ? segmentSum(plan, logprob, mask, segments, reference.shape[0])
    : weightedSum(plan, logprob, mask, reference.shape[0]);
  const pair = dpo(plan, { logprobs: sums, reference, weight, hyper });
  return { loss: add(plan, pair.loss, sftLoss(plan, logprob, given.sftWeight)), metrics: pair.metrics };
}
