import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkGuards,
  compile,
  createReader,
  createWeights,
  elements,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import {
  KL_LOSSES,
  type KlLoss,
  PPO_POLICY_METRICS,
  PPO_VALUE_METRICS,
  ppoPolicy,
  ppoValue,
  type Surrogate,
  SURROGATES,
  tokenLogprob,
} from "../../kernels/mod.ts";
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const numbers = (count: number, seed: number, spread = 1) => {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => (draw() * 2 - 1) * spread);
};
const input = (name: string, data: ArrayLike<number>): Tensor => {
  const tensor = persistent(gpu, name, [data.length]);
  write(gpu, tensor, Float32Array.from(data));
  return tensor;
};

interface PolicyOptions {
  surrogate?: Surrogate;
  klLoss?: KlLoss;
  /** Below and above 1. */
  clip?: readonly [number, number];
  dual?: number;
  klCoefficient?: number;
  /** Tokens of a row: what a sequence is to gspo. */
  row?: number;
}

/**
 * Columns as the kernel has them: the loss, then the metrics. `straight` takes the penalty whose gradient the loss has, which is not
 * always the one whose value it has; `frozen` are the log-probabilities of whatever has no gradient.
 */
function policyReference(
  lp: ArrayLike<number>,
  given: { old: ArrayLike<number>; reference: ArrayLike<number>; advantages: ArrayLike<number> },
  weights: ArrayLike<number>,
  means: ArrayLike<number>,
  options: PolicyOptions,
  straight = false,
  frozen: ArrayLike<number> = lp,
): number[] {
  const { surrogate = "clip", klLoss = "k2", clip: [low, high] = [0.2, 0.2], dual = 0, klCoefficient = 0 } = options;
  const { row = lp.length } = options;
  const sums = Array<number>(11).fill(0);
  for (let n = 0; n < lp.length; n++) {
    if (weights[n] === 0 && means[n] === 0) continue;
    const a = given.advantages[n], l = lp[n] - given.reference[n];
    let d = lp[n] - given.old[n];
    if (surrogate === "gspo") {
      const first = Math.floor(n / row) * row;
      const tokens = Array.from({ length: row }, (_, t) => first + t).filter((t) => means[t] !== 0);
      const logRatio = tokens.reduce((sum, t) => sum + frozen[t] - given.old[t], 0) / tokens.length;
      d = logRatio + (lp[n] - frozen[n]);
    }
    const ratio = Math.exp(d), bound = (x: number) => Math.min(Math.max(x, 1 - low), 1 + high);
    const plain = -a * ratio, clipped = -a * bound(ratio);
    let loss = Math.max(plain, clipped);
    if (dual > 0 && a < 0) loss = Math.min(loss, -a * dual);
    let out = clipped > plain;
    if (surrogate === "cispo") {
      const constant = bound(Math.exp(frozen[n] - given.old[n]));
      loss = -a * constant * lp[n];
      out = ratio !== bound(ratio);
    }
    const k2 = l * l / 2, k3 = Math.exp(-l) - 1 + l;
    const penalty = klCoefficient * (klLoss === "k2" || (straight && klLoss === "k3+") ? k2 : k3);
    [loss + penalty, loss, penalty].forEach((value, m) => sums[m] += weights[n] * value);
    [d * d / 2, Number(out), Number(out && ratio > 1), ratio, (ratio - 1) ** 2, l, k2, k3]
      .forEach((value, m) => sums[3 + m] += means[n] * value);
  }
  return sums;
}

function valueReference(
  values: ArrayLike<number>,
  given: { old: ArrayLike<number>; returns: ArrayLike<number> },
  weights: ArrayLike<number>,
  clip: number,
  scale: number,
): number[] {
  const sums = Array<number>(7).fill(0);
  for (let n = 0; n < values.length; n++) {
    if (weights[n] === 0) continue;
    const r = given.returns[n], e = r - values[n];
    const bounded = r - Math.min(Math.max(values[n], given.old[n] - clip), given.old[n] + clip);
    const loss = Math.max(e * e, bounded * bounded) / 2;
    const columns = [scale * loss, loss, Number(bounded * bounded > e * e), r, r * r, e, e * e];
    columns.forEach((value, m) => sums[m] += weights[n] * value);
  }
  return sums;
}

/** A mask with gaps, as weights of a mean. */
function maskWeights(N: number): Float32Array {
  const mask = Array.from({ length: N }, (_, n) => Number(n % 5 !== 3));
  const count = mask.reduce((sum, m) => sum + m, 0);
  return Float32Array.from(mask, (m) => m / count);
}

const CLIP = Math.fround(0.2), HIGH = Math.fround(0.28), BETA = Math.fround(0.3);

describe("PPO's losses agree with their float64 references, forward and gradient", () => {
  const cases: [rows: number, T: number, PolicyOptions][] = [
    [1, 7, {}],
    [67, 1, { dual: 1.5 }],
    [3, 700, { clip: [CLIP, HIGH] }],
    [5, 9, { klCoefficient: BETA, klLoss: "k2" }],
    [5, 9, { klCoefficient: BETA, klLoss: "k3" }],
    [5, 9, { klCoefficient: BETA, klLoss: "k3+", dual: 1.5 }],
    [3, 67, { surrogate: "gspo", clip: [0.125, HIGH] }],
    [65, 3, { surrogate: "cispo", clip: [1, HIGH], klCoefficient: BETA }],
  ];
  for (const [B, T, options] of cases) {
    const N = B * T;
    const given = { old: numbers(N, 1, 0.5), reference: numbers(N, 2, 0.5), advantages: numbers(N, 3, 2) };
    const means = maskWeights(N);
    const weights = means.map((mean, n) => mean * (1 + (n % T) / T));
    const { clip: [low, high] = [CLIP, CLIP], dual = 0, klCoefficient = 0 } = options;
    const lp = numbers(N, 4, 0.7);
    test(`policy loss of ${B} x ${T} tokens, ${JSON.stringify(options)}`, () =>
      checkOp(gpu, {
        inputs: { lp: { shape: [B, T], data: lp } },
        given: {
          old: { shape: [B, T], data: given.old },
          reference: { shape: [B, T], data: given.reference },
          advantages: { shape: [B, T], data: given.advantages },
          weights: { shape: [B, T], data: weights },
          means: { shape: [B, T], data: means },
          hyper: { shape: [4], data: Float32Array.of(low, high, dual, klCoefficient) },
        },
        record: (plan, { lp, ...rest }) => {
          const { old, reference, advantages, weights, means, hyper } = rest;
          return ppoPolicy(plan, { logprobs: lp, old, reference, advantages, weights, means, hyper }, options).loss;
        },
        // k3+ has the gradient of another number than its value: of that number, shifted to the right value.
        reference: (values) => {
          const of = (at: ArrayLike<number>, straight: boolean) =>
            policyReference(at, given, weights, means, { ...options, clip: [low, high], row: T }, straight, lp)[0];
          return Float64Array.of(of(values.lp, true) + of(lp, false) - of(lp, true));
        },
      }));
  }
  for (const N of [7, 67, 2100]) {
    const given = { old: numbers(N, 1, 0.5), advantages: numbers(N, 3, 2) };
    const weights = maskWeights(N);
    test(`value loss of ${N} tokens`, () =>
      checkOp(gpu, {
        inputs: { values: { shape: [N] } },
        given: {
          old: { shape: [N], data: given.old },
          returns: { shape: [N], data: given.advantages },
          weights: { shape: [N], data: weights },
          hyper: { shape: [2], data: Float32Array.of(CLIP, 0.5) },
        },
        record: (plan, { values, old, returns, weights, hyper }) =>
          ppoValue(plan, { values, old, returns, weights, hyper }).loss,
        reference: ({ values }) =>
          Float64Array.of(
            valueReference(values, { old: given.old, returns: given.advantages }, weights, CLIP, 0.5)[0],
          ),
      }));
  }
});

interface Outcome {
  loss: number;
  metrics: Record<string, number>;
  gradient: number[];
}

/** One run: loss, metrics by name, and the gradient of the trained numbers. */
async function run(
  trained: ArrayLike<number>,
  names: readonly string[],
  record: (plan: Plan, trained: Tensor) => { loss: Tensor; metrics: Tensor },
): Promise<Outcome> {
  const weights = createWeights(gpu, [{ name: "trained", shape: [trained.length], decay: false }], true);
  const tensor = weights.tensors.get("trained")!;
  write(gpu, tensor, Float32Array.from(trained));
  const plan = new Plan("ppo", gpu);
  const { loss, metrics } = record(plan, tensor);
  plan.keep(loss);
  plan.keep(metrics);
  plan.backward(loss, input("one", [1]));
  const executable = await compile(gpu, plan);
  await executable.run();
  const [lossGot, metricsGot] = await executable.reader([loss, metrics]).read();
  const [page] = await createReader(gpu, [weights.pages[0].gradients!]).read();
  await checkGuards(gpu);
  executable.destroy();
  return {
    loss: lossGot[0],
    metrics: Object.fromEntries(names.map((name, m) => [name, metricsGot[m]])),
    gradient: [...page.subarray(0, trained.length)],
  };
}

interface Rollout extends PolicyOptions {
  old?: ArrayLike<number>;
  reference?: ArrayLike<number>;
  advantages: ArrayLike<number>;
  weights?: ArrayLike<number>;
  means?: ArrayLike<number>;
}

function policy(lp: ArrayLike<number>, rollout: Rollout): Promise<Outcome> {
  const zeros = new Float32Array(lp.length);
  const { old = zeros, reference = zeros, advantages, clip = [0.2, 0.2], dual = 0, klCoefficient = 0 } = rollout;
  const weights = rollout.weights ?? zeros.map(() => 1 / lp.length);
  const row = rollout.row ?? lp.length;
  const rows = (name: string, data: ArrayLike<number>) => ({ ...input(name, data), shape: [lp.length / row, row] });
  return run(lp, PPO_POLICY_METRICS, (plan, logprobs) =>
    ppoPolicy(plan, {
      logprobs,
      old: rows("old", old),
      reference: rows("reference", reference),
      advantages: rows("advantages", advantages),
      weights: rows("weights", weights),
      means: rows("means", rollout.means ?? weights),
      hyper: input("hyper", [...clip, dual, klCoefficient]),
    }, rollout));
}

// Float64 values of the project's golden tables (autodiff, checked by finite differences there).
describe("PPO's golden numbers", () => {
  const ratios = [1, 1.5, 1.5, 0.5, 0.5];
  const advantages = [1, 1, -1, 1, -1];

  test("the clip table: loss, gradient, clipped share and approximate KL", async () => {
    const got = await policy(ratios.map(Math.log), { advantages });
    expect(got.loss).toBeCloseTo(-0.08, 6);
    expectClose(got.gradient, [-0.2, 0, 0.3, -0.1, 0], 1e-6, 1e-6, "gradient");
    expect(got.metrics["loss/policy_avg"]).toBe(got.loss);
    expect(got.metrics["policy/clipfrac_avg"]).toBeCloseTo(0.4, 6);
    expect(got.metrics["policy/approxkl_avg"]).toBeCloseTo(0.1289709935622734, 6);
    expect(got.metrics["policy/clipfrac_high"]).toBeCloseTo(0.2, 6);
    expect(got.metrics["val/ratio"]).toBeCloseTo(1, 6);
    expect(got.metrics["val/ratio_spread"]).toBeCloseTo(4 * 0.25 / 5, 6);
  });

  test("in the first epoch the ratio is 1 to the bit, the loss -mean(A) and the gradient -A/N", async () => {
    const lp = [-0.3, -2.5, -7.75, -0.001, -31];
    const got = await policy(lp, { old: lp, advantages });
    expect(got.loss).toBeCloseTo(-0.2, 7);
    expectClose(got.gradient, [-0.2, -0.2, 0.2, -0.2, 0.2], 1e-8, 1e-6, "gradient");
    for (const name of ["policy/clipfrac_avg", "policy/approxkl_avg", "val/ratio_spread"]) {
      expect(got.metrics[name], name).toBe(0);
    }
  });

  test("dual clip 3 bounds what a token with a negative advantage costs, and nothing else", async () => {
    const five = Math.log(5);
    const got = await policy([five, five], { advantages: [-1, 1], dual: 3 });
    expect(got.loss).toBeCloseTo((3 - 1.2) / 2, 6);
    expect(got.gradient.map(Math.abs)).toEqual([0, 0]);
    const single = await policy([five, five], { advantages: [-1, 1] });
    expect(single.loss).toBeCloseTo((5 - 1.2) / 2, 5);
    expectClose(single.gradient, [2.5, 0], 1e-6, 1e-5, "without a dual clip the token pulls with its ratio");
  });

  test("a uniform policy over three tokens: the gradient of its logits", async () => {
    const head = createWeights(gpu, [{ name: "head", shape: [3, 4], decay: false }], true);
    const plan = new Plan("logits", gpu);
    const hidden = persistent(gpu, "hidden", [4, 4]); // only the first row counts, so the head's gradient is that of its logits
    write(gpu, hidden, Float32Array.from({ length: 16 }, (_, i) => Number(i === 0)));
    const targets = persistent(gpu, "targets", [4], "u32");
    write(gpu, targets, Uint32Array.of(1, 0, 2, 1));
    const uniform = Array(4).fill(-Math.log(3));
    const { loss } = ppoPolicy(plan, {
      logprobs: tokenLogprob(plan, hidden, head.tensors.get("head")!, targets).logprob,
      old: input("old", uniform),
      reference: input("reference", uniform),
      advantages: input("advantages", [2, 0, 0, 0]),
      weights: input("weights", Array(4).fill(1 / 4)),
      means: input("means", Array(4).fill(1 / 4)),
      hyper: input("hyper", [0.2, 0.2, 0, 0]),
    });
    plan.backward(loss, input("one", [1]));
    const executable = await compile(gpu, plan);
    await executable.run();
    const [page] = await createReader(gpu, [head.pages[0].gradients!]).read();
    expectClose([page[0], page[4], page[8]], [1 / 6, -1 / 3, 1 / 6], 1e-6, 1e-6, "d logits");
  });

  test("the clipped value loss", async () => {
    const hyper = [0.2, 1];
    const got = await run([0.1, 0.5, -0.5], PPO_VALUE_METRICS, (plan, values) =>
      ppoValue(plan, {
        values,
        old: input("old", [0, 0, 0]),
        returns: input("returns", [1, 1, 1]),
        weights: input("weights", Array(3).fill(1 / 3)),
        hyper: input("hyper", hyper),
      }));
    expect(got.loss).toBeCloseTo(0.6166666666666667, 6);
    expectClose(got.gradient, [-0.3, 0, -0.5], 1e-6, 1e-6, "gradient");
    expect(got.metrics["val/clipfrac_avg"]).toBeCloseTo(1 / 3, 6);
  });

  // All three outcomes at once, each weighted by its chance: a sum is the expectation under the policy.
  test("divergence of p = (.5, .3, .2) from (.4, .4, .2): the values of its estimators, and their gradients as a loss", async () => {
    const [p, q] = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]];
    const lp = p.map(Math.log);
    for (const klLoss of KL_LOSSES) {
      const given = { old: lp, reference: q.map(Math.log), advantages: [0, 0, 0], weights: p };
      const got = await policy(lp, { ...given, klLoss, klCoefficient: 1 });
      expect(got.metrics["policy/reference_k1"]).toBeCloseTo(0.02526715392157057, 6);
      expect(got.metrics["policy/reference_k2"]).toBeCloseTo(0.024862407344802114, 6);
      expect(got.metrics["policy/reference_k3"]).toBeCloseTo(0.02526715392157057, 6);
      expect(got.loss).toBeCloseTo(klLoss === "k2" ? 0.024862407344802114 : 0.02526715392157057, 6);
      // d logits of an expectation over sampled tokens, whose weights have no gradient: sum_a g_a (onehot(a) - p).
      const total = got.gradient.reduce((sum, g) => sum + g, 0);
      const want = klLoss === "k3"
        ? [0.1, -0.1, 0]
        : [0.09893819869631959, -0.09388476791200549, -0.005053430784314106];
      expectClose(got.gradient.map((g, a) => g - p[a] * total), want, 1e-6, 1e-6, `gradient of ${klLoss}`);
    }
  });

  test("gspo: one ratio for the tokens of a sequence, the geometric mean of theirs", async () => {
    const lp = [0.1, 0.3, 9, -0.5, -0.3, 7], weights = [0.5, 0.25, 0, 0.125, 0.125, 0];
    const got = await policy(lp, { advantages: [1, 1, 1, 1, 2, 1], weights, row: 3, surrogate: "gspo" });
    const [first, second] = [Math.exp(0.2), Math.exp(-0.4)]; // the first is out of its range, upwards
    expect(got.loss).toBeCloseTo(-1.2 * 0.75 - second * 0.125 * 3, 6);
    expectClose(got.gradient, [0, 0, 0, -second / 8, -second / 4, 0], 1e-6, 1e-6, "gradient");
    expect(got.metrics["val/ratio"]).toBeCloseTo(0.75 * first + 0.25 * second, 6);
    expect(got.metrics["policy/clipfrac_high"]).toBeCloseTo(0.75, 6);
  });

  test("cispo: a token out of the range keeps its gradient, with the bounded ratio as a constant", async () => {
    const got = await policy([Math.log(3), Math.log(0.25)], {
      advantages: [1, -2],
      clip: [0.5, 1],
      surrogate: "cispo",
    });
    expectClose(got.gradient, [-2 / 2, 2 * 0.5 / 2], 1e-6, 1e-6, "gradient");
    expect(got.loss).toBeCloseTo((-2 * Math.log(3) + 2 * 0.5 * Math.log(0.25)) / 2, 6);
    expect(got.metrics["policy/clipfrac_avg"]).toBe(1);
    expect(got.metrics["policy/clipfrac_high"]).toBe(0.5);
  });

  test("a wider range above than below: only ratios beyond 1.28 and below 0.8 are clipped", async () => {
    const ratios = [1.25, 1.3, 0.75, 0.85];
    const got = await policy(ratios.map(Math.log), { advantages: [1, 1, -1, -1], clip: [0.2, 0.28] });
    expectClose(got.gradient, [-1.25 / 4, 0, 0, 0.85 / 4], 1e-6, 1e-6, "gradient");
    expect(got.loss).toBeCloseTo((-1.25 - 1.28 + 0.8 + 0.85) / 4, 6);
  });
});

describe("many tokens, and tokens that do not count", () => {
  test("the metrics of 70,001 tokens are those of the references, twice with the same bits", async () => {
    const N = 70_001;
    const [lp, old, reference, advantages] = [11, 12, 13, 14].map((seed) => numbers(N, seed));
    const weights = maskWeights(N);
    const options = { clip: [CLIP, HIGH] as const, dual: 2, klCoefficient: BETA };
    const got = await policy(lp, { old, reference, advantages, weights, ...options });
    const [loss, ...metrics] = policyReference(lp, { old, reference, advantages }, weights, weights, options);
    expectClose([got.loss], [loss], 1e-5, 1e-4, "loss");
    expectClose(Object.values(got.metrics), metrics, 1e-5, 1e-4, "metrics");
    expect(await policy(lp, { old, reference, advantages, weights, ...options })).toEqual(got);

    const record = (plan: Plan, values: Tensor) =>
      ppoValue(plan, {
        values,
        old: input("old", old),
        returns: input("returns", advantages),
        weights: input("weights", weights),
        hyper: input("hyper", [CLIP, 0.1]),
      });
    const value = await run(lp, PPO_VALUE_METRICS, record);
    const want = valueReference(lp, { old, returns: advantages }, weights, CLIP, 0.1);
    expectClose([value.loss, ...Object.values(value.metrics)], want, 1e-5, 1e-4, "value loss and metrics");
  });

  test("what stands in masked tokens changes nothing, whatever it is, and gets no gradient", async () => {
    const lp = numbers(9, 21, 0.1), advantages = numbers(9, 22);
    const weights = [0.25, 0, 0.25, 0, 0, 0.25, 0.25, 0, 0];
    const wild = lp.map((value, n) => weights[n] === 0 ? [-3e38, 1000, -1000][n % 3] : value);
    const wildAdvantages = advantages.map((value, n) => weights[n] === 0 ? 3e38 : value);
    for (const surrogate of SURROGATES) {
      const options = { weights, surrogate, row: 3, klCoefficient: 0.1 };
      const plain = await policy(lp, { advantages, ...options });
      expect(await policy(wild, { advantages: wildAdvantages, ...options }), surrogate).toEqual(plain);
      plain.gradient.forEach((value, n) => expect(value === 0).toBe(weights[n] === 0));
    }
  });

  test("log-ratios far beyond what f32 holds stay finite", async () => {
    for (const surrogate of SURROGATES) {
      for (const klLoss of KL_LOSSES) {
        const options = { advantages: [1, 1, -1, -1], surrogate, klLoss, klCoefficient: 0.1, row: 1 };
        const got = await policy([-200, 200, -200, 200], options);
        for (const value of [got.loss, ...got.gradient, ...Object.values(got.metrics)]) {
          expect(Number.isFinite(value)).toBe(true);
        }
      }
    }
  });
});

test("tensors that disagree are refused by name", () => {
  const plan = new Plan("wrong", gpu);
  const [five, four, two] = [5, 4, 2].map((size) => input(`of${size}`, Array(size).fill(0)));
  expect(elements(five.shape)).toBe(5);
  expect(() => ppoValue(plan, { values: five, old: five, returns: four, weights: five, hyper: two })).toThrow(
    "Cannot record ppo_value.forward: N is 5 in of5 [5] but 4 in of4 [4]",
  );
});
