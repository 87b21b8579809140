// DPO on every pair that a Bradley-Terry judge may label must end at the policy that PPO is after: the closed form.
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
import { preferenceHyper, preferenceLoss } from "../../src/loss/preference.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

function input(name: string, shape: number[], data: number[]): Tensor {
  const tensor = persistent(gpu, name, shape);
  write(gpu, tensor, Float32Array.from(data));
  return tensor;
}

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
      const { loss } = preferenceLoss(plan, tokenLogprob(plan, hidden, head, targets).logprob, {
        mask: input("mask", [2 * P, 1], Array(2 * P).fill(1)),
        reference: input("reference", [2 * P], arms.map((arm) => Math.log(reference[arm]))),
        pairs: input("pairs", [P, 5], chance.flatMap((weight) => [weight, 1, 1, 0, 0])),
        sftWeight: input("sft", [2 * P, 1], Array(2 * P).fill(0)),
        hyper: input("hyper", [4], [...preferenceHyper({ beta, labelSmoothing: 0 })]),
      }, {});
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
