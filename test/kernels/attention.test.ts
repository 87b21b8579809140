import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu, persistent, Plan } from "../../src/plan/mod.ts";
import { add, attention, rope, ropeTable } from "../../kernels/mod.ts";
import {
  attentionBackwardKeyValue,
  attentionBackwardQuery,
  attentionForward,
} from "../../kernels/attention_variants.ts";
import { checkOp, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

describe("rope rotates query and key heads in place and leaves value heads alone", () => {
  for (const sizes of [{ H: 2, G: 1, D: 6 }, { H: 3, G: 1, D: 12 }, { H: 2, G: 2, D: 8 }, { H: 1, G: 1, D: 24 }]) {
    const { H, G, D } = sizes;
    test(`${H} heads over ${G} of size ${D} at scattered positions`, () => {
      const draw = random(4);
      const positions = Uint32Array.from({ length: 5 }, () => Math.floor(draw() * 90));
      return checkOp(gpu, {
        inputs: { x: { shape: [5, (H + 2 * G) * D] } },
        given: {
          positions: { shape: [5], data: positions },
          table: { shape: [90, D / 2, 2], data: ropeTable(90, D, 10000) },
          zero: { shape: [5, (H + 2 * G) * D], data: new Float32Array(5 * (H + 2 * G) * D) },
        },
        // A copy for each recording: what is rotated in place must be fresh.
        record: (plan, t) => rope(plan, add(plan, t.x, t.zero), t.positions, t.table, sizes),
        reference: (v) => reference.rope(v.x, positions, sizes, 10000),
      });
    });
  }

  test("what is no value of the plan is refused", () => {
    const plan = new Plan("p", gpu);
    const [qkv, at, table] = [
      persistent(gpu, "qkv", [2, 24]),
      persistent(gpu, "at", [2], "u32"),
      plan.value("t", [4, 8]),
    ];
    expect(() => rope(plan, qkv, at, table, { H: 1, G: 1, D: 8 })).toThrow(
      "Cannot record rope: qkv [2,24] is no value of the plan",
    );
  });
});

interface Case {
  B: number;
  T: number;
  H: number;
  G: number;
  D: number;
  window?: number;
  /** Lengths of the segments of each row; the rest of the row is one more. */
  packed?: number[][];
  causal?: boolean;
  /** Software adapters compile the larger kernels slowly: as values, what is written and what is added to are two kernels. */
  modes?: ("weights" | "values")[];
}
// More rows than a tile has in all cases but those of `row`; windows and segments end within tiles.
const LANES: Case[] = [
  { B: 2, T: 67, H: 2, G: 1, D: 4, modes: ["values"] },
  { B: 1, T: 69, H: 1, G: 1, D: 12, window: 35, packed: [[3, 1, 38]], modes: ["weights"] },
  { B: 2, T: 67, H: 2, G: 1, D: 4, packed: [[40], [5, 30]], causal: false, modes: ["weights"] },
];
const CASES: Record<string, Case[]> = {
  row: [
    { B: 2, T: 7, H: 4, G: 2, D: 4 },
    { B: 1, T: 35, H: 2, G: 1, D: 8 },
    { B: 3, T: 5, H: 3, G: 3, D: 12 },
    { B: 1, T: 3, H: 2, G: 1, D: 64 },
    { B: 1, T: 21, H: 2, G: 1, D: 4, window: 6 },
    { B: 2, T: 19, H: 2, G: 1, D: 4, packed: [[5, 1, 9], [17]] },
    { B: 1, T: 23, H: 1, G: 1, D: 8, window: 4, packed: [[11, 3]] },
    { B: 2, T: 9, H: 4, G: 2, D: 4, causal: false },
    { B: 2, T: 37, H: 2, G: 1, D: 4, packed: [[5, 1, 29], [36]], causal: false },
  ],
  lanes2: LANES,
  lanes4: LANES,
  // Sizes beyond the 32 dimensions that a tile takes at once.
  tile: [
    { B: 1, T: 67, H: 2, G: 1, D: 4, modes: ["values"] },
    { B: 1, T: 69, H: 1, G: 1, D: 36, window: 35, packed: [[3, 1, 38]], modes: ["weights"] },
    { B: 1, T: 75, H: 2, G: 1, D: 4, packed: [[34, 1]], causal: false, modes: ["weights"] },
  ],
};
const OPS = [attentionForward, attentionBackwardQuery, attentionBackwardKeyValue];

test("every variant has its cases", () => {
  for (const op of OPS) expect(op.variants.map(({ name }) => name)).toEqual(Object.keys(CASES));
});

for (const [name, cases] of Object.entries(CASES)) {
  describe(`attention as ${name} agrees with plain softmax, forward and gradient`, () => {
    beforeAll(() => OPS.forEach((op) => gpu.choices.force(op.name, name)));
    for (const { window, packed, causal, modes, ...shape } of cases) {
      const { B, T, H, G, D } = shape;
      const more = [
        causal === false && "not causal",
        window && `window ${window}`,
        packed && `segments of ${packed.join(" and ")}`,
      ].filter(Boolean);
      test([`${B} x ${T} tokens, ${H} heads over ${G}, size ${D}`, ...more].join(", "), async () => {
        const segments = packed && Uint32Array.from(packed.flatMap((lengths) => {
          const ids = lengths.flatMap((length, i) => new Array<number>(length).fill(i + 3));
          return [...ids, ...new Array<number>(T - ids.length).fill(9)];
        }));
        let recorded: Plan | undefined;
        await checkOp(gpu, {
          inputs: { qkv: { shape: [B, T, (H + 2 * G) * D] } },
          given: segments ? { segments: { shape: [B, T], data: segments } } : {},
          modes,
          record(plan, t) {
            recorded = plan;
            return attention(plan, t.qkv, { ...shape, window, causal, segments: t.segments });
          },
          reference: (v) => reference.attention(v.qkv, { ...shape, window, causal, segments }),
        });
        const used = recorded!.picks.filter((pick) => OPS.includes(pick.op)).map((pick) => pick.variant);
        expect(used, "two recordings of three kernels").toEqual(new Array(6).fill(name));
      });
    }
  });
}

describe("attention refuses", () => {
  const plan = new Plan("p");
  const qkv = (width: number) => plan.value("qkv", [2, 5, width]);
  const sizes = { B: 2, T: 5, H: 4, G: 2, D: 8 };
  test("rows of another width", () =>
    expect(() => attention(plan, qkv(72), sizes)).toThrow(
      "Cannot record attention.forward: (H+2G)*D is 72 in qkv [2,5,72] but 64 in qkv [8,8]",
    ));
  test("another number of rows", () =>
    expect(() => attention(plan, qkv(64), { ...sizes, T: 6 })).toThrow(
      "Cannot record attention.forward: B*T is 10 in qkv [2,5,64] but 12 in qkv [2,6]",
    ));
  test("a head size that is no multiple of 4", () =>
    expect(() => attention(plan, qkv(48), { ...sizes, D: 6 })).toThrow(
      "Cannot record attention.forward: head size 6 is no multiple of 4",
    ));
  test("a window of nothing", () =>
    expect(() => attention(plan, qkv(64), { ...sizes, window: 0 })).toThrow(
      "Cannot record attention.forward: window 0 over qkv [2,5,64]",
    ));
  test("a window over keys on both sides", () =>
    expect(() => attention(plan, qkv(64), { ...sizes, causal: false, window: 3 })).toThrow(
      "Cannot record attention.forward: window 3 over qkv [2,5,64], which is not causal",
    ));
});
