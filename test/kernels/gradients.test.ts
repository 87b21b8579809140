import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWeights, type Gpu, openGpu, persistent, Plan } from "../../src/plan/mod.ts";
import { add, embedding, linear, rmsnorm, tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { checkOp, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const ints = (count: number, below: number, seed: number) => {
  const draw = random(seed);
  return Uint32Array.from({ length: count }, () => Math.floor(draw() * below));
};
const floats = (count: number, seed: number) => {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => draw() * 2 - 1);
};

test("the gradient of an embedding table that is no weight is refused", () => {
  const plan = new Plan("p");
  const weights = createWeights(gpu, [{ name: "w", shape: [11, 6], decay: true }], true);
  const table = add(plan, weights.tensors.get("w")!, weights.tensors.get("w")!);
  const y = embedding(plan, persistent(gpu, "ids", [1], "u32"), table);
  const one = persistent(gpu, "one", [1]);
  const loss = weightedSum(plan, y, persistent(gpu, "mask", [6]), 1);
  expect(() => plan.backward(loss, one)).toThrow(
    "Cannot record embedding.backward: sum [11,6] is a value, its gradient needs a weight",
  );
});

describe("every op agrees with its float64 reference, forward and gradient", () => {
  for (const [N, I, O] of [[7, 5, 3], [9, 8, 12], [33, 20, 28], [1, 4, 4], [13, 6, 8]]) {
    test(`linear ${N} rows, ${I} to ${O}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [N, I] }, w: { shape: [O, I] } },
        record: (plan, t) => linear(plan, t.x, t.w),
        reference: (v) => reference.linear(v.x, v.w, N, I, O),
      }));
  }
  for (const [N, I, O] of [[35, 5, 3], [9, 8, 12]]) {
    test(`linear with bias ${N} rows, ${I} to ${O}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [N, I] }, w: { shape: [O, I] }, b: { shape: [O] } },
        record: (plan, t) => linear(plan, t.x, t.w, t.b),
        reference: (v) => reference.linear(v.x, v.w, N, I, O, v.b),
      }));
  }
  const ids = ints(37, 11, 3);
  test("embedding with repeated ids", () =>
    checkOp(gpu, {
      inputs: { table: { shape: [11, 6] } },
      given: { ids: { shape: [37], data: ids } },
      record: (plan, t) => embedding(plan, t.ids, t.table),
      reference: (v) => reference.embedding(ids, v.table, 6),
      modes: ["weights"],
    }));
  for (const [N, C] of [[5, 7], [35, 70]]) {
    test(`rmsnorm ${N} rows of ${C}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [N, C] }, gain: { shape: [C] } },
        record: (plan, t) => rmsnorm(plan, t.x, t.gain, 1e-5),
        reference: (v) => reference.rmsnorm(v.x, v.gain, 1e-5),
      }));
  }
  test("add", () =>
    checkOp(gpu, {
      inputs: { a: { shape: [67] }, b: { shape: [67] } },
      record: (plan, t) => add(plan, t.a, t.b),
      reference: (v) => v.a.map((value, i) => value + v.b[i]),
    }));
  for (const [V, chunk] of [[67, 64], [200, 64], [9, 64], [192, 128]]) {
    const targets = ints(21, V, V);
    test(`token log-probability over ${V} tokens in chunks of ${chunk}`, () =>
      checkOp(gpu, {
        inputs: { h: { shape: [21, 8] }, w: { shape: [V, 8] } },
        given: { targets: { shape: [21], data: targets } },
        record: (plan, t) => tokenLogprob(plan, t.h, t.w, t.targets, chunk).logprob,
        reference: (v) => reference.tokenLogprob(v.h, v.w, targets, 8),
      }));
  }
  const mask = floats(3 * 77, 5);
  test("weighted sums of rows", () =>
    checkOp(gpu, {
      inputs: { x: { shape: [3, 77] } },
      given: { w: { shape: [3, 77], data: mask } },
      record: (plan, t) => weightedSum(plan, t.x, t.w, 3),
      reference: (v) => reference.weightedSum(v.x, mask, 3),
    }));
  test("weighted sums of rows that share their weights", () =>
    checkOp(gpu, {
      inputs: { x: { shape: [6, 77] } },
      given: { w: { shape: [3, 77], data: mask } },
      record: (plan, t) => weightedSum(plan, t.x, t.w, 6),
      reference: (v) => reference.weightedSum(v.x, mask, 6),
    }));
});
