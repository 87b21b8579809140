/** Training runs of the smallest fixed GPT and of a Llama of the same kind, for tests that compare losses. No Deno in here. */
import { compile, type Gpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { createGpt, gptAttendWithin, gptForward, gptHeadWeight } from "../../src/model/gpt.ts";
import { setWeights } from "../../src/model/weights.ts";
import { createLlama, initialize } from "../../src/model/llama.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";
import { createDpoStep } from "../../src/recipes/dpo_step.ts";
import { whole } from "../../src/recipes/policy.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { batchOf, initialWeights, optimizer, shapes } from "../../bench/peers/workload.ts";

/** Losses of `steps` AdamW steps of the fixed GPT workload `nano`. */
export async function gptLosses(gpu: Gpu, steps: number): Promise<number[]> {
  const { V, T, C, L, H, B } = shapes.nano;
  const N = B * T;
  const config = { C, F: 4 * C, L, H, D: C / H, V, normEps: 1e-5, tied: false, maxPositions: T };
  const model = createGpt(gpu, config, true, "all");
  setWeights(model, initialWeights(shapes.nano), "initial weights");
  const ids = persistent(gpu, "ids", [N], "u32");
  const targets = persistent(gpu, "targets", [N], "u32");
  const positions = persistent(gpu, "positions", [N], "u32");
  const lossWeight = persistent(gpu, "loss.weight", [N]);
  write(gpu, positions, Uint32Array.from({ length: N }, (_, n) => n % T));
  write(gpu, lossWeight, new Float32Array(N).fill(-1 / N));
  const plan = new Plan("gpt", gpu);
  const h = gptForward(plan, model, ids, positions, gptAttendWithin(config, B, T));
  const loss = plan.keep(
    weightedSum(plan, tokenLogprob(plan, h, gptHeadWeight(model), targets).logprob, lossWeight, 1),
  );
  plan.backward(loss, model.one);
  const executable = await compile(gpu, plan);
  const reader = executable.reader([loss]);
  const { lr, beta1, beta2, eps, decay } = optimizer;
  const adamw = await createOptimizer(gpu, model.weights, { beta1, beta2, eps, weightDecay: decay, maxGradNorm: 1e30 });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const batch = batchOf(shapes.nano, step);
    write(gpu, ids, batch.ids);
    write(gpu, targets, batch.targets);
    await executable.enqueue();
    losses.push((await reader.read())[0][0]);
    await adamw.update(step + 1, lr);
  }
  reader.destroy();
  executable.destroy();
  adamw.destroy();
  return losses;
}

/** Losses of `steps` DPO steps of a small Llama with grouped heads, on pairs of odd lengths. */
export async function dpoLosses(gpu: Gpu, steps: number): Promise<number[]> {
  const shape = { C: 64, F: 96, L: 2, H: 4, G: 2, D: 16, V: 80, tied: true, maxPositions: 64, bosId: 1, eosId: 2 };
  const model = createLlama(gpu, { ...shape, normEps: 1e-5, ropeTheta: 10_000 }, true);
  initialize(model, 3);
  const sequence = (length: number, first: number): Sequence => ({
    tokens: Array.from({ length }, (_, i) => (first + 7 * i * i) % shape.V),
    promptLength: 3,
  });
  const pairs = [9, 30, 21].map((length, i) => ({
    chosen: sequence(length, i),
    rejected: sequence(length + 2, i + 40),
    referenceChosen: -4.4 * (length - 3),
    referenceRejected: -4.3 * (length - 1),
  }));
  const options = { microBatch: 3, padId: 0, adamw: ADAMW, recompute: "none" as const };
  const step = await createDpoStep(whole(model), { beta: 0.1, alpha: 1, labelSmoothing: 0, ...options });
  const losses: number[] = [];
  for (let i = 1; i <= steps; i++) {
    await step.accumulate(pairs);
    await step.optimizer.update(i, 3e-3);
    losses.push((await step.metrics(1)).loss);
  }
  step.destroy();
  return losses;
}
