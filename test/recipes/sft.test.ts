import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { getWeights, type Llama } from "../../src/model/llama.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import type { Recompute } from "../../src/model/saving.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { whole } from "../../src/recipes/policy.ts";
import { SFT, type SftConfig, trainSft } from "../../src/recipes/sft.ts";
import { epochOrder } from "../../src/recipes/training_loop.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import { expectClose } from "../kernels/check_op.ts";
import { checkpointHashes, metricsOf, PAD, sequences, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const data = sequences(10, 7);
const CONFIG: SftConfig = {
  ...SFT,
  steps: 8,
  batchSize: 6,
  microBatch: 4,
  learningRate: 0.01,
  warmup: 2,
  logEvery: 2,
  checkpointEvery: 4,
};

function given(model: Llama, host = memoryHost()) {
  return { host, policy: whole(model), sequences: data, padId: PAD, checkpoints: "run/checkpoints" };
}

describe("SFT, continued", () => {
  let whole: Awaited<ReturnType<typeof metricsOf>>;
  let files: string[];
  beforeAll(async () => {
    const all = given(tinyLlama(gpu));
    whole = await metricsOf(trainSft(CONFIG, all));
    files = await checkpointHashes(all.host, all.checkpoints, CONFIG.steps);
  });

  test("a crash after half of the steps and a new process: weights, moments and metrics to the bit", async () => {
    const first = given(tinyLlama(gpu));
    const before = await metricsOf(
      trainSft(CONFIG, first),
      (event) => event.type === "step" && event.step === 6, // two steps beyond the last checkpoint: they are done again
    );
    expect(before.map(({ step }) => step)).toEqual([1, 2, 4, 6]);
    const second = given(tinyLlama(gpu, 99), first.host); // other weights: the checkpoint must bring its own
    const after = await metricsOf(trainSft(CONFIG, second));
    expect(after.map(({ step }) => step)).toEqual([6, 8]);
    expect([...before.slice(0, 3), ...after]).toEqual(whole);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("a stop between two logging steps and a new process: the same metrics and the same bits", async () => {
    const stop = new AbortController();
    const first = given(tinyLlama(gpu));
    const types: string[] = [];
    for await (const event of trainSft(CONFIG, first, stop.signal)) {
      types.push(event.type);
      if (event.type === "step" && event.step === 2) stop.abort(); // step 3 is the last, and no logging step
    }
    expect(types).toEqual(["step", "step", "checkpoint", "stopped"]);
    const after = await metricsOf(trainSft(CONFIG, given(tinyLlama(gpu, 99), first.host)));
    expect(after).toEqual(whole.slice(2));
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("a finished run has nothing left to do", async () => {
    const first = given(tinyLlama(gpu));
    await metricsOf(trainSft({ ...CONFIG, steps: 2 }, first));
    expect(await metricsOf(trainSft({ ...CONFIG, steps: 2 }, first))).toEqual([]);
  });
});

describe("an SFT step", () => {
  const step =
    (microBatch: number, recompute: Recompute = "none", maxGradNorm = 1) => async (batch: readonly Sequence[]) => {
      const model = tinyLlama(gpu, 3, { L: 2 });
      const adamw = { ...ADAMW, maxGradNorm };
      const trainer = await createSftStep(whole(model), { microBatch, padId: PAD, adamw, recompute });
      const tokens = await trainer.accumulate(batch);
      const pages = model.weights.pages.map(({ gradients }) => gradients!);
      const reader = createReader(gpu, pages);
      const gradients = (await reader.read()).map((page) => Float32Array.from(page));
      reader.destroy();
      await trainer.optimizer.update(1, 1e-3);
      const metrics = await trainer.metrics(1);
      trainer.destroy();
      return { model, tokens, gradients, metrics };
    };

  test("the split into micro-batches changes rounding only", async () => {
    const [one, two] = [await step(10)(data), await step(3)(data)];
    expect(one.tokens).toBe(two.tokens);
    expect(one.metrics.loss).toBeCloseTo(two.metrics.loss, 5);
    expect(one.metrics.entropy).toBeCloseTo(two.metrics.entropy, 5);
    one.gradients.forEach((page, i) => {
      const largest = page.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
      expect(largest).toBeGreaterThan(1e-3);
      expectClose(two.gradients[i], page, 1e-5 * largest, 1e-3, `gradient page ${i}`);
    });
  });

  test("recomputed blocks give the same gradients, metrics and weights to the bit", async () => {
    const [plain, recomputed] = [await step(4)(data), await step(4, "block")(data)];
    expect(recomputed.metrics).toEqual(plain.metrics);
    recomputed.gradients.forEach((page, i) => expectClose(page, plain.gradients[i], 0, 0, `gradient page ${i}`));
    const after = await getWeights(plain.model);
    for (const [name, { data }] of await getWeights(recomputed.model)) {
      expectClose(data, after.get(name)!.data, 0, 0, name);
    }
  });

  test("the loss is the mean over the tokens of the whole step, not the mean of micro-batch means", async () => {
    const [short, long] = [
      { tokens: [1, 5, 2], promptLength: 2 }, // 1 completion token
      { tokens: [1, 7, 8, 9, 10, 11, 12, 2], promptLength: 3 }, // 5
    ];
    const sums = [...await sequenceLogprobs(tinyLlama(gpu, 3, { L: 2 }), [short, long], 2, PAD)];
    const { tokens, metrics } = await step(1)([long, short]);
    expect(tokens).toBe(6);
    expect(metrics.loss).toBeCloseTo(-(sums[0] + sums[1]) / 6, 5);
    const meanOfMeans = -(sums[0] / 1 + sums[1] / 5) / 2;
    expect(Math.abs(metrics.loss - meanOfMeans)).toBeGreaterThan(1e-3); // or this test would tell nothing
  });

  test("a fresh model starts near ln V", async () => {
    const { metrics } = await step(4)(data);
    expect(Math.abs(metrics.loss / Math.log(96) - 1)).toBeLessThan(0.05);
  });
});

test("SFT learns eight sequences by heart: loss below 0.01", async () => {
  const model = tinyLlama(gpu, 5);
  const few = sequences(8, 21).map((sequence, i) => ({ ...sequence, tokens: sequence.tokens.with(1, 3 + i) }));
  const config = { ...SFT, steps: 120, batchSize: 8, microBatch: 8, learningRate: 0.02, warmup: 5, logEvery: 20 };
  const run = trainSft({ ...config, weightDecay: 0 }, { ...given(model), sequences: few });
  const losses = (await metricsOf(run)).map(({ metrics }) => metrics.loss);
  expect(losses[0]).toBeGreaterThan(1);
  expect(losses.at(-1)).toBeLessThan(0.01);
});

test("every epoch visits each sequence once, in an order of its own that the seed decides", () => {
  const items = [..."abcdefgh"];
  const epochs = (seed: number) => {
    const at = epochOrder(items, seed);
    return [0, 1, 2].map((epoch) => items.map((_, i) => at(epoch * items.length + i)).join(""));
  };
  const orders = epochs(1);
  for (const order of orders) expect([...order].sort()).toEqual(items);
  expect(new Set([...orders, "abcdefgh"]).size).toBe(4);
  expect(epochs(1)).toEqual(orders);
  expect(epochs(2)).not.toEqual(orders);
  expect(epochOrder(items, 1)(13)).toBe(orders[1][5]); // reached without the steps before, as on resuming
});
