import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type Gpu, openGpu } from "../../src/plan/mod.ts";
import { segmentSum } from "../../kernels/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { positionsOf, type Sequence } from "../../src/recipes/batches.ts";
import { createDpoStep, type PreferencePair } from "../../src/recipes/dpo_step.ts";
import { whole } from "../../src/recipes/policy.ts";
import {
  fittingRows,
  packedArrays,
  packedShape,
  packPairs,
  packRows,
  paddingShares,
  rowCounts,
} from "../../src/recipes/packing.ts";
import { SFT, trainSft } from "../../src/recipes/sft.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import { checkOp, expectClose, GUARDED, random } from "../kernels/check_op.ts";
import { metricsOf, PAD, pairs, sequences, TINY, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const lengthsOf = (count: number, longest: number) => {
  const draw = random(count);
  return Array.from({ length: count }, () => 1 + Math.floor(draw() * draw() * longest));
};
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

describe("packing rows", () => {
  test("every sequence is in one row, no row is too full, and there are at most 11/9 of the fewest rows and one", () => {
    for (const [count, T] of [[1, 7], [50, 64], [333, 100]]) {
      const lengths = lengthsOf(count, T);
      const rows = packRows(lengths, T);
      expect(rows.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      for (const row of rows) expect(sum(row.map((i) => lengths[i]))).toBeLessThanOrEqual(T);
      expect(rows.length).toBeLessThanOrEqual(11 / 9 * Math.ceil(sum(lengths) / T) + 1);
    }
    expect(() => packRows([3, 9], 8)).toThrow("Cannot pack a sequence of 9 positions into rows of 8");
  });

  test("first-fit decreasing, worked by hand", () => {
    expect(packRows([4, 8, 1, 4, 2, 1], 10)).toEqual([[1, 4], [0, 3, 2, 5]]);
  });

  test("both sequences of a pair are in one batch, rows hold and so do the pairs of a batch", () => {
    const [chosen, rejected] = [lengthsOf(101, 40), lengthsOf(101, 40).reverse()];
    const lengths = chosen.map((length, i) => [length, rejected[i]] as const);
    const batches = packPairs(lengths, 4, 40, 13);
    expect(batches.flatMap(({ pairs }) => pairs).sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    for (const { pairs, rows } of batches) {
      expect(pairs.length).toBeLessThanOrEqual(13);
      expect(rows.length).toBe(4);
      for (const row of rows) {
        expect(sum(row.map(([pair, side]) => lengths[pairs[pair]][side]))).toBeLessThanOrEqual(40);
      }
      const placed = rows.flat().map(([pair, side]) => 2 * pair + side).sort((a, b) => a - b);
      expect(placed).toEqual(Array.from({ length: 2 * pairs.length }, (_, i) => i));
    }
    expect(() => packPairs([[5, 6]], 1, 10, 4)).toThrow("Cannot pack a pair of 5 and 6 positions into 1 rows of 10");
  });

  test("a pass with few rows runs a plan with few rows", () => {
    expect(rowCounts(12)).toEqual([12, 6, 3, 2, 1]);
    expect([1, 2, 3, 4, 6, 7, 12].map((used) => fittingRows(used, 12))).toEqual([1, 2, 3, 6, 6, 12, 12]);
  });

  test("a packed pass has rows of twice the longest sequence, and no more positions than the padded one", () => {
    expect(packedShape([10, 40, 3], 8, 4096)).toEqual({ B: 4, T: 80 }); // 8 x 48 positions
    expect(packedShape([40], 8, 64)).toEqual({ B: 6, T: 64 });
    expect(packedShape([60], 8, 64)).toEqual({ B: 8, T: 64 });
    expect(packedShape([40], 2, 64)).toEqual({ B: 2, T: 64 }); // a pair of 40 needs two rows
    expect(packedShape([40], 1, 4096)).toEqual({ B: 1, T: 80 });
  });

  test("numbers of segments rise along a row, positions restart, targets shift within a sequence, and what is left over has a segment of its own", () => {
    const rows = [[
      { sequence: { tokens: [1, 9, 2], promptLength: 1 }, segment: 2 },
      { sequence: { tokens: [1, 7, 8, 2], promptLength: 2 }, segment: 0 },
    ], [{ sequence: { tokens: [1, 5], promptLength: 2 }, segment: 1 }]];
    const { ids, targets, positions, segments, mask, counts } = packedArrays(rows, 3, 6, 99, 3);
    expect([...ids]).toEqual([1, 7, 8, 1, 9, 99, 1, ...Array(11).fill(99)]);
    expect([...targets]).toEqual([7, 8, 2, 9, 2, 0, 5, ...Array(11).fill(0)]);
    expect([...positions]).toEqual([0, 1, 2, 0, 1, 0, ...Array(12).fill(0)]);
    expect([...segments]).toEqual([0, 0, 0, 2, 2, 3, 1, ...Array(11).fill(3)]);
    expect([...mask]).toEqual([0, 1, 1, 1, 1, 0, ...Array(12).fill(0)]);
    expect(counts).toEqual([2, 0, 2]);
    expect(() => packedArrays(rows, 3, 4, 99, 3)).toThrow(
      "Cannot batch a row: its sequences have more than 4 positions",
    );
  });

  test("the shares of padding, worked by hand and on lengths as data has them", () => {
    // Two steps. Buckets: 2 x 16 and 2 x 48, then 2 x 16 again; packed: rows of 64, the longest there may be, and 1 at a
    // time as 64 are more than half of 2 x 48: 2 of them, then 1.
    const shares = paddingShares([10, 40, 12, 33, 8], { batchSize: 4, microBatch: 2, longest: 64 });
    expect(shares.bucketed).toBeCloseTo(1 - 103 / (32 + 96 + 32), 12);
    expect(shares.packed).toBeCloseTo(1 - 103 / (2 * 64 + 64), 12);
    const many = paddingShares(lengthsOf(640, 256), { batchSize: 64, microBatch: 8, longest: 256 });
    expect(many.packed).toBeLessThan(many.bucketed / 2);
  });
});

describe("sums over segments", () => {
  const N = 203, S = 5;
  const segments = Uint32Array.from({ length: N }, (_, n) => Math.floor(n / 31)); // 5 and 6 are padding
  const draw = random(4);
  const weights = Float32Array.from({ length: N }, () => 2 * draw() - 1);

  test("add up each segment's positions, and give padding no gradient", async () => {
    const guarded = await openGpu(GUARDED);
    await checkOp(guarded, {
      inputs: { x: { shape: [N] } },
      given: { w: { shape: [N], data: weights }, segments: { shape: [N], data: segments } },
      record: (plan, t) => segmentSum(plan, t.x, t.w, t.segments, S),
      reference: ({ x }) => {
        const out = new Float64Array(S);
        segments.forEach((s, n) => s < S && (out[s] += x[n] * weights[n]));
        return out;
      },
    });
    guarded.close();
  });
});

describe("packed rows give what rows of their own give", () => {
  const gradientsOf = async (model: ReturnType<typeof tinyLlama>) => {
    const reader = createReader(gpu, model.weights.pages.map(({ gradients }) => gradients!));
    const got = (await reader.read()).map((page) => Float32Array.from(page));
    reader.destroy();
    return got;
  };
  const expectSame = (got: Float32Array[], want: Float32Array[]) =>
    want.forEach((page, i) => {
      const largest = page.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
      expect(largest).toBeGreaterThan(1e-3);
      expectClose(got[i], page, 1e-5 * largest, 1e-3, `gradient page ${i}`);
    });

  test("SFT: loss, entropy, accuracy and gradients, in fewer passes", async () => {
    const data = sequences(21, 7);
    const step = async (pack: boolean) => {
      const model = tinyLlama(gpu, 3, { L: 2 });
      const options = { microBatch: 2, padId: PAD, adamw: ADAMW, recompute: "none" as const, pack };
      const trainer = await createSftStep(whole(model), options);
      const tokens = await trainer.accumulate(data);
      const gradients = await gradientsOf(model);
      await trainer.optimizer.update(1, 1e-3);
      const metrics = await trainer.metrics(1);
      trainer.destroy();
      return { tokens, gradients, metrics };
    };
    const [own, packed] = [await step(false), await step(true)];
    expect(packed.tokens).toBe(own.tokens);
    for (const [name, value] of Object.entries(own.metrics)) expect(packed.metrics[name], name).toBeCloseTo(value, 4);
    expectSame(packed.gradients, own.gradients);
  });

  test("DPO: loss, rewards and gradients, with pairs split over rows", async () => {
    const data = pairs(9, 3).map((pair, i): PreferencePair => ({
      ...pair,
      referenceChosen: -20 - i / 4,
      referenceRejected: -18 + i / 8,
    }));
    const step = async (pack: boolean) => {
      const model = tinyLlama(gpu, 3, { L: 2 });
      const options = { beta: 0.3, alpha: 0.5, labelSmoothing: 0.1, adamw: ADAMW, recompute: "none" as const };
      const trainer = await createDpoStep(whole(model), { microBatch: pack ? 1 : 4, padId: PAD, pack, ...options });
      const tokens = await trainer.accumulate(data);
      const gradients = await gradientsOf(model);
      await trainer.optimizer.update(1, 1e-3);
      const metrics = await trainer.metrics(1);
      trainer.destroy();
      return { tokens, gradients, metrics };
    };
    const [own, packed] = [await step(false), await step(true)];
    expect(packed.tokens).toBe(own.tokens);
    expect(Math.abs(own.metrics["rewards/margins"])).toBeGreaterThan(0.1);
    for (const [name, value] of Object.entries(own.metrics)) expect(packed.metrics[name], name).toBeCloseTo(value, 4);
    expectSame(packed.gradients, own.gradients);
  });

  test("a run of the recipe learns the same, and a sequence's neighbours do not change its loss", async () => {
    const data: Sequence[] = sequences(12, 4);
    const config = { ...SFT, steps: 4, batchSize: 12, microBatch: 3, learningRate: 0.01, warmup: 1, logEvery: 1 };
    const run = async (pack: boolean) => {
      const given = {
        host: memoryHost(),
        policy: whole(tinyLlama(gpu)),
        sequences: data,
        padId: PAD,
        checkpoints: "run",
      };
      return (await metricsOf(trainSft({ ...config, pack }, given))).map(({ metrics }) => metrics.loss);
    };
    const [own, packed] = [await run(false), await run(true)];
    expect(own[3]).toBeLessThan(own[0] - 0.3);
    packed.forEach((loss, i) => expect(loss).toBeCloseTo(own[i], 3));
    expect(Math.max(...data.map(positionsOf))).toBeLessThan(TINY.maxPositions);
  });
});
