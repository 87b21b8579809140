/** A scalar for every hidden state: the critic of PPO, a linear head on the policy's own trunk. */
import { createWeights, type Gpu, type Plan, reshape, type Tensor, type Weights } from "../plan/mod.ts";
import { linear } from "../../kernels/mod.ts";

/**
 * One row of C weights, zero at the start, so that the first values are 0 (Huang et al. 2024, "The N implementation details of
 * RLHF with PPO"). It has no bias: decay and the optimizer treat it as any matrix.
 */
export function createValueHead(gpu: Gpu, C: number): Weights {
  return createWeights(gpu, [{ name: "value_head.weight", shape: [1, C], decay: true }], true);
}

/** hidden [B,T,C] -> values [B,T]: what is expected from position t on, before token t + 1 is chosen. */
export function predictValues(plan: Plan, hidden: Tensor, head: Weights): Tensor {
  const values = linear(plan, hidden, head.tensors.get("value_head.weight")!);
  return reshape(values, hidden.shape.slice(0, -1));
}
