// Tensors longer than the adapter binds at once: one buffer, taken by rows.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  createReader,
  createWeights,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  rowRanges,
  write,
} from "../../src/plan/mod.ts";
import { tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { createGpt, gptAttendWithin, gptForward, gptHeadWeight } from "../../src/model/gpt.ts";
import { setWeights } from "../../src/model/weights.ts";
import { createOptimizer } from "../../src/optim/adamw.ts";
import { batchOf, initialWeights, optimizer, shapes } from "../../bench/peers/workload.ts";
import golden from "../golden/gpt_torch.json" with { type: "json" };
import { getWeights } from "../../src/model/llama.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import { random } from "../kernels/check_op.ts";
import { PAD, sequences, tinyLlama } from "../recipes/tiny.ts";

const LIMIT = 24 << 10;
let gpu: Gpu, narrow: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
  narrow = await openGpu({ bindingBytes: LIMIT });
});
afterAll(() => {
  gpu.close();
  narrow.close();
});

/** Losses, gradient norms and final weights of SFT steps on a Llama whose embedding table has 90 kB. */
async function train(gpu: Gpu, tied: boolean) {
  const model = tinyLlama(gpu, 3, { V: 701, tied });
  const step = await createSftStep(whole(model), { microBatch: 2, padId: PAD, adamw: ADAMW, recompute: "none" });
  const draw = random(9);
  const batch = sequences(6, 5).map(({ tokens, promptLength }) => ({
    tokens: tokens.map((token, i) => i % 2 === 0 ? token : 3 + Math.floor(draw() * 698)),
    promptLength,
  }));
  const losses: number[] = [], norms: number[] = [];
  for (let i = 1; i <= 4; i++) {
    await step.accumulate(batch);
    await step.optimizer.update(i, 0.01);
    const { loss, grad_norm } = await step.metrics(1);
    losses.push(loss);
    norms.push(grad_norm);
  }
  step.destroy();
  return { losses, norms, weights: await getWeights(model), pages: model.weights.pages };
}

describe("an adapter that binds at most 24 kB", () => {
  for (const tied of [true, false]) {
    test(`trains a model with a table of 90 kB (${tied ? "tied" : "untied"} head) to the same losses and weights`, async () => {
      const [whole, split] = [await train(gpu, tied), await train(narrow, tied)];
      expect(whole.pages.length).toBe(2);
      expect(split.pages.length).toBeGreaterThan(4);
      for (const { weights } of split.pages) expect(weights.shape[0] * 4).toBeLessThanOrEqual(LIMIT);
      expect(whole.losses[3]).toBeLessThan(whole.losses[0] - 0.5);
      split.losses.forEach((loss, i) => expect(loss).toBeCloseTo(whole.losses[i], 4));
      split.norms.forEach((norm, i) => expect(norm / whole.norms[i]).toBeCloseTo(1, 4));
      // AdamW's first steps go by the sign of a gradient, so weights may differ by rounding times the learning rate.
      for (const [name, { data }] of split.weights) {
        const want = whole.weights.get(name)!.data;
        const worst = data.reduce((most, w, i) => Math.max(most, Math.abs(w - want[i])), 0);
        expect(worst, name).toBeLessThan(2e-3);
      }
    });
  }

  test("pages of one tensor cover it without a gap, each at a bindable offset", () => {
    const { pages, tensors } = createWeights(narrow, [{ name: "wte", shape: [701, 32], decay: true }], true);
    const bytes = Math.ceil(701 * 32 * 4 / 256) * 256;
    expect(new Set(pages.map(({ weights }) => weights.storage)).size).toBe(1);
    expect(tensors.get("wte")!.storage.bytes).toBe(bytes);
    let end = 0;
    for (const { weights, gradients, elements } of pages) {
      for (const each of [weights, gradients!]) {
        expect([each.offset, each.shape[0]]).toEqual([end, elements]);
      }
      expect(end % 256).toBe(0);
      end += elements * 4;
    }
    expect(end).toBe(bytes);
  });

  test("a cache that it cannot bind is refused by name", () => {
    expect(() => persistent(narrow, "cache.0.keys", [100, 64])).toThrow(
      "Cannot allocate cache.0.keys: 25600 bytes, the adapter binds at most 24576",
    );
  });
});

test("a linear layer with a weight of more bytes than can be bound gives PyTorch's losses, gradients and weights", async () => {
  const { nano } = shapes;
  const { V, T, C, L, H, B } = nano;
  // c_fc and its transpose have 36,864 bytes, c_attn 27,648; the head and the table fit.
  const own = await openGpu({ bindingBytes: 16 << 10 });
  const config = { C, F: 4 * C, L, H, D: C / H, V, normEps: 1e-5, tied: false, maxPositions: T };
  const model = createGpt(own, config, true, "all");
  setWeights(model, initialWeights(nano), "initial weights");
  const N = 1 * T; // a row at a time: B rows of values would not be bound
  const [ids, targets, positions] = ["ids", "targets", "positions"].map((name) => persistent(own, name, [N], "u32"));
  write(own, positions, Uint32Array.from({ length: N }, (_, n) => n % T));
  const lossWeight = persistent(own, "loss.weight", [N]);
  write(own, lossWeight, new Float32Array(N).fill(-1 / (B * T)));
  const plan = new Plan("gpt", own);
  const h = gptForward(plan, model, ids, positions, gptAttendWithin(config, 1, T));
  const { logprob } = tokenLogprob(plan, h, gptHeadWeight(model), targets);
  const loss = plan.keep(weightedSum(plan, logprob, lossWeight, 1));
  plan.backward(loss, model.one);
  expect(plan.dispatches.filter(({ kernel }) => kernel.name === "columns.put").length).toBeGreaterThanOrEqual(
    3 * 2 * L,
  );
  const executable = await compile(own, plan);
  const reader = executable.reader([loss]);
  const { lr, decay: weightDecay, ...betas } = optimizer;
  const adamw = await createOptimizer(own, model.weights, { ...betas, weightDecay, maxGradNorm: 0 });
  for (const [step, want] of golden.nano.losses.slice(0, 8).entries()) {
    const batch = batchOf(nano, step);
    let got = 0;
    for (let b = 0; b < B; b++) {
      write(own, ids, batch.ids.subarray(b * T, (b + 1) * T));
      write(own, targets, batch.targets.subarray(b * T, (b + 1) * T));
      await executable.run();
      got += (await reader.read())[0][0];
    }
    expect(Math.abs(got - want), `loss of step ${step}: ${got}, PyTorch ${want}`).toBeLessThan(1e-4);
    await adamw.update(step + 1, lr);
  }
  own.close();
});

describe("row ranges", () => {
  const tensor = (shape: number[]) => persistent(gpu, "x", shape);

  test("cover all rows in order, at offsets that can be bound, within the limit", () => {
    for (const [rows, width, limit] of [[701, 32, 24576], [50, 48, 4096], [129, 100, 30000]]) {
      let next = 0;
      for (const { first, count } of rowRanges(tensor([rows, width]), limit)) {
        expect(first).toBe(next);
        expect(first * width * 4 % 256).toBe(0);
        expect(count * width * 4).toBeLessThanOrEqual(limit);
        next += count;
      }
      expect(next).toBe(rows);
    }
  });

  test("are one where the tensor fits, and an error where no bindable run does", () => {
    expect(rowRanges(tensor([7, 3]), 1000)).toEqual([{ first: 0, count: 7 }]);
    expect(() => rowRanges(tensor([129, 100]), 6000)).toThrow(
      "Cannot take x [129,100] by rows: 16 rows have 6400 bytes, the adapter binds at most 6000",
    );
  });
});

test("tensors of more bytes than the staging buffer go up and come back whole", async () => {
  // 64 MiB is the staging buffer: one tensor beyond it, one small one behind.
  const count = (64 << 18) + 333;
  const [long, short] = [persistent(gpu, "long", [count]), persistent(gpu, "short", [5])];
  const data = Float32Array.from({ length: count }, (_, i) => i % 8191);
  write(gpu, long, data);
  write(gpu, short, Float32Array.of(1, 2, 3, 4, 5));
  const reader = createReader(gpu, [long, short]);
  const [got, five] = await reader.read();
  expect(got.length).toBe(count);
  expect(got.findIndex((value, i) => value !== i % 8191)).toBe(-1);
  expect([...five]).toEqual([1, 2, 3, 4, 5]);
  reader.destroy();
  for (const each of [long, short]) each.storage.buffer!.destroy();
});
