/**
 * One line of test per op. Forward against a float64 reference; gradients against central differences of that reference;
 * accumulation by recording the op twice; sentinels behind every buffer and NaN in every value before the run; inputs once
 * as weights and once as values. The GPU must be opened with `GUARDED`.
 */
import { expect } from "vitest";
import {
  checkGuards,
  compile,
  createWeights,
  elements,
  type Gpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { add, weightedSum } from "../../kernels/mod.ts";

export const GUARDED = { guard: 256 };

export interface OpCheck {
  /** Differentiable inputs: shape of each, and its numbers; without them, seeded ones of the given spread (default 1). */
  inputs: Record<string, { shape: number[]; spread?: number; data?: Float32Array }>;
  /** Inputs without a gradient. */
  given?: Record<string, { shape: number[]; data: Uint32Array | Float32Array }>;
  record: (plan: Plan, tensors: Record<string, Tensor>) => Tensor;
  /** Inputs as weights, as values, or (by default) one after the other. */
  modes?: readonly Mode[];
  reference: (values: Record<string, Float64Array>) => Float64Array;
}

type Mode = "weights" | "values";

/** Seeded uniform numbers (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** alignment.md 2.4: 1e-5 + 1e-4 |ref| forward; 1e-5 max|g| + 1e-3 |ref| for gradients. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  absolute: number,
  relative: number,
  what: string,
) {
  expect(got.length, `${what}: length`).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    const allowed = absolute + relative * Math.abs(want[i]);
    if (!(Math.abs(got[i] - want[i]) <= allowed)) {
      expect.fail(`${what}: element ${i} is ${got[i]}, reference ${want[i]}, allowed difference ${allowed}`);
    }
  }
}

export async function checkOp(gpu: Gpu, check: OpCheck): Promise<void> {
  for (const mode of check.modes ?? ["weights", "values"] as const) await checkOpIn(gpu, check, mode);
}

async function checkOpIn(gpu: Gpu, check: OpCheck, mode: Mode): Promise<void> {
  const draw = random(7);
  const names = Object.keys(check.inputs);
  const data: Record<string, Float32Array> = {};
  const plan = new Plan("check", gpu);
  const tensors: Record<string, Tensor> = {};
  const gradients: Tensor[] = []; // whole pages: a tensor and the padding behind it
  for (const name of names) {
    const { shape, spread = 1 } = check.inputs[name];
    data[name] = check.inputs[name].data ??
      Float32Array.from({ length: elements(shape) }, () => (draw() * 2 - 1) * spread);
    const weights = createWeights(gpu, [{ name, shape, decay: true }], true); // a page each, so that each has sentinels
    const weight = weights.tensors.get(name)!;
    gradients.push(weights.pages[0].gradients!);
    write(gpu, weight, data[name]);
    // As a value, an input gets its gradient in fresh memory first, and passes it on to the weight behind it.
    tensors[name] = mode === "weights" ? weight : add(plan, weight, persistent(gpu, "zero", shape));
  }
  for (const [name, { shape, data }] of Object.entries(check.given ?? {})) {
    tensors[name] = persistent(gpu, name, shape, data instanceof Uint32Array ? "u32" : "f32");
    write(gpu, tensors[name], data);
  }
  const one = persistent(gpu, "one", [1]);
  write(gpu, one, Float32Array.of(1));

  const outputs = [check.record(plan, tensors), check.record(plan, tensors)];
  const size = elements(outputs[0].shape);
  const mix = Float32Array.from({ length: size }, () => draw() * 2 - 1);
  const mixer = persistent(gpu, "mix", [size]);
  write(gpu, mixer, mix);
  const losses = outputs.map((output) => weightedSum(plan, output, mixer, 1));
  plan.backward(add(plan, losses[0], losses[1]), one);
  for (const output of outputs) plan.keep(output);

  const executable = await compile(gpu, plan);
  await executable.run();
  const [first, second, ...pages] = await executable.reader([...outputs, ...gradients]).read();
  await checkGuards(gpu);
  const got = pages.map((page, i) => {
    const size = data[names[i]].length;
    expect(page.subarray(size).every((pad) => pad === 0), `${mode}: padding of ${names[i]} stays zero`).toBe(true);
    return page.subarray(0, size) as Float32Array;
  });

  const exact = Object.fromEntries(names.map((name) => [name, Float64Array.from(data[name])]));
  const want = check.reference(exact);
  expectClose(first, want, 1e-5, 1e-4, `${mode} forward`);
  expect(second, `${mode}: two recordings of one op give the same bits`).toEqual(first);

  const loss = () => check.reference(exact).reduce((sum, value, i) => sum + value * mix[i], 0);
  names.forEach((name, k) => {
    const values = exact[name];
    const h = 1e-5;
    const slope = (direction: (i: number) => number) => {
      const kept = values.slice();
      values.forEach((_, i) => values[i] = kept[i] + h * direction(i));
      const up = loss();
      values.forEach((_, i) => values[i] = kept[i] - h * direction(i));
      const down = loss();
      values.set(kept);
      return (up - down) / (2 * h);
    };
    // Every coordinate of small tensors; of larger ones twenty random directions.
    const whole = values.length <= 400;
    const directions = whole
      ? Array.from(values, (_, j) => (i: number) => Number(i === j))
      : Array.from({ length: 20 }, () => {
        const v = Float64Array.from(values, () => draw() * 2 - 1);
        return (i: number) => v[i];
      });
    const slopes = directions.map((direction) => 2 * slope(direction)); // the op was recorded twice
    const found = directions.map((direction) => got[k].reduce((sum, g, i) => sum + g * direction(i), 0));
    const largest = Math.max(...slopes.map(Math.abs), 1e-3);
    expectClose(found, slopes, 1e-5 * largest * (whole ? 1 : 10), 1e-3, `${mode} gradient of ${name}`);
  });
  executable.destroy();
}
