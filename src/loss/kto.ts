/** The KTO objective on unpaired completions that are labelled desirable or not (Ethayarajh et al. 2024). */
import type { Plan, Tensor } from "../plan/mod.ts";
import { kto, segmentSum, weightedSum } from "../../kernels/mod.ts";

export interface KtoTensors {
  /** [P,T] weights of completion tokens, 0 elsewhere; of packed rows any number of rows. */
  mask: Tensor;
  /** Packed rows: the item that each position belongs to, below P; more is padding. */
  segments?: Tensor;
  /** [P] sums with the same weights under the frozen reference. */
  reference: Tensor;
  /** [P,3] see `ktoItems`. */
  items: Tensor;
  /** [1] mean log-ratio of policy to reference on mismatched prompts and completions, of the whole step. */
  kl: Tensor;
  /** [1] beta. */
  hyper: Tensor;
}

/**
 * loss = mean of lambda_d (1 - s(beta (u - k))) over desirable and lambda_u (1 - s(beta (k - u))) over undesirable items,
 * u the log-ratio of an item, k = max(0, kl). `logprob`, as `mask`, are token log-probabilities. Metrics: KTO_METRICS.
 */
export function ktoLoss(plan: Plan, logprob: Tensor, given: KtoTensors): { loss: Tensor; metrics: Tensor } {
  const { mask, segments, reference, items, kl, hyper } = given;
  const P = items.shape[0];
  const logprobs = segments ? segmentSum(plan, logprob, mask, segments, P) : weightedSum(plan, logprob, mask, P);
  return kto(plan, { logprobs, reference, items, kl, hyper });
}

/** Of a step: how many items it has in all, and what each kind weighs. */
export interface KtoStep {
  items: number;
  lambdaDesirable: number;
  lambdaUndesirable: number;
}

/**
 * [size,3] for a micro-batch of a step: loss weights lambda / items, kinds, metric weights 1; then padding. Metrics are sums: a
 * step may hold items of one kind alone, and means of its means would count that as 0.
 */
export function ktoItems(desirable: readonly boolean[], size: number, step: KtoStep): Float32Array {
  if (desirable.length > size) {
    throw new Error(`Cannot lay out ${desirable.length} items of KTO: there is room for ${size}`);
  }
  const rows = new Float32Array(3 * size);
  desirable.forEach((wanted, p) => {
    const lambda = wanted ? step.lambdaDesirable : step.lambdaUndesirable;
    rows.set([lambda / step.items, Number(wanted), 1], 3 * p);
  });
  return rows;
}
