import { afterAll, beforeAll, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import type { Llama } from "../../src/model/llama.ts";
import { DPO, trainDpo } from "../../src/recipes/dpo.ts";
import { whole } from "../../src/recipes/policy.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { SFT, trainSft } from "../../src/recipes/sft.ts";
import { totalVariation } from "../loss/bandit.ts";
import { metricsOf, PAD, tinyLlama } from "./tiny.ts";

// One token, three arms with rewards (1, 0, -1), and every pair of arms as a person would label it who follows Bradley and Terry:
// i over j with chance s(r_i - r_j). DPO on this population has its least loss, the entropy of the labels, where
// beta log(pi_i / pi_j * ref_j / ref_i) = r_i - r_j: at the same pi* = ref e^(r / beta) / Z that PPO with a KL penalty ends at.
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const golden = JSON.parse(readFileSync(new URL("../golden/closed_form.json", import.meta.url), "utf8"));
const REWARDS = [1, 0, -1];
const arm = (a: number) => ({ tokens: [1, 5 + a], promptLength: 1 });
const arms = REWARDS.map((_, a) => arm(a));
const population = [[0, 1], [0, 2], [1, 2]].map(([i, j]) => ({
  chosen: arm(i),
  rejected: arm(j),
  labelSmoothing: 1 / (1 + Math.exp(REWARDS[i] - REWARDS[j])), // how often the worse arm is preferred
}));
/** Chances of the arms, given that it is one of them: all that pairs of arms speak of. */
async function policyOf(model: Llama): Promise<number[]> {
  const chances = Array.from(await sequenceLogprobs(model, arms, 3, PAD), Math.exp);
  const sum = chances.reduce((total, chance) => total + chance, 0);
  return chances.map((chance) => chance / sum);
}

const cases = [[1, [1, 1, 1]], [0.5, [1, 1, 1]], [1, [2, 3, 5]], [0.5, [2, 3, 5]]] as const;
test.each(cases)(
  "DPO on the population of labelled pairs of a bandit ends at the closed form: beta %s, reference %s",
  async (beta, counts) => {
    const policy = whole(tinyLlama(gpu, 4));
    const common = { host: memoryHost(), policy, padId: PAD };
    const run = { learningRate: 0.01, schedule: "linear", warmup: 0, weightDecay: 0, checkpointEvery: 0 } as const;
    // The reference is learnt, so that it is what it should be among the arms.
    const sequences = counts.flatMap((count, a) => Array.from({ length: count }, () => arm(a)));
    const B = sequences.length;
    const first = { ...SFT, ...run, steps: 60, batchSize: B, microBatch: B, logEvery: 60 };
    await metricsOf(trainSft(first, { ...common, sequences, checkpoints: "sft" }));
    const reference = await policyOf(policy.model);
    expect(totalVariation(reference, counts.map((count) => count / B))).toBeLessThan(0.01);

    const config = { ...DPO, ...run, beta, alpha: 0, steps: 120, batchSize: 3, microBatch: 3, logEvery: 40 };
    const given = { ...common, pairs: population, checkpoints: "dpo", modelId: "bandit" };
    const logged = await metricsOf(trainDpo(config, given));
    const found = await policyOf(policy.model);

    const tilted = reference.map((chance, a) => chance * Math.exp(REWARDS[a] / beta));
    const exact = tilted.map((each) => each / tilted.reduce((total, chance) => total + chance, 0));
    expect(totalVariation(found, exact), `${found} against ${exact}`).toBeLessThan(0.01);
    const name = counts[0] === 1 ? "[0.3333, 0.3333, 0.3333]" : "[0.2, 0.3, 0.5]";
    const { pi } = golden[`klbandit ref=${name} beta=${beta.toFixed(1)}`];
    expect(totalVariation(found, pi), `${found} against ${pi}`).toBeLessThan(0.02);
    const floor = golden[`dpo_population beta=${beta.toFixed(1)}`].min_loss;
    const last = logged.at(-1)!.metrics.loss;
    expect(last).toBeGreaterThan(floor - 1e-5);
    expect(last).toBeLessThan(floor + 1e-3);
  },
);
