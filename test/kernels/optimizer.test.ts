import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkGuards,
  createReader,
  createWeights,
  type Gpu,
  openGpu,
  type Weights,
  write,
} from "../../src/plan/mod.ts";
import { ADAMW, type AdamWConfig, createOptimizer } from "../../src/optim/adamw.ts";
import { expectClose, GUARDED, random } from "./check_op.ts";
import { createCodes, reference8 } from "./adamw8_reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

/** AdamW as in Loshchilov & Hutter, epsilon after the bias correction (PyTorch); `scale` is the clip factor. */
function reference(w: number[], g: number[], decay: number, steps: number, lr: number, scale: number) {
  const m = w.map(() => 0), v = w.map(() => 0);
  for (let t = 1; t <= steps; t++) {
    for (let i = 0; i < w.length; i++) {
      const grad = g[i] * scale;
      m[i] = 0.9 * m[i] + 0.1 * grad;
      v[i] = 0.999 * v[i] + 0.001 * grad * grad;
      w[i] -= lr * decay * w[i];
      w[i] -= lr * (m[i] / (1 - 0.9 ** t)) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
    }
  }
  return w;
}

/** A matrix of odd sizes and a gain, with seeded weights and gradients. */
function parameters(decayAll = false) {
  const weights = createWeights(gpu, [
    { name: "matrix", shape: [70, 71], decay: true },
    { name: "gain", shape: [33], decay: decayAll },
  ], true);
  const draw = random(1);
  const data = new Map([...weights.tensors].map(([name, tensor]) => {
    const numbers = () => Float32Array.from({ length: tensor.shape.reduce((a, b) => a * b, 1) }, () => draw() * 2 - 1);
    const both = { w: numbers(), g: numbers() };
    write(gpu, tensor, both.w);
    return [name, both];
  }));
  return { weights, data };
}

const gradientOf = (weights: Weights, name: string) => {
  const tensor = weights.tensors.get(name)!;
  return { ...tensor, storage: tensor.storage.gradient! };
};

/** Three steps with the same gradients: norm and clip factor, weights, and what is left of the gradients. */
async function threeSteps(config: AdamWConfig, decayAll = false) {
  const { weights, data } = parameters(decayAll);
  const optimizer = await createOptimizer(gpu, weights, config);
  for (let t = 1; t <= 3; t++) {
    for (const [name, { g }] of data) write(gpu, gradientOf(weights, name), g);
    await optimizer.update(t, 0.01);
  }
  const names = [...data.keys()];
  const [norm, ...rest] = await createReader(gpu, [
    optimizer.norm,
    ...names.map((name) => weights.tensors.get(name)!),
    ...names.map((name) => gradientOf(weights, name)),
  ]).read();
  await checkGuards(gpu);
  return { norm, data, w: rest.slice(0, 2), g: rest.slice(2), optimizer };
}

describe("the optimizer step", () => {
  test("clips by the global norm over all pages, decays matrices only, and zeroes the gradients", async () => {
    const { norm, data, w, g } = await threeSteps({ ...ADAMW, weightDecay: 0.1, maxGradNorm: 2 });
    const all = [...data.values()].flatMap(({ g }) => [...g]);
    const wantNorm = Math.sqrt(all.reduce((sum, g) => sum + g * g, 0));
    const scale = 2 / (wantNorm + 1e-6);
    expectClose(norm, [wantNorm, scale], 0, 1e-5, "norm and clip factor");
    [...data].forEach(([name, { w: before, g: gradient }], i) => {
      const want = reference([...before], [...gradient], name === "matrix" ? 0.1 : 0, 3, 0.01, scale);
      expectClose(w[i], want, 1e-6, 1e-5, name);
      expect(g[i].every((value) => value === 0), `gradients of ${name} are zero again`).toBe(true);
    });
  });

  test("without clipping and with decay of every parameter it is torch.optim.AdamW, and measures no norm unasked", async () => {
    for (const gradNorm of [false, true]) {
      const { norm, data, w } = await threeSteps({ ...ADAMW, weightDecay: 0.1, maxGradNorm: 0, gradNorm }, true);
      expect(norm[1]).toBe(1);
      expect(norm[0] > 0).toBe(gradNorm);
      [...data].forEach(([name, { w: before, g }], i) => {
        expectClose(w[i], reference([...before], [...g], 0.1, 3, 0.01, 1), 1e-6, 1e-5, name);
      });
    }
  });
});

describe("moments in 8 bits", () => {
  const config: AdamWConfig = { ...ADAMW, weightDecay: 0.1, maxGradNorm: 0, gradNorm: false, moments: "8bit" };

  test("the codes' values are bitsandbytes' dynamic maps", () => {
    // Dettmers et al. 2022, bitsandbytes.functional.create_dynamic_map: midpoints of 2^i (unsigned 2^(i+1)) even parts.
    for (const [bits, codes] of [[7, createCodes(7)], [8, createCodes(8)]] as const) {
      const want = [0];
      for (let i = 0; i < 7; i++) {
        const parts = 2 ** (i + bits - 7);
        for (let j = 0; j < parts; j++) want.push(10 ** (i - 6) * (0.1 + 0.9 * (j + 0.5) / parts));
      }
      want.push(1);
      expectClose(codes, want, 0, 1e-12, `${bits} bits`);
      expect(codes.length).toBe(bits === 7 ? 129 : 256);
    }
  });

  test("weights, codes and scales follow a float64 reference of the same algorithm over five steps", async () => {
    const { weights } = parameters();
    const page = weights.pages[0];
    const optimizer = await createOptimizer(gpu, weights, config);
    const [start] = await createReader(gpu, [page.weights]).read();
    const draw = random(9);
    const want = reference8(Float64Array.from(start), { ...config, lr: 0.01 });
    for (let t = 1; t <= 5; t++) {
      // Sizes over five orders of magnitude, so that every level of the codes occurs, and exact zeros.
      const g = Float32Array.from({ length: page.elements }, () => {
        const size = 10 ** (-5 * draw());
        return draw() < 0.05 ? 0 : size * (draw() < 0.5 ? -1 : 1);
      });
      write(gpu, page.gradients!, g);
      await optimizer.update(t, 0.01);
      want.step(g, t);
    }
    const saved = await optimizer.save();
    const codes = saved.get("codes.0")!.data as Uint8Array;
    const scales = saved.get("scales.0")!.data as Float32Array;
    const [got] = await createReader(gpu, [page.weights]).read();
    await checkGuards(gpu);
    expectClose(scales, want.scales(), 1e-12, 1e-3, "scales");
    // Rounding in f32 may choose the neighbour of a code that lies half-way: rarely, and never more than one off.
    let apart = 0;
    want.codes().forEach((code, i) => {
      const difference = Math.abs(rank(codes[i], i) - rank(code, i));
      expect(difference, `code ${i}: ${codes[i]} against ${code}`).toBeLessThanOrEqual(1);
      apart += Number(difference > 0);
    });
    expect(apart / codes.length).toBeLessThan(0.005);
    const wrong = got.filter((w, i) => Math.abs(w - want.w[i]) > 1e-6 + 1e-4 * Math.abs(want.w[i]));
    expect(wrong.length / got.length, "weights that a differing code moved").toBeLessThan(0.01);
    expect(Math.max(...got.map((w, i) => Math.abs(w - want.w[i])))).toBeLessThan(0.01);
    expect(new Set(codes).size, "codes in use").toBeGreaterThan(200);
  });

  test("take 2 bytes and a 32nd a parameter, come back from a checkpoint to the bit, and refuse one of f32", async () => {
    const { weights, data } = parameters();
    const bit8 = await createOptimizer(gpu, weights, config);
    const page = weights.pages[0];
    const gains = weights.pages[1].elements * 8;
    expect(bit8.momentBytes - gains).toBe(page.elements * 2 + Math.ceil(page.elements / 256) * 8);
    const step = async (t: number, on: typeof bit8) => {
      for (const [name, { g }] of data) write(gpu, gradientOf(weights, name), g.map((x) => x * t));
      await on.update(t, 0.01);
    };
    await step(1, bit8);
    const state = await bit8.save();
    const [before] = await createReader(gpu, [page.weights]).read();
    await step(2, bit8);
    const [want] = await createReader(gpu, [page.weights]).read();
    write(gpu, page.weights, before);
    const resumed = await createOptimizer(gpu, weights, config);
    resumed.load(state);
    await step(2, resumed);
    const [got] = await createReader(gpu, [page.weights]).read();
    expect(got).toEqual(want);
    const other = await createOptimizer(gpu, weights, { ...config, moments: "f32" });
    expect(() => other.load(state)).toThrow('optimizer state "first.0" has 0 bytes');
  });
});

/** Where a code stands in rising order of values. Of every eight bytes four are first moments, which have a sign. */
function rank(code: number, i: number): number {
  const second = i % 8 >= 4;
  return second || code <= 128 ? code : 128 - code;
}
