import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linear } from "../../kernels/mod.ts";
import { matmulNn, matmulNt, matmulTn } from "../../kernels/matmul.ts";
import type { Sizes } from "../../kernels/matmul_variants.ts";
import {
  checkGuards,
  compile,
  createWeights,
  elements,
  fitting,
  type Gpu,
  type Op,
  openGpu,
  persistent,
  Plan,
  type Shape,
  write,
} from "../../src/plan/mod.ts";
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const layouts = { matmul_nt: matmulNt, matmul_nn: matmulNn, matmul_tn: matmulTn };
type Name = keyof typeof layouts;

const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const silu = (x: number) => x / (1 + Math.exp(-x));

/** What the op must give for the numbers at hand, in float64: [out, kept]. */
function expected(name: Name, sizes: Sizes, [a, b, bias, residual, out]: readonly Float32Array[]): number[][] {
  const { M, N, K, batch = 1, add, activation } = sizes;
  const f = activation === "gelu" ? gelu : activation === "silu" ? silu : (x: number) => x;
  const y: number[] = [], kept: number[] = [];
  for (let at = 0; at < batch * M * N; at++) {
    const [z, m, n] = [Math.floor(at / (M * N)), Math.floor(at / N) % M, at % N];
    let sum = sizes.bias ? bias[n] : 0;
    for (let k = 0; k < K; k++) {
      const left = name === "matmul_tn" ? a[z * M * K + k * M + m] : a[z * M * K + m * K + k];
      const right = name === "matmul_nt" ? b[z * N * K + n * K + k] : b[z * N * K + k * N + n];
      sum += left * right;
    }
    kept.push(sum);
    y.push(f(sum) + (sizes.residual ? residual[at] : 0) + (add ? out[at] : 0));
  }
  return [y, kept];
}

/** Runs one variant on seeded numbers, behind sentinels, and compares. */
async function check(name: Name, variant: string, sizes: Sizes): Promise<void> {
  const { M, N, K, batch = 1, keep, types = ["f32", "f32", "f32"] } = sizes;
  const plan = new Plan("check", gpu);
  const draw = random(M + 3 * N + 7 * K);
  const data: Float32Array[] = [];
  const make = (tensor: string, shape: Shape, dtype: "f32" | "f16" | "u32" | "i32" = "f32") => {
    const made = persistent(gpu, tensor, shape, dtype);
    // Sixteenths up to 1: exact in f16 too.
    data.push(Float32Array.from({ length: elements(shape) }, () => Math.round(draw() * 32 - 16) / 16));
    write(gpu, made, data.at(-1)!);
    return made;
  };
  const tensors = [
    make("a", [batch, ...(name === "matmul_tn" ? [K, M] : [M, K])], types[0]),
    make("b", [batch, ...(name === "matmul_nt" ? [N, K] : [K, N])], types[1]),
    make("bias", [N]),
    make("residual", [batch, M, N], types[2]),
    make("out", [batch, M, N], types[2]),
  ];
  if (keep) tensors.push(make("kept", [batch, M, N], types[2]));
  gpu.choices.force(name, variant);
  plan.variant<Sizes>(layouts[name], tensors, sizes);
  gpu.choices.force(name, null);
  expect(plan.picks.map((pick) => pick.variant)).toEqual([variant]);
  const executable = await compile(gpu, plan);
  await executable.run();
  const got = await executable.reader(tensors.slice(4)).read();
  await checkGuards(gpu);
  executable.destroy();
  const want = expected(name, sizes, data);
  const rounding = types[2] === "f16" ? 1e-3 : 0;
  got.forEach((numbers, i) => {
    expectClose(numbers as Float32Array, want[i], 2e-5 + rounding, 1e-4 + rounding, `${variant} of ${name}`);
  });
}

/** Sizes over no border of a tile, as each variant can take them. K is long enough to be cut in two. */
function oddSizes(name: Name, variant: string): Sizes {
  if (variant === "any") return { M: 19, N: 37, K: 13 };
  return {
    M: variant === "gemv" ? 5 : name === "matmul_tn" ? 76 : 67,
    N: 36,
    K: variant.startsWith("split") ? 272 : variant.startsWith("workgroup") || variant === "gemv" ? 28 : 24,
  };
}

function variantsOf(op: Op<Sizes>): string[] {
  return op.variants.map((variant) => variant.name);
}

describe.each(Object.keys(layouts) as Name[])("%s", (name) => {
  test.each(variantsOf(layouts[name]))(
    "%s is right at odd sizes, with all that its epilogue can do and in a batch",
    async (variant) => {
      const sizes = oddSizes(name, variant);
      const fits = (more: Partial<Sizes>) =>
        fitting(layouts[name], { ...sizes, ...more }, gpu.traits).includes(variant);
      expect(fits({}), `${variant} fits`).toBe(true);
      const epilogue = { bias: true, residual: true, activation: "gelu", keep: true } as const;
      const batch = fits({ batch: 3 }) ? { batch: 3 } : {};
      if (name === "matmul_nt") await check(name, variant, { ...sizes, ...epilogue, ...batch });
      await check(name, variant, { ...sizes, add: true, ...batch });
    },
  );
});

describe("linear", () => {
  const [N, I, O] = [5, 12, 8];
  const inputs = { x: { shape: [N, I] }, w: { shape: [O, I] }, b: { shape: [O] }, r: { shape: [N, O] } };
  test.each(["gelu", "silu", undefined] as const)(
    "with bias, activation %s and residual, and their gradients",
    (activation) =>
      checkOp(gpu, {
        inputs,
        record: (plan, t) => linear(plan, t.x, t.w, { bias: t.b, activation, residual: t.r }),
        reference(v) {
          const f = activation === "gelu" ? gelu : activation === "silu" ? silu : (x: number) => x;
          return reference.linear(v.x, v.w, N, I, O, v.b).map((z, i) => f(z) + v.r[i]);
        },
      }),
  );

  test("with an activation alone needs no copy of its input if no gradient is wanted", () => {
    const plan = new Plan("inference", gpu);
    linear(plan, persistent(gpu, "x", [N, I]), persistent(gpu, "w", [O, I]), { activation: "silu" });
    expect(plan.dispatches.map(({ tensors }) => tensors.length)).toEqual([5]);
  });

  test("names the residual that has another type than x", () => {
    const plan = new Plan("wrong", gpu);
    const residual = persistent(gpu, "r", [N, O], "f16");
    expect(() => linear(plan, persistent(gpu, "x", [N, I]), persistent(gpu, "w", [O, I]), { residual }))
      .toThrow("Cannot record matmul.forward: residual r [5,8] is f16, x [5,12] is f32");
  });

  test("refuses the gradient of an activation in f16, whose slope is read as f32", () => {
    const plan = new Plan("wrong", gpu);
    const w = createWeights(gpu, [{ name: "w", shape: [O, I], decay: true }], true).tensors.get("w")!;
    expect(() => linear(plan, persistent(gpu, "x", [N, I], "f16"), w, { activation: "gelu" }))
      .toThrow("Cannot record matmul.forward: the gradient of gelu takes f32, x [5,12] is f16");
  });
});

describe("element types", () => {
  test("f16 is loaded and stored as such and summed in f32, wherever the adapter has it", async () => {
    const variants = (name: Name, sizes: Sizes) => fitting(layouts[name], sizes, gpu.traits);
    const types = ["f16", "f16", "f16"] as const;
    for (const name of Object.keys(layouts) as Name[]) {
      const sizes = { M: 8, N: 12, K: 16, types };
      if (!gpu.traits.f16) expect(variants(name, sizes)).toEqual([]);
      // The layouts share their loads, so one of them stands for all large tiles.
      const tried = name === "matmul_nt" ? variants(name, sizes) : variants(name, sizes).slice(0, 2);
      for (const variant of tried) await check(name, variant, sizes);
    }
    if (!gpu.traits.f16) return;
    await check("matmul_nt", "any", { M: 3, N: 5, K: 7, types: ["f32", "f16", "f32"], bias: true, activation: "silu" });
    await check("matmul_tn", "register_8x8", { M: 12, N: 8, K: 16, types: ["f32", "f16", "f32"], add: true });
  });
});
