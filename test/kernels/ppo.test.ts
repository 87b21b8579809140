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
import { PPO_POLICY_METRICS, PPO_VALUE_METRICS, ppoPolicy, ppoValue, tokenLogprob } from "../../kernels/mod.ts";
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

/** Columns as the kernel has them: the loss, then the metrics. */
function policyReference(
  lp: ArrayLike<number>,
  given: { old: ArrayLike<number>; reference: ArrayLike<number>; advantages: ArrayLike<number> },
  weights: ArrayLike<number>,
  clip: number,
  dual = 0,
): number[] {
  const sums = Array<number>(8).fill(0);
  for (let n = 0; n < lp.length; n++) {
    if (weights[n] === 0) continue;
    const a = given.advantages[n], d = lp[n] - given.old[n], l = lp[n] - given.reference[n];
    const ratio = Math.exp(d);
    const plain = -a * ratio, clipped = -a * Math.min(Math.max(ratio, 1 - clip), 1 + clip);
    let loss = Math.max(plain, clipped);
    if (dual > 0 && a < 0) loss = Math.min(loss, -a * dual);
    const clips = Number(clipped > plain);
    const columns = [loss, loss, d * d / 2, clips, ratio, (ratio - 1) ** 2, l, Math.exp(-l) - 1 + l];
    columns.forEach((value, m) => sums[m] += weights[n] * value);
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

const CLIP = Math.fround(0.2);

describe("PPO's losses agree with their float64 references, forward and gradient", () => {
  for (const [N, dual] of [[7, 0], [67, 1.5], [2100, 0]]) {
    const given = {
      old: numbers(N, 1, 0.5),
      reference: numbers(N, 2, 0.5),
      advantages: numbers(N, 3, 2),
    };
    const weights = maskWeights(N);
    test(`policy loss of ${N} tokens${dual ? `, dual clip ${dual}` : ""}`, () =>
      checkOp(gpu, {
        inputs: { lp: { shape: [N], spread: 0.7 } },
        given: {
          old: { shape: [N], data: given.old },
          reference: { shape: [N], data: given.reference },
          advantages: { shape: [N], data: given.advantages },
          weights: { shape: [N], data: weights },
          hyper: { shape: [2], data: Float32Array.of(CLIP, dual) },
        },
        record: (plan, { lp, old, reference, advantages, weights, hyper }) =>
          ppoPolicy(plan, { logprobs: lp, old, reference, advantages, weights, hyper }).loss,
        reference: ({ lp }) => Float64Array.of(policyReference(lp, given, weights, CLIP, dual)[0]),
      }));
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

interface Rollout {
  old?: ArrayLike<number>;
  reference?: ArrayLike<number>;
  advantages: ArrayLike<number>;
  weights?: ArrayLike<number>;
  clip?: number;
  dual?: number;
}

function policy(lp: ArrayLike<number>, rollout: Rollout): Promise<Outcome> {
  const zeros = new Float32Array(lp.length);
  const { old = zeros, reference = zeros, advantages, clip = 0.2, dual = 0 } = rollout;
  const weights = rollout.weights ?? zeros.map(() => 1 / lp.length);
  return run(lp, PPO_POLICY_METRICS, (plan, logprobs) =>
    ppoPolicy(plan, {
      logprobs,
      old: input("old", old),
      reference: input("reference", reference),
      advantages: input("advantages", advantages),
      weights: input("weights", weights),
      hyper: input("hyper", [clip, dual]),
    }));
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
      hyper: input("hyper", [0.2, 0]),
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

  test("expectations under p = (.5, .3, .2) with reference (.4, .4, .2): k1 and k3 are the divergence", async () => {
    const [p, q] = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]];
    const lp = p.map(Math.log);
    const got = await policy(lp, { old: lp, reference: q.map(Math.log), advantages: [0, 0, 0], weights: p });
    expect(got.metrics["policy/reference_k1"]).toBeCloseTo(0.02526715392157057, 6);
    expect(got.metrics["policy/reference_k3"]).toBeCloseTo(0.02526715392157057, 6);
  });
});

describe("many tokens, and tokens that do not count", () => {
  test("the metrics of 70,001 tokens are those of the references, twice with the same bits", async () => {
    const N = 70_001;
    const [lp, old, reference, advantages] = [11, 12, 13, 14].map((seed) => numbers(N, seed));
    const weights = maskWeights(N);
    const got = await policy(lp, { old, reference, advantages, weights, dual: 2 });
    const [loss, ...metrics] = policyReference(lp, { old, reference, advantages }, weights, CLIP, 2);
    expectClose([got.loss], [loss], 1e-5, 1e-4, "loss");
    expectClose(Object.values(got.metrics), metrics, 1e-5, 1e-4, "metrics");
    expect(await policy(lp, { old, reference, advantages, weights, dual: 2 })).toEqual(got);

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
    const plain = await policy(lp, { advantages, weights });
    const wild = lp.map((value, n) => weights[n] === 0 ? [-3e38, 1000, -1000][n % 3] : value);
    const wildAdvantages = advantages.map((value, n) => weights[n] === 0 ? 3e38 : value);
    expect(await policy(wild, { advantages: wildAdvantages, weights })).toEqual(plain);
    plain.gradient.forEach((value, n) => expect(value === 0).toBe(weights[n] === 0));
  });

  test("log-ratios far beyond what f32 holds stay finite", async () => {
    const got = await policy([-200, 200, -200, 200], { advantages: [1, 1, -1, -1] });
    for (const value of [got.loss, ...got.gradient, ...Object.values(got.metrics)]) {
      expect(Number.isFinite(value)).toBe(true);
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
