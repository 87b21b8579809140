import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { matmulNn, matmulNt } from "../../kernels/matmul.ts";
import { quantize, quantizedLinear } from "../../kernels/quantized.ts";
import { checkGuards, compile, fitting, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

function numbers(count: number, seed: number): Float32Array {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => draw() * 2 - 1);
}

/** What codes and scales stand for, read back bit by bit. */
function unpack(codes: Uint32Array, scales: Float32Array, bits: number, group: number): Float32Array {
  const perWord = 32 / bits;
  return Float32Array.from({ length: codes.length * perWord }, (_, i) => {
    const field = (codes[Math.floor(i / perWord)] >>> (i % perWord * bits)) & (2 ** bits - 1);
    return (field >= 2 ** (bits - 1) ? field - 2 ** bits : field) * scales[Math.floor(i / group)];
  });
}

describe("quantize", () => {
  test.each([4, 8] as const)("at %i bits is off by at most half a step of the group's scale", (bits) => {
    const weights = numbers(6 * 64, 3);
    const { codes, scales } = quantize(weights, [6, 64], { bits, group: 32 });
    const back = unpack(codes, scales, bits, 32);
    weights.forEach((value, i) => {
      expect(Math.abs(back[i] - value)).toBeLessThanOrEqual(scales[Math.floor(i / 32)] * 0.50001);
    });
  });

  test("a group of zeros stays zero", () => {
    const { codes, scales } = quantize(new Float32Array(32), [1, 32], { bits: 4, group: 32 });
    expect([...codes, ...scales]).toEqual([0, 0, 0, 0, 0]);
  });

  test("names rows that do not divide into groups", () => {
    expect(() => quantize(new Float32Array(80), [2, 40], { bits: 8, group: 32 }))
      .toThrow("Cannot quantize weights [2,40]: rows of 40 do not divide into groups of 32 at 8 bits");
  });
});

describe.each([[4, 32], [8, 64]] as const)("a linear layer of %i bits in groups of %i", (bits, group) => {
  const [N, I, O] = [7, 64, 24];
  const packed = quantize(numbers(O * I, 5), [O, I], { bits, group });
  const weights = Float64Array.from(unpack(packed.codes, packed.scales, bits, group));
  const sizes = { M: N, N: O, K: I, bias: true, quantized: { bits, group }, types: ["f32", "u32", "f32"] as const };

  test("and its input gradient are right with every variant that fits", async () => {
    const codes = persistent(gpu, "codes", [O, I * bits / 32], "u32");
    const scales = persistent(gpu, "scales", [O, I / group]);
    const bias = persistent(gpu, "bias", [O]);
    const b = numbers(O, 9);
    write(gpu, codes, packed.codes);
    write(gpu, scales, packed.scales);
    write(gpu, bias, b);
    const variants = fitting(matmulNt, sizes, gpu.traits);
    expect(variants).toEqual(expect.arrayContaining(["any", "register_8x8", "workgroup_64", "workgroup_128", "gemv"]));
    for (const variant of variants) {
      gpu.choices.force(matmulNt.name, variant);
      gpu.choices.force(matmulNn.name, variant);
      await checkOp(gpu, {
        inputs: { x: { shape: [N, I] } },
        modes: ["values"],
        record: (plan, t) => quantizedLinear(plan, t.x, { bits, group, codes, scales }, bias),
        reference: (v) => reference.linear(v.x, weights, N, I, O, Float64Array.from(b)),
      });
    }
    for (const op of [matmulNt, matmulNn]) gpu.choices.force(op.name, null);
  });
});

test("long rows of quantized weights are right in slices, forward and towards the input", async () => {
  const [M, N, K] = [12, 64, 256];
  for (const [op, O, I] of [[matmulNt, N, K], [matmulNn, K, N]] as const) {
    const quantized = { bits: 4, group: 32 } as const;
    const packed = quantize(numbers(O * I, 11), [O, I], quantized);
    const weights = unpack(packed.codes, packed.scales, 4, 32);
    const a = numbers(M * K, 13);
    const want = Float64Array.from({ length: M * N }, (_, at) => {
      const [m, n] = [Math.floor(at / N), at % N];
      let sum = 0;
      for (let k = 0; k < K; k++) sum += a[m * K + k] * weights[op === matmulNt ? n * K + k : k * N + n];
      return sum;
    });
    const sizes = { M, N, K, quantized, types: ["f32", "u32", "f32"] as const };
    const split = fitting(op, sizes, gpu.traits).filter((variant) => variant.startsWith("split"));
    expect(split).toEqual(["split_register_8x8", "split_workgroup_64"]);
    const x = persistent(gpu, "x", [M, K]);
    const codes = persistent(gpu, "codes", [O, I / 8], "u32");
    const scales = persistent(gpu, "scales", [O, I / 32]);
    const out = persistent(gpu, "out", [M, N]);
    write(gpu, x, a);
    write(gpu, codes, packed.codes);
    write(gpu, scales, packed.scales);
    for (const variant of split) {
      const plan = new Plan("split", gpu);
      gpu.choices.force(op.name, variant);
      plan.variant(op, [x, codes, scales, scales, out, scales], sizes);
      gpu.choices.force(op.name, null);
      const executable = await compile(gpu, plan);
      await executable.run();
      const [got] = await executable.reader([out]).read();
      executable.destroy();
      expectClose(got, want, 2e-5, 1e-4, `${variant} of ${op.name}`);
    }
  }
  await checkGuards(gpu);
});
