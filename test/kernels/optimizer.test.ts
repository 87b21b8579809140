import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkGuards, compile, createWeights, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { adamw, gradNorm } from "../../kernels/mod.ts";
import { expectClose, GUARDED, random } from "./check_op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

/** AdamW as in Loshchilov & Hutter, epsilon after the bias correction (PyTorch); clip factor max / (norm + 1e-6). */
function reference(
  w: number[],
  g: number[],
  decay: boolean,
  steps: number,
  lr: number,
  wd: number,
  most: number,
  norm: number,
) {
  const m = w.map(() => 0), v = w.map(() => 0);
  const scale = Math.min(1, most / (norm + 1e-6));
  for (let t = 1; t <= steps; t++) {
    for (let i = 0; i < w.length; i++) {
      const grad = g[i] * scale;
      m[i] = 0.9 * m[i] + 0.1 * grad;
      v[i] = 0.999 * v[i] + 0.001 * grad * grad;
      if (decay) w[i] -= lr * wd * w[i];
      w[i] -= lr * (m[i] / (1 - 0.9 ** t)) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
    }
  }
  return w;
}

describe("the optimizer step", () => {
  test("clips by the global norm over all pages, decays matrices only, and zeroes the gradients", async () => {
    const weights = createWeights(gpu, [
      { name: "matrix", shape: [70, 71], decay: true },
      { name: "gain", shape: [33], decay: false },
    ], true);
    const draw = random(1);
    const data = new Map([...weights.tensors].map(([name, tensor]) => {
      const size = tensor.shape.reduce((a, b) => a * b, 1);
      const numbers = () => Float32Array.from({ length: size }, () => draw() * 2 - 1);
      const both = { w: numbers(), g: numbers() };
      write(gpu, tensor, both.w);
      return [name, both];
    }));
    const hyper = persistent(gpu, "hyper", [8]);
    const plan = new Plan("update");
    const norm = persistent(gpu, "norm", [2]);
    gradNorm(plan, weights.pages, hyper, norm);
    adamw(plan, weights.pages, hyper, norm);
    const executable = await compile(gpu, plan);
    const gradientOf = (name: string) => {
      const tensor = weights.tensors.get(name)!;
      return { ...tensor, storage: tensor.storage.gradient! };
    };
    for (let t = 1; t <= 3; t++) {
      for (const [name, { g }] of data) write(gpu, gradientOf(name), g);
      write(gpu, hyper, Float32Array.of(0.01, 0.9, 0.999, 1e-8, 0.1, 1 - 0.9 ** t, 1 - 0.999 ** t, 2));
      await executable.run();
    }
    const names = [...data.keys()];
    const [normGot, ...rest] = await executable.reader([
      norm,
      ...names.map((name) => weights.tensors.get(name)!),
      ...names.map(gradientOf),
    ]).read();
    await checkGuards(gpu);
    const all = [...data.values()].flatMap(({ g }) => [...g]);
    const wantNorm = Math.sqrt(all.reduce((sum, g) => sum + g * g, 0));
    expectClose(normGot, [wantNorm, 2 / (wantNorm + 1e-6)], 0, 1e-5, "norm and clip factor");
    names.forEach((name, i) => {
      const { w, g } = data.get(name)!;
      const want = reference([...w], [...g], name === "matrix", 3, 0.01, 0.1, 2, wantNorm);
      expectClose(rest[i], want, 1e-6, 1e-5, name);
      expect(rest[names.length + i].every((value) => value === 0), `gradients of ${name} are zero again`).toBe(true);
    });
  });
});
