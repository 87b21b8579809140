/**
 * One number for a sequence, read from a model's hidden states:
 *   cls    the first token -> dense -> tanh -> out, as RobertaForSequenceClassification has it and under its names
 *   mean   the mean of all tokens -> out
 *   last   the last token -> out, for decoders: there alone all of the sequence has been seen
 * The row `out` starts at N(0, 1/sqrt(C + 1)) and bias 0 (Ziegler et al. 2019; Huang et al. 2024, "The N implementation details of RLHF
 * with PPO"), the dense layer at N(0, 0.02).
 */
import {
  createWeights,
  elements,
  type Gpu,
  type Plan,
  reshape,
  type Tensor,
  type Weights,
  write,
} from "../plan/mod.ts";
import { linear, poolRows, tanh } from "../../kernels/mod.ts";
import { uniformStream } from "./philox.ts";

export const HEADS = ["cls", "mean", "last"] as const;
export type RewardHead = typeof HEADS[number];

const out = (kind: RewardHead) => kind === "cls" ? "classifier.out_proj" : "score";

/** Empty weights of a head on hidden states of width C. */
export function createRewardHead(gpu: Gpu, kind: RewardHead, C: number, training: boolean): Weights {
  const dense = kind === "cls"
    ? [
      { name: "classifier.dense.weight", shape: [C, C], decay: true },
      { name: "classifier.dense.bias", shape: [C], decay: false },
    ]
    : [];
  const row = [
    { name: `${out(kind)}.weight`, shape: [1, C], decay: true },
    { name: `${out(kind)}.bias`, shape: [1], decay: false },
  ];
  return createWeights(gpu, [...dense, ...row], training);
}

export function initializeRewardHead(gpu: Gpu, head: Weights, seed: number): void {
  let stream = 500; // behind those of the model's own weights
  for (const [name, tensor] of head.tensors) {
    const uniform = uniformStream(seed, stream++);
    const deviation = name.endsWith(".bias") ? 0 : tensor.shape[0] === 1 ? 1 / Math.sqrt(tensor.shape[1] + 1) : 0.02;
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) * deviation;
    write(gpu, tensor, Float32Array.from({ length: elements(tensor.shape) }, normal));
  }
}

/** hidden [..,C] over B*T positions, pool [B,T] of `poolWeights` -> rewards [B]. */
export function rewardScores(plan: Plan, hidden: Tensor, head: Weights, kind: RewardHead, pool: Tensor): Tensor {
  const of = (name: string) => head.tensors.get(name)!;
  let x = poolRows(plan, hidden, pool);
  if (kind === "cls") {
    x = tanh(plan, linear(plan, x, of("classifier.dense.weight"), of("classifier.dense.bias")));
  }
  const scores = linear(plan, x, of(`${out(kind)}.weight`), of(`${out(kind)}.bias`));
  return reshape(scores, [pool.shape[0]]);
}

/** [B,T]: what of each row of so many tokens a head reads. Rows beyond the lengths given read their first position. */
export function poolWeights(kind: RewardHead, lengths: readonly number[], B: number, T: number): Float32Array {
  const weights = new Float32Array(B * T);
  for (let b = 0; b < B; b++) {
    const length = lengths[b] ?? 1;
    if (kind === "mean") weights.fill(1 / length, b * T, b * T + length);
    else weights[b * T + (kind === "last" ? length - 1 : 0)] = 1;
  }
  return weights;
}
