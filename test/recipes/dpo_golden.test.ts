import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  createReader,
  createWeights,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { accumulateInto, tokenLogprob } from "../../kernels/mod.ts";
import { dpoLoss } from "../../src/loss/dpo.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

function input(name: string, shape: number[], data: number[]): Tensor {
  const tensor = persistent(gpu, name, shape);
  write(gpu, tensor, Float32Array.from(data));
  return tensor;
}

/** The loss and its gradients for P pairs given as sums [winners, losers], `tokens` to a winner. */
async function dpoOf(
  sums: number[],
  reference: number[],
  { beta, smoothing = 0, alpha = 0, tokens = 1 }: { beta: number; smoothing?: number; alpha?: number; tokens?: number },
) {
  const P = sums.length / 2;
  const weights = createWeights(gpu, [{ name: "logprob", shape: [2 * P, 1], decay: false }], true);
  const logprob = weights.tensors.get("logprob")!;
  write(gpu, logprob, Float32Array.from(sums));
  const plan = new Plan("golden");
  const { loss, metrics } = dpoLoss(plan, logprob, {
    mask: input("mask", [2 * P, 1], Array(2 * P).fill(1)),
    reference: input("reference", [2 * P], reference),
    pairWeight: input("weight", [P], Array(P).fill(1 / P)),
    sftWeight: input("sft", [2 * P, 1], sums.map((_, i) => i < P ? -alpha / tokens / P : 0)),
    hyper: input("hyper", [2], [beta, smoothing]),
  });
  plan.keep(loss);
  plan.keep(metrics);
  plan.backward(loss, input("one", [1], [1]));
  const executable = await compile(gpu, plan);
  await executable.run();
  const [value, means] = await executable.reader([loss, metrics]).read();
  const [gradient] = await createReader(gpu, [weights.pages[0].gradients!]).read();
  return { loss: value[0], metrics: [...means], gradient: [...gradient.slice(0, 2 * P)] };
}

// Float64 values of the project's golden tables (JAX autodiff, checked by finite differences there): one pair with
// lp = (-10, -12), ref = (-11, -11.5), beta 0.1, four winner tokens; smoothing 0.1 in the second row.
const GOLDEN = [
  {
    name: "sigmoid",
    options: { beta: 0.1 },
    loss: 0.6209570477895321,
    gradient: [-0.04625701546562505, 0.04625701546562505],
    atReference: 0.6931471805599453,
  },
  {
    name: "sigmoid with label smoothing",
    options: { beta: 0.1, smoothing: 0.1 },
    loss: 0.6359570477895321,
    gradient: [-0.03625701546562505, 0.03625701546562505],
    atReference: 0.6931471805599453,
  },
  {
    name: "sigmoid and sft",
    options: { beta: 0.1, alpha: 1, tokens: 4 },
    loss: 3.120957047789532,
    gradient: [-0.29625701546562505, 0.04625701546562505],
    atReference: 3.4431471805599454,
  },
];

describe("DPO's golden numbers", () => {
  for (const { name, options, loss, gradient, atReference } of GOLDEN) {
    test(name, async () => {
      const got = await dpoOf([-10, -12], [-11, -11.5], options);
      expect(got.loss).toBeCloseTo(loss, 6);
      gradient.forEach((want, i) => expect(got.gradient[i]).toBeCloseTo(want, 6));
      [0.1, -0.05, 0.15, 1, 0, -10, -12].forEach((want, i) => expect(got.metrics[i]).toBeCloseTo(want, 6));
      // At the reference only the SFT term depends on the policy, and its winner has -11.
      const still = await dpoOf([-11, -11.5], [-11, -11.5], options);
      expect(still.loss).toBeCloseTo(options.alpha ? Math.LN2 + 11 / 4 : atReference, 6);
    });
  }

  test("torchtune's published vector", async () => {
    for (const [d, loss] of [[0, 0.6931471805599453], [10, 0.3132616875182228], [20, 0.1269280110429725]]) {
      expect((await dpoOf([d, 0], [0, 0], { beta: 0.1 })).loss).toBeCloseTo(loss, 6);
    }
  });

  test("a hopeless pair costs -beta d and pulls with full strength, a settled one costs nothing", async () => {
    const lost = await dpoOf([-2000, 0], [0, 0], { beta: 0.5 });
    expect(lost.loss).toBeCloseTo(1000, 3);
    expect(lost.gradient).toEqual([-0.5, 0.5]);
    const won = await dpoOf([0, -2000], [0, 0], { beta: 0.5 });
    expect(won.loss).toBe(0);
    expect(won.gradient.map(Math.abs)).toEqual([0, 0]);
  });
});

// One token of three, rewards (1, 0, -1). All ordered pairs, weighted by the Bradley-Terry chance of that label: the
// minimum is the policy that maximises E r - beta KL, pi* = ref exp(r / beta) / Z (Rafailov et al. 2023, section 4).
describe("DPO on a whole Bradley-Terry population ends at the closed form", () => {
  const rewards = [1, 0, -1];
  const ends = [
    { beta: 1, reference: [1 / 3, 1 / 3, 1 / 3], want: [0.665240955774822, 0.244728471054798, 0.090030573170380] },
    { beta: 0.5, reference: [1 / 3, 1 / 3, 1 / 3], want: [0.866813332197334, 0.117310427826198, 0.015876239976466] },
    { beta: 0.5, reference: [0.2, 0.3, 0.5], want: [0.800773853709434, 0.162559434450360, 0.036666711840205] },
  ];
  for (const { beta, reference, want } of ends) {
    test(`beta ${beta}, reference ${reference.map((p) => p.toFixed(2))}`, async () => {
      const labelled = [0, 1, 2].flatMap((a) => [0, 1, 2].filter((b) => b !== a).map((b) => [a, b] as const));
      const P = labelled.length, C = 4;
      const arms = [...labelled.map(([a]) => a), ...labelled.map(([, b]) => b)];
      const chance = labelled.map(([a, b]) => 1 / (1 + Math.exp(rewards[b] - rewards[a])) / 3);

      const weights = createWeights(gpu, [{ name: "head", shape: [3, C], decay: false }], true);
      const head = weights.tensors.get("head")!;
      write(gpu, head, Float32Array.from(reference.flatMap((p) => Array(C).fill(Math.log(p) / C)))); // starts at ref
      const hidden = input("hidden", [2 * P, C], Array(2 * P * C).fill(1));
      const targets = persistent(gpu, "targets", [2 * P], "u32");
      write(gpu, targets, Uint32Array.from(arms));
      const sum = input("sum", [1], [0]);

      const plan = new Plan("bandit");
      const { loss } = dpoLoss(plan, tokenLogprob(plan, hidden, head, targets).logprob, {
        mask: input("mask", [2 * P, 1], Array(2 * P).fill(1)),
        reference: input("reference", [2 * P], arms.map((arm) => Math.log(reference[arm]))),
        pairWeight: input("weight", [P], chance),
        sftWeight: input("sft", [2 * P, 1], Array(2 * P).fill(0)),
        hyper: input("hyper", [2], [beta, 0]),
      });
      accumulateInto(plan, loss, sum);
      plan.backward(loss, input("one", [1], [1]));
      const executable = await compile(gpu, plan);
      const optimizer = await createOptimizer(gpu, weights, { ...ADAMW, weightDecay: 0 });
      for (let step = 1; step <= 200; step++) {
        write(gpu, sum, Float32Array.of(0));
        await executable.run();
        await optimizer.update(step, 0.05 * (1 - step / 201));
      }
      const [end, floor] = await createReader(gpu, [head, sum]).read();
      const scores = [0, 1, 2].map((arm) =>
        Math.exp([...end].slice(arm * C, arm * C + C).reduce((all, w) => all + w, 0))
      );
      const total = scores.reduce((all, score) => all + score, 0);
      want.forEach((p, arm) => expect(scores[arm] / total).toBeCloseTo(p, 3));
      expect(floor[0]).toBeCloseTo(0.5099133576212145, 5);
    });
  }
});
