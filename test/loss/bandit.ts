// A policy over three actions, a softmax of three weights on the GPU, trained by the project's own kernels and optimizer. Every action
// is in every step, weighted by its chance under the policy that "sampled" it, so that a step follows the expected gradient.
import {
  compile,
  createWeights,
  type Executable,
  type Gpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { tokenLogprob } from "../../kernels/mod.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";

export const ACTIONS = 3;

export interface Bandit {
  /** Log-probabilities of the actions as they are. */
  logprobs(): Promise<number[]>;
  /** One optimizer step; `step` from 1. */
  step(step: number, learningRate: number): Promise<void>;
  /** Writes an input of the loss. */
  set(name: string, values: readonly number[]): void;
  destroy(): void;
}

/** `loss` is recorded once, from the log-probabilities [3,1] and inputs by name, [3,1] each but for those in `sizes`. */
export async function createBandit(
  gpu: Gpu,
  start: readonly number[],
  names: readonly string[],
  sizes: Record<string, number>,
  loss: (plan: Plan, logprobs: Tensor, inputs: Record<string, Tensor>) => Tensor,
): Promise<Bandit> {
  const C = 4;
  const weights = createWeights(gpu, [{ name: "logits", shape: [ACTIONS, C], decay: false }], true);
  const logits = weights.tensors.get("logits")!;
  // Only the first column of the weights counts.
  write(gpu, logits, Float32Array.from({ length: ACTIONS * C }, (_, i) => i % C === 0 ? Math.log(start[i / C]) : 0));
  const fixed = (name: string, data: Float32Array | Uint32Array, shape: number[]) => {
    const tensor = persistent(gpu, name, shape, data instanceof Uint32Array ? "u32" : "f32");
    write(gpu, tensor, data);
    return tensor;
  };
  const hidden = fixed("hidden", Float32Array.from({ length: ACTIONS * C }, (_, i) => Number(i % C === 0)), [
    ACTIONS,
    C,
  ]);
  const targets = fixed("targets", Uint32Array.from({ length: ACTIONS }, (_, a) => a), [ACTIONS]);
  const one = fixed("one", Float32Array.of(1), [1]);
  const inputs: Record<string, Tensor> = {};
  for (const name of names) {
    inputs[name] = persistent(gpu, name, name in sizes ? [sizes[name]] : [ACTIONS, 1]);
  }
  const record = async (train: boolean): Promise<[Executable, Tensor]> => {
    const plan = new Plan("bandit", gpu);
    const { logprob } = tokenLogprob(plan, hidden, logits, targets);
    plan.keep(logprob);
    if (train) plan.backward(loss(plan, logprob, inputs), one);
    return [await compile(gpu, plan), logprob];
  };
  const [train] = await record(true);
  const [score, logprob] = await record(false);
  const reader = score.reader([logprob]);
  const optimizer = await createOptimizer(gpu, weights, { ...ADAMW, beta2: 0.95, weightDecay: 0, maxGradNorm: 0 });
  return {
    async logprobs() {
      await score.run();
      return Array.from((await reader.read())[0]);
    },
    async step(step, learningRate) {
      await train.enqueue();
      await optimizer.update(step, learningRate);
    },
    set: (name, values) => write(gpu, inputs[name], Float32Array.from(values)),
    destroy() {
      reader.destroy();
      for (const each of [train, score, optimizer]) each.destroy();
    },
  };
}

/** Half the sum of absolute differences. */
export function totalVariation(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, value, i) => sum + Math.abs(value - q[i]) / 2, 0);
}
