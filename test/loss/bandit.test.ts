import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { type KlLoss, ppoPolicy } from "../../kernels/mod.ts";
import { klRewards } from "../../src/loss/advantages.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createPpoStep, type PpoStepOptions, type Rollout } from "../../src/recipes/ppo_step.ts";
import { createRolloutScorer } from "../../src/recipes/rollout_scorer.ts";
import { createValueHead } from "../../src/model/value_head.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { createBandit, totalVariation } from "./bandit.ts";
import { PAD, TINY, tinyLlama } from "../recipes/tiny.ts";

// One action of three, rewards (1, 0, -1). E r - beta KL(policy || reference) is largest for pi* = reference e^(r / beta) / Z alone;
// whatever trains towards it must end there. A loss with k3 pulls by the other divergence and ends at p_i = beta ref_i / (beta + rbar - r_i).
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const REWARDS = [1, 0, -1];
const golden = JSON.parse(readFileSync(new URL("../golden/closed_form.json", import.meta.url), "utf8"));
const REFERENCES: [string, number[]][] = [
  ["[0.3333, 0.3333, 0.3333]", [1 / 3, 1 / 3, 1 / 3]],
  ["[0.2, 0.3, 0.5]", [0.2, 0.3, 0.5]],
];
const cases = REFERENCES.flatMap(([name, reference]) =>
  [1, 0.5].map((beta) => ({ name: `ref=${name} beta=${beta.toFixed(1)}`, reference, beta }))
);
const mean = (p: readonly number[], values: readonly number[]) => p.reduce((sum, each, a) => sum + each * values[a], 0);

/** Trains a softmax policy; `beta` is in the reward by k1, or in the loss by one of the other estimators. */
async function end(reference: readonly number[], beta: number, penalty: "k1" | KlLoss, steps = 90): Promise<number[]> {
  const names = ["old", "reference", "advantages", "weights", "hyper"];
  const bandit = await createBandit(gpu, reference, names, { hyper: 4 }, (plan, logprobs, inputs) => {
    const { old, reference, advantages, weights, hyper } = inputs;
    const klLoss = penalty === "k1" ? "k2" : penalty;
    return ppoPolicy(plan, { logprobs, old, reference, advantages, weights, means: weights, hyper }, { klLoss }).loss;
  });
  const logReference = reference.map(Math.log);
  bandit.set("reference", logReference);
  bandit.set("hyper", [0.2, 0.2, 0, penalty === "k1" ? 0 : beta]);
  for (let step = 1; step <= steps; step += 2) {
    const old = await bandit.logprobs();
    const chances = old.map(Math.exp);
    const rewards = REWARDS.map((r, a) => penalty === "k1" ? klRewards([old[a]], [logReference[a]], beta, r)[0] : r);
    bandit.set("old", old);
    bandit.set("weights", chances);
    bandit.set("advantages", rewards.map((r) => r - mean(chances, rewards)));
    for (const epoch of [0, 1]) await bandit.step(step + epoch, 0.2 * (1 - (step + epoch) / (steps + 2)));
  }
  const found = (await bandit.logprobs()).map(Math.exp);
  bandit.destroy();
  return found;
}

describe("a softmax policy ends where the objective says", () => {
  for (const { name, reference, beta } of cases) {
    const { pi } = golden[`klbandit ${name}`];
    const other: number[] = golden[`k3_end ${name}`];
    test(`${name}: with k1 in the reward, and with k2 in the loss`, async () => {
      for (const penalty of ["k1", "k2"] as const) {
        const found = await end(reference, beta, penalty);
        expect(totalVariation(found, pi), `${penalty}: ${found} against ${pi}`).toBeLessThan(0.01);
      }
    });
    test(`${name}: with k3 in the loss elsewhere, ${totalVariation(other, pi).toFixed(3)} away`, async () => {
      const found = await end(reference, beta, "k3");
      expect(totalVariation(found, other), `k3: ${found} against ${other}`).toBeLessThan(0.01);
      expect(totalVariation(found, pi)).toBeGreaterThan(0.03);
      const rbar = mean(found, REWARDS);
      const fixed = reference.map((ref, a) => beta * ref / (beta + rbar - REWARDS[a]));
      expect(totalVariation(found, fixed), `its own equation: ${fixed}`).toBeLessThan(0.02);
    });
  }

  test("and with k3+, the value of k3 and the gradient of k2, there", async () => {
    const { name, reference, beta } = cases[3];
    const found = await end(reference, beta, "k3+");
    expect(totalVariation(found, golden[`klbandit ${name}`].pi)).toBeLessThan(0.01);
  });
});

// The same through a decoder and the step that recipes use: every arm is a completion of one token, its chance in its advantage.
describe("the whole step ends there too", () => {
  const options: PpoStepOptions = {
    microBatch: 3,
    padId: PAD,
    clipLow: 0.2,
    clipHigh: 0.2,
    dualClip: 0,
    aggregation: "grpo",
    reference: true,
    adamw: { ...ADAMW, weightDecay: 0 },
    recompute: "none",
  };
  const arms = [0, 1, 2].map((arm): Sequence => ({ tokens: [1, arm], promptLength: 1 }));

  test("PPO with a value head, k1 in the reward, two epochs a batch, at a temperature of 0.7", async () => {
    const beta = 0.5, temperature = 0.7;
    const model = tinyLlama(gpu, 7, { V: 3 }), head = createValueHead(gpu, TINY.C);
    const scorer = createRolloutScorer(model, head, { ...options, temperature });
    const score = async () =>
      (await scorer.score(arms)).map(({ logprobs: [lp], values }) => ({ lp, value: values![0] }));
    const reference = (await score()).map(({ lp }) => lp);
    const engine = await createPpoStep(whole(model), head, { ...options, temperature });
    const updates = 40;
    for (let update = 1; update <= updates; update += 2) {
      const old = await score();
      const scored = REWARDS.map((r, a) => klRewards([old[a].lp], [reference[a]], beta, r)[0]);
      const chances = old.map(({ lp }) => Math.exp(lp));
      const rollouts = arms.map((sequence, a): Rollout => ({
        sequence,
        oldLogprobs: [old[a].lp],
        oldValues: [old[a].value],
        reference: [reference[a]],
        advantages: [3 * chances[a] * (scored[a] - mean(chances, scored))],
        returns: [mean(chances, scored)],
      }));
      for (const epoch of [0, 1]) {
        await engine.accumulate(rollouts);
        await engine.optimizer.update(update + epoch, 0.01 * (1 - (update + epoch) / (updates + 2)));
      }
    }
    engine.destroy();
    const found = (await score()).map(({ lp }) => Math.exp(lp));
    const ends = reference.map((lp, a) => Math.exp(lp + REWARDS[a] / beta));
    const pi = ends.map((each) => each / ends.reduce((sum, value) => sum + value));
    expect(totalVariation(found, pi), `${found} against ${pi}`).toBeLessThan(0.02);
    scorer.destroy();
  });

  test("GRPO without one, k2 in the loss", async () => {
    const beta = 1;
    const model = tinyLlama(gpu, 7, { V: 3 });
    const scorer = createRolloutScorer(model, null, options);
    const score = async () => (await scorer.score(arms)).map(({ logprobs: [lp] }) => lp);
    const reference = await score();
    const engine = await createPpoStep(whole(model), null, {
      ...options,
      microBatch: 32,
      klCoefficient: beta,
      klLoss: "k2",
    });
    const updates = 40;
    for (let update = 1; update <= updates; update++) {
      const old = await score();
      const chances = old.map(Math.exp);
      // Weights of the step are 1/3 each, so a batch has one arm as often as its chance says: 60 rollouts, to the nearest.
      const counts = chances.map((p) => Math.max(1, Math.round(60 * p)));
      const rbar = mean(counts, REWARDS) / counts.reduce((sum, n) => sum + n);
      const rollouts = counts.flatMap((count, a) =>
        Array.from({ length: count }, (): Rollout => ({
          sequence: arms[a],
          oldLogprobs: [old[a]],
          reference: [reference[a]],
          advantages: [REWARDS[a] - rbar],
        }))
      );
      await engine.accumulate(rollouts);
      await engine.optimizer.update(update, 0.01 * (1 - update / (updates + 1)));
    }
    engine.destroy();
    const found = (await score()).map(Math.exp);
    const ends = reference.map((lp, a) => Math.exp(lp + REWARDS[a] / beta));
    const pi = ends.map((each) => each / ends.reduce((sum, value) => sum + value));
    expect(totalVariation(found, pi), `${found} against ${pi}`).toBeLessThan(0.02);
    scorer.destroy();
  });
});
