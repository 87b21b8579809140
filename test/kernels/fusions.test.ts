import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu, Plan } from "../../src/plan/mod.ts";
import { embedding, linear, swiglu } from "../../kernels/mod.ts";
import { checkOp, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

/** Columns [from, to) of x[N,C]. */
function columns(x: Float64Array, C: number, from: number, to: number): Float64Array {
  return Float64Array.from(
    { length: x.length / C * (to - from) },
    (_, i) => x[Math.floor(i / (to - from)) * C + from + i % (to - from)],
  );
}

describe("swiglu of gate and up side by side", () => {
  for (const [N, F] of [[3, 25], [7, 12], [1, 4]]) {
    test(`${N} rows of twice ${F}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [N, 2 * F], spread: 4 } },
        record: (plan, t) => swiglu(plan, t.x),
        reference: (v) => reference.swiglu(columns(v.x, 2 * F, 0, F), columns(v.x, 2 * F, F, 2 * F)),
      }));
  }
  // exp(89) overflows f32, so both sides of it are here.
  test("gates between -200 and 200", () => {
    const gates = [-200, 200, -100, 100, -90, 90, -20, 20, 0];
    const data = Float32Array.from([...gates, ...gates.map((_, i) => i / 4 - 1)]);
    return checkOp(gpu, {
      inputs: { x: { shape: [1, 18], data } },
      record: (plan, t) => swiglu(plan, t.x),
      reference: (v) => reference.swiglu(v.x.subarray(0, 9), v.x.subarray(9)),
    });
  });
  test("an odd width is refused", () => {
    const plan = new Plan("p", gpu);
    expect(() => swiglu(plan, plan.value("x", [3, 7]))).toThrow(
      "Cannot record swiglu.forward: 2F is 7 in x [3,7] but 6 in gate and up [2,3]",
    );
  });
});

describe("the gradient of a bias, every way to sum rows", () => {
  for (const variant of ["one pass", "two passes"]) {
    for (const [N, O] of [[5, 3], [67, 36], [200, 7], [131, 260], [70, 301]]) {
      test(`${variant}: ${N} rows of ${O}`, async () => {
        gpu.choices.force("sum_rows", variant);
        await checkOp(gpu, {
          inputs: { x: { shape: [N, 4] }, w: { shape: [O, 4] }, b: { shape: [O] } },
          record: (plan, t) => linear(plan, t.x, t.w, t.b),
          reference: (v) => reference.linear(v.x, v.w, N, 4, O, v.b),
        });
      });
    }
  }
});

describe("embeddings and their gradient", () => {
  const draw = random(5);
  const ids: Record<string, (N: number, V: number) => Uint32Array> = {
    "drawn at random": (N, V) => Uint32Array.from({ length: N }, () => Math.floor(draw() * V)),
    "all the same": (N, V) => new Uint32Array(N).fill(V - 1),
    "two long runs and single ones": (N, V) =>
      Uint32Array.from({ length: N }, (_, n) => n % 3 === 0 ? 2 : n % 3 === 1 ? 0 : n % V),
  };
  for (const [name, make] of Object.entries(ids)) {
    for (const [N, V, C] of [[37, 11, 6], [64, 5, 4], [3, 4, 8], [1, 3, 5], [130, 40, 12]]) {
      test(`${N} ids ${name}, ${V} rows of ${C}`, () => {
        const data = make(N, V);
        return checkOp(gpu, {
          inputs: { table: { shape: [V, C] } },
          given: { ids: { shape: [N], data } },
          record: (plan, t) => embedding(plan, t.ids, t.table),
          reference: (v) => reference.embedding(data, v.table, C),
          modes: ["weights"],
        });
      });
    }
  }
  test("positions are added, and both tables get their gradient", () => {
    const N = 21, V = 7, P = 5, C = 8;
    const data = ids["drawn at random"](N, V);
    const positions = Uint32Array.from({ length: N }, (_, n) => n % P);
    return checkOp(gpu, {
      inputs: { table: { shape: [V, C] }, places: { shape: [P, C] } },
      given: { ids: { shape: [N], data }, positions: { shape: [N], data: positions } },
      record: (plan, t) => embedding(plan, t.ids, t.table, { ids: t.positions, table: t.places }),
      reference: (v) => {
        const at = reference.embedding(positions, v.places, C);
        return reference.embedding(data, v.table, C).map((value, i) => value + at[i]);
      },
      modes: ["weights"],
    });
  });
});
