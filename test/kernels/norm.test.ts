import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu, Plan } from "../../src/plan/mod.ts";
import { gelu, layernorm, rmsnorm } from "../../kernels/mod.ts";
import { checkOp, GUARDED } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const forwards = [
  "workgroup a row",
  "invocation a row",
  "16 invocations a row",
  "subgroup a row",
  "subgroup 8 rows",
];
const backwards = [
  "16 rows a workgroup",
  "invocation a row",
  "4 rows a workgroup",
  "subgroup 8 rows",
  "subgroup 32 rows",
];

describe("every way to compute a norm agrees with its float64 reference", () => {
  // One column, widths on both sides of a team, four at a time or not, more rows than a workgroup has.
  // A browser's software adapter compiles for a second each: there one size of either kind.
  const sizes = "document" in globalThis ? [[35, 70], [33, 132]] : [[5, 7], [35, 70], [3, 1], [67, 12], [33, 132]];
  for (const [N, C] of sizes) {
    for (let i = 0; i < forwards.length; i++) {
      const force = () => {
        gpu.choices.force("norm", forwards[i]);
        gpu.choices.force("norm.backward", backwards[i]);
      };
      test(`layernorm ${N} rows of ${C}: ${forwards[i]}, ${backwards[i]}`, async () => {
        force();
        await checkOp(gpu, {
          inputs: { x: { shape: [N, C], spread: 3 }, gain: { shape: [C] }, bias: { shape: [C] } },
          record: (plan, t) => layernorm(plan, t.x, t.gain, t.bias, 1e-5),
          reference: (v) => reference.layernorm(v.x, v.gain, v.bias, 1e-5),
        });
      });
      test(`rmsnorm ${N} rows of ${C}: ${forwards[i]}, ${backwards[i]}`, async () => {
        force();
        await checkOp(gpu, {
          inputs: { x: { shape: [N, C] }, gain: { shape: [C] } },
          record: (plan, t) => rmsnorm(plan, t.x, t.gain, 1e-5),
          reference: (v) => reference.rmsnorm(v.x, v.gain, 1e-5),
        });
      });
    }
  }
});

test("layernorm of rows far from zero keeps its digits", async () => {
  for (const name of forwards) {
    gpu.choices.force("norm", name);
    // Exact in f32, as is their mean: what E[x^2] - E[x]^2 would lose is lost for no other reason.
    const data = Float32Array.from({ length: 3 * 44 }, (_, i) => 4096 + ((7 * i) % 44 - 21.5) / 16);
    await checkOp(gpu, {
      inputs: { x: { shape: [3, 44], data } },
      given: {
        gain: { shape: [44], data: new Float32Array(44).fill(1) },
        bias: { shape: [44], data: new Float32Array(44) },
      },
      record: (plan, t) => layernorm(plan, t.x, t.gain, t.bias, 1e-5),
      reference: (v) => reference.layernorm(v.x, new Float64Array(44).fill(1), new Float64Array(44), 1e-5),
    });
  }
});

test("a norm over rows of another width is refused", () => {
  const plan = new Plan("p", gpu);
  const x = plan.value("x", [3, 8]);
  const gain = plan.value("gain", [9]);
  expect(() => layernorm(plan, x, gain, plan.value("bias", [9]), 1e-5)).toThrow(
    "Cannot record layernorm.forward: C is 8 in x [3,8] but 9 in gain [9]",
  );
});

describe("gelu", () => {
  for (const shape of [[3, 25], [4, 24]]) {
    test(`of ${shape.join(" x ")}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape, spread: 4 } },
        record: (plan, t) => gelu(plan, t.x),
        reference: (v) => reference.gelu(v.x),
      }));
  }
  test("far from zero, where a tanh by its formula would overflow", () =>
    checkOp(gpu, {
      inputs: { x: { shape: [8], data: Float32Array.of(-300, 300, -30, 30, -9, 9, 0, -0.5) } },
      record: (plan, t) => gelu(plan, t.x),
      reference: (v) => reference.gelu(v.x),
    }));
});
