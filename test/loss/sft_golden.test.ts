// The golden numbers of cross-entropy, AdamW, clipping and LoRA (test/golden/alignment.json).
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  compile,
  createReader,
  createWeights,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { linear, loraBranch, tokenLogprob } from "../../kernels/mod.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";
import golden from "../golden/alignment.json" with { type: "json" };
import { largestError, runLoss } from "./run.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

/** The SFT loss on logits: hidden states that a unit matrix turns into themselves. */
function crossEntropy(logits: number[][], labels: number[]) {
  const [N, V] = [logits.length, logits[0].length];
  const unit = Float32Array.from({ length: V * V }, (_, i) => Number(i % V === Math.floor(i / V)));
  return runLoss(gpu, { shape: [N, V], data: logits.flat() }, (plan, hidden, given) => {
    const scored = tokenLogprob(plan, hidden, given("head", [V, V], unit), given("y", [N], Uint32Array.from(labels)));
    return { loss: sftLoss(plan, scored.logprob, given("w", [1, N], Array(N).fill(-1 / N))), metrics: scored.aux };
  });
}

test("cross-entropy of two tokens: the mean, its gradient to every logit, and the entropies", async () => {
  const { logits, labels, ce_mean, dlogits, entropy } = golden.A1_ce;
  const got = await crossEntropy(logits, labels);
  expect(largestError([got.loss, ...got.gradient], [ce_mean, ...dlogits.flat()])).toBeLessThan(1);
  expect(largestError(got.metrics.slice(2, 4), entropy)).toBeLessThan(1);
});

test("logits a thousand apart: the loss is 0 to the bit, and nothing is anything but a number", async () => {
  const { logits, labels } = golden.A2_stable;
  const got = await crossEntropy(logits, labels);
  expect(got.loss + 0).toBe(0);
  for (const slope of got.gradient) expect(slope + 0).toBe(0);
  expect(got.metrics.every(Number.isFinite)).toBe(true);
});

test("a model that knows nothing has a loss of ln V", async () => {
  for (const V of [256, 4096, 32_000, 50_257]) {
    const { loss } = await runLoss(gpu, { shape: [1, 4], data: [0, 0, 0, 0] }, (plan, hidden, given) => {
      const head = given("head", [V, 4], Array(4 * V).fill(1));
      const { logprob } = tokenLogprob(plan, hidden, head, given("y", [1], Uint32Array.of(V - 1)));
      return { loss: sftLoss(plan, logprob, given("w", [1, 1], [-1])) };
    });
    expect(largestError([loss], [Math.log(V)]), `V = ${V}`).toBeLessThan(1);
  }
});

/** Weights of one number each, as matrices, with an optimizer over all of them; `step` gives each its gradient. */
async function optimized(values: number[], config: Partial<typeof ADAMW>) {
  const specs = values.map((_, i) => ({ name: `w${i}`, shape: [1], decay: true }));
  const weights = createWeights(gpu, specs, true);
  const tensors = values.map((_, i) => weights.tensors.get(`w${i}`)!);
  tensors.forEach((tensor, i) => write(gpu, tensor, Float32Array.of(values[i])));
  const optimizer = await createOptimizer(gpu, weights, { ...ADAMW, ...config });
  const reader = createReader(gpu, [optimizer.norm, ...tensors]);
  let steps = 0;
  return async (gradients: number[], rate: number) => {
    tensors.forEach((tensor, i) =>
      write(gpu, { ...tensor, storage: tensor.storage.gradient! }, Float32Array.of(gradients[i]))
    );
    await optimizer.update(++steps, rate);
    const [norm, ...now] = await reader.read();
    return { norm, values: now.map(([value]) => value) };
  };
}

test("two steps of AdamW: decay apart from the gradient, epsilon behind the bias correction", async () => {
  const { p0, grads, lr, wd, out } = golden.M_adamw;
  const step = await optimized([p0], { weightDecay: wd, maxGradNorm: 0 });
  for (const [i, gradient] of grads.entries()) {
    const { values: [value] } = await step([gradient], lr);
    expect(Math.abs(value - out[i]), `step ${i + 1}`).toBeLessThan(2e-7);
  }
});

test("(3, 4) clipped to 1 is (3, 4) / (5 + 1e-6), as torch has it", async () => {
  const { grads, max_norm, total_norm, clipped } = golden.M_clip;
  const step = await optimized([0, 0], { maxGradNorm: max_norm });
  const { norm: [norm, factor] } = await step(grads, 0);
  expect(norm).toBe(total_norm);
  grads.forEach((gradient, i) => {
    expect(gradient * factor).toBeCloseTo(gradient / (total_norm + 1e-6), 7);
    expect(gradient * factor).toBeCloseTo(clipped[i], 6);
    expect(gradient * factor).toBeLessThan(clipped[i]);
  });
});

test("a layer with a LoRA branch: (5, 7)", async () => {
  const plan = new Plan("lora", gpu);
  const given = (shape: number[], data: number[]): Tensor => {
    const tensor = persistent(gpu, "given", shape);
    write(gpu, tensor, Float32Array.from(data));
    return tensor;
  };
  const x = given([1, 2], [1, 1]);
  const y = plan.keep(linear(plan, x, given([2, 2], [1, 2, 3, 4])));
  loraBranch(plan, y, x, { a: given([1, 2], [1, 1]), b: given([2, 1], [0.5, 0]), scale: 2 });
  const executable = await compile(gpu, plan);
  await executable.run();
  expect([...(await executable.reader([y]).read())[0]]).toEqual(golden.M_lora.y);
  executable.destroy();
});
