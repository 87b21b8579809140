import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu, persistent, Plan } from "../../src/plan/mod.ts";
import {
  type Divergence,
  DIVERGENCES,
  kto,
  preference,
  PREFERENCE_LOSSES,
  type PreferenceLoss,
} from "../../kernels/mod.ts";
import { type Hyper, ktoReference, type PairGiven, preferenceReference } from "../loss/reference.ts";
import { runLoss } from "../loss/run.ts";
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const SMOOTHED = ["sigmoid", "sigmoid-norm", "exo", "robust", "aot", "aot-unpaired", "simpo", "cpo"];
const APART = ["nca", "bco", "sppo", "apo-zero", "apo-down"];

/** P random pairs, every fifth of them padding; log-probabilities of the policy lie between -spread and 0. */
function batch(loss: PreferenceLoss, P: number, seed: number, spread: number) {
  const draw = random(seed);
  const floats = (count: number, low: number, high: number) =>
    Float32Array.from({ length: count }, () => low + (high - low) * draw());
  const pairs = Array.from({ length: P }, (_, p): PairGiven => ({
    weight: P > 2 && p % 5 === 2 ? 0 : Math.fround((0.5 + draw()) / P),
    chosenTokens: 1 + Math.floor(9 * draw()),
    rejectedTokens: 1 + Math.floor(9 * draw()),
    margin: APART.includes(loss) ? 0 : Math.fround(draw()),
    labelSmoothing: SMOOTHED.includes(loss) ? Math.fround(0.01 + 0.3 * draw()) : 0,
  }));
  return { lp: floats(2 * P, -spread, -0.01), reference: floats(2 * P, -spread, -0.01), pairs };
}

const rowsOf = (pairs: readonly PairGiven[]) =>
  Float32Array.from(
    pairs.flatMap((
      { weight, chosenTokens, rejectedTokens, margin = 0, labelSmoothing = 0 },
    ) => [weight, chosenTokens, rejectedTokens, margin, labelSmoothing]),
  );
const hyperOf = ({ beta, divergenceAlpha = 0.5, gamma = 0.5, temperature = 0.05 }: Hyper) =>
  Float32Array.of(beta, divergenceAlpha, gamma, temperature);
const HYPER: Hyper = { beta: Math.fround(0.3), divergenceAlpha: Math.fround(0.4), gamma: 0.5, temperature: 0.25 };

function check(loss: PreferenceLoss, divergence: Divergence, P: number) {
  const { lp, reference, pairs } = batch(loss, P, P, 6);
  return checkOp(gpu, {
    inputs: { lp: { shape: [2 * P], data: lp } },
    given: {
      reference: { shape: [2 * P], data: reference },
      pairs: { shape: [P, 5], data: rowsOf(pairs) },
      hyper: { shape: [4], data: hyperOf(HYPER) },
    },
    record: (plan, t) =>
      preference(plan, { logprobs: t.lp, reference: t.reference, pairs: t.pairs, hyper: t.hyper }, { loss, divergence })
        .loss,
    reference: (v) =>
      Float64Array.of(preferenceReference(v.lp, { loss, divergence, reference, pairs, hyper: HYPER }).loss),
    modes: P === 5 && (loss === "sigmoid" || loss === "aot-unpaired") ? undefined : ["weights"],
  });
}

/** Loss, metrics and gradient at once. */
function run(
  lp: ArrayLike<number>,
  given: { reference: ArrayLike<number>; pairs: readonly PairGiven[]; hyper: Hyper; collision?: ArrayLike<number> },
  choice: { loss: PreferenceLoss; divergence: Divergence },
) {
  const P = given.pairs.length;
  return runLoss(gpu, { shape: [2 * P], data: lp }, (plan, logprobs, put) =>
    preference(plan, {
      logprobs,
      reference: put("reference", [2 * P], given.reference),
      pairs: put("pairs", [P, 5], rowsOf(given.pairs)),
      hyper: put("hyper", [4], hyperOf(given.hyper)),
      collision: given.collision && put("collision", [2 * P], given.collision),
    }, choice));
}

describe("every pair loss agrees with its float64 reference, forward and gradient", () => {
  for (const loss of PREFERENCE_LOSSES) test(`${loss}, five pairs`, () => check(loss, "reverse-kl", 5));
  for (const loss of ["sigmoid", "aot", "aot-unpaired", "orpo"] as const) {
    test(`${loss}, more pairs than a workgroup has lanes`, () => check(loss, "reverse-kl", 131));
  }
  for (const divergence of DIVERGENCES.slice(1)) {
    for (const loss of ["hinge", "ipo", "nca"] as const) {
      test(`${loss} under ${divergence}`, () => check(loss, divergence, 5));
    }
  }
});

test("the reference's slopes are its finite differences", () => {
  for (const loss of PREFERENCE_LOSSES) {
    for (const divergence of DIVERGENCES) {
      const { lp, reference, pairs } = batch(loss, 6, 3, 6);
      const given = { loss, divergence, reference, pairs, hyper: HYPER };
      const at = Float64Array.from(lp);
      const { gradient } = preferenceReference(at, given);
      gradient.forEach((slope, i) => {
        const h = 1e-5;
        const moved = (by: number) => preferenceReference(at.map((x, j) => j === i ? x + by : x), given).loss;
        const found = (moved(h) - moved(-h)) / (2 * h);
        expect(Math.abs(found - slope), `${loss} ${divergence} ${i}`).toBeLessThan(1e-6 * Math.max(1, Math.abs(slope)));
      });
    }
  }
});

test("metrics are those of the pairs as they are, whatever the loss compares", async () => {
  for (const loss of ["sigmoid", "aot", "aot-unpaired", "ipo", "simpo", "cpo"] as const) {
    const { lp, reference, pairs } = batch(loss, 7, 11, 6);
    const got = await run(lp, { reference, pairs, hyper: HYPER }, { loss, divergence: "reverse-kl" });
    const want = preferenceReference(lp, { loss, reference, pairs, hyper: HYPER });
    expectClose(got.metrics, want.metrics, 1e-5, 1e-4, `metrics of ${loss}`);
  }
});

test("WPO weighs pairs by how likely their tokens are, without a gradient through the weight", async () => {
  const { lp, reference, pairs } = batch("sigmoid", 5, 5, 6);
  const collision = batch("sigmoid", 5, 6, 6).lp;
  const given = { reference, pairs, hyper: HYPER, collision };
  const got = await run(lp, given, { loss: "sigmoid", divergence: "reverse-kl" });
  const want = preferenceReference(lp, { loss: "sigmoid", ...given });
  expectClose([got.loss], [want.loss], 1e-5, 1e-4, "loss");
  expectClose(got.gradient, want.gradient, 1e-5, 1e-3, "gradient");
  expectClose(got.metrics, want.metrics, 1e-5, 1e-4, "metrics are unweighted");
  const plain = await run(lp, { ...given, collision: undefined }, { loss: "sigmoid", divergence: "reverse-kl" });
  expect(Math.abs(plain.loss - got.loss)).toBeGreaterThan(0.01);
});

describe("what lies far outside", () => {
  // Log-ratios of up to 2000 nats on either side: beta d is 200 and more.
  const extreme = [-2000, -1000, -20, 0, 20, 1000, 2000];
  const ratios = extreme.flatMap((c) => extreme.map((r) => [c, r]));
  const P = ratios.length;
  const zero = Array<number>(2 * P).fill(0);
  const sums = [...ratios.map(([c]) => c), ...ratios.map(([, r]) => r)];
  for (const loss of PREFERENCE_LOSSES) {
    test(`${loss} stays finite, and right`, async () => {
      const labelSmoothing = loss === "exo" ? Math.fround(0.001) : 0;
      const pairs = ratios.map((): PairGiven => ({
        weight: 1 / P,
        chosenTokens: 4,
        rejectedTokens: 5,
        labelSmoothing,
      }));
      const hyper = { beta: Math.fround(0.1), temperature: Math.fround(0.05) };
      // ORPO's are probabilities: at most 0, and 0 itself is one that f32 cannot tell from 1.
      const lp = loss === "orpo" ? sums.map((x) => -Math.abs(x) - 1e-3) : sums;
      const got = await run(lp, { reference: zero, pairs, hyper }, { loss, divergence: "reverse-kl" });
      const want = preferenceReference(Float32Array.from(lp), { loss, reference: zero, pairs, hyper });
      expectClose([got.loss], [want.loss], 1e-5, 1e-4, "loss");
      const largest = Math.max(...want.gradient.map(Math.abs));
      expectClose(got.gradient, want.gradient, 1e-5 * largest, 1e-3, "gradient");
    });
  }
  for (const divergence of DIVERGENCES.slice(1)) {
    test(`divergence ${divergence} stays finite, and right`, async () => {
      for (const loss of ["sigmoid", "ipo", "bco"] as const) {
        const pairs = ratios.map((): PairGiven => ({ weight: 1 / P, chosenTokens: 4, rejectedTokens: 5 }));
        const hyper = { beta: Math.fround(0.1), divergenceAlpha: 0.5 };
        const got = await run(sums, { reference: zero, pairs, hyper }, { loss, divergence });
        const want = preferenceReference(sums, { loss, divergence, reference: zero, pairs, hyper });
        expectClose([got.loss], [want.loss], 1e-5, 1e-4, `loss of ${loss}`);
        const largest = Math.max(...want.gradient.map(Math.abs));
        expectClose(got.gradient, want.gradient, 1e-5 * largest, 1e-3, `gradient of ${loss}`);
      }
    });
  }

  test("a probability of 1 leaves ORPO finite", async () => {
    const pairs = [{ weight: 1, chosenTokens: 4, rejectedTokens: 5 }];
    const hyper = { beta: 0.1 };
    const got = await run([0, 0], { reference: [0, 0], pairs, hyper }, { loss: "orpo", divergence: "reverse-kl" });
    for (const value of [got.loss, ...got.gradient]) expect(Number.isFinite(value)).toBe(true);
  });

  test("what stands in padding and, for losses without one, in the reference changes nothing", async () => {
    for (const loss of ["sigmoid", "aot", "simpo"] as const) {
      const { lp, reference, pairs } = batch(loss, 5, 9, 6);
      const plain = await run(lp, { reference, pairs, hyper: HYPER }, { loss, divergence: "reverse-kl" });
      const wild = (values: Float32Array, everywhere: boolean) =>
        values.map((value, i) => everywhere || pairs[i % 5].weight === 0 ? [-3e38, 3e38][i % 2] : value);
      const given = { reference: wild(reference, loss === "simpo"), pairs, hyper: HYPER };
      expect(await run(wild(lp, false), given, { loss, divergence: "reverse-kl" }), loss).toEqual(plain);
      expect(plain.gradient[2]).toBe(0);
      expect(plain.gradient[7]).toBe(0);
    }
  });
});

describe("KTO", () => {
  const P = 70;
  const draw = random(1);
  const items = Array.from({ length: P }, (_, p) => ({
    weight: Math.fround(draw() / P),
    desirable: draw() < 0.4,
    share: p % 5 === 2 ? 0 : Math.fround(draw() / P),
  }));
  const floats = (count: number) => Float32Array.from({ length: count }, () => 12 * draw() - 6);
  const [lp, reference] = [floats(P), floats(P)];
  const rows = Float32Array.from(items.flatMap(({ weight, desirable, share }) => [weight, Number(desirable), share]));

  for (const kl of [-0.7, 0.4]) {
    test(`agrees with its float64 reference at a KL estimate of ${kl}`, async () => {
      const given = { reference, items, kl: Math.fround(kl), beta: 0.5 };
      await checkOp(gpu, {
        inputs: { lp: { shape: [P], data: lp } },
        given: {
          reference: { shape: [P], data: reference },
          items: { shape: [P, 3], data: rows },
          kl: { shape: [1], data: Float32Array.of(kl) },
          hyper: { shape: [1], data: Float32Array.of(0.5) },
        },
        record: (plan, t) =>
          kto(plan, { logprobs: t.lp, reference: t.reference, items: t.items, kl: t.kl, hyper: t.hyper }).loss,
        reference: (v) => Float64Array.of(ktoReference(v.lp, given).loss),
      });
      const got = await runLoss(gpu, { shape: [P], data: lp }, (plan, logprobs, put) =>
        kto(plan, {
          logprobs,
          reference: put("reference", [P], reference),
          items: put("items", [P, 3], rows),
          kl: put("kl", [1], [kl]),
          hyper: put("hyper", [1], [0.5]),
        }));
      const want = ktoReference(lp, given);
      expectClose(got.metrics, want.metrics, 1e-5, 1e-4, "metrics");
      expectClose(got.gradient, want.gradient, 1e-7, 1e-3, "the float64 reference's own slopes");
    });
  }
});

test("tensors that disagree are refused by name", () => {
  const plan = new Plan("wrong", gpu);
  const of = (name: string, ...shape: number[]) => persistent(gpu, name, shape);
  const choice = { loss: "sigmoid", divergence: "reverse-kl" } as const;
  const given = { logprobs: of("sums", 6), reference: of("ref", 6), pairs: of("pairs", 3, 5), hyper: of("hyper", 4) };
  expect(() => preference(plan, { ...given, reference: of("ref", 5) }, choice)).toThrow(
    "Cannot record preference.forward: 2P is 5 in ref [5] but 6 in pairs [6]",
  );
  expect(() => preference(plan, { ...given, hyper: of("hyper", 2) }, choice)).toThrow(
    "Cannot record preference.forward: hyper is 2 in hyper [2] but 4 in hyper [4]",
  );
});
