import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { PREFERENCE_LOSSES, REFERENCE_FREE } from "../../src/loss/preference.ts";
import type { Llama } from "../../src/model/llama.ts";
import { DPO, type DpoConfig, LOSS_DEFAULTS, trainDpo } from "../../src/recipes/dpo.ts";
import { tokenWeights } from "../../src/recipes/dpo_step.ts";
import { whole } from "../../src/recipes/policy.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { checkpointHashes, metricsOf, PAD, pairs, tinyAdapted, tinyLlama, weightedPairs } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const CONFIG: DpoConfig = {
  ...DPO,
  steps: 8,
  batchSize: 5,
  microBatch: 2,
  learningRate: 0.003,
  warmup: 2,
  logEvery: 3,
  checkpointEvery: 4, // not on logging steps
};

const given = (model: Llama, host = memoryHost(), data = pairs(7, 3)) => ({
  host,
  policy: whole(model),
  pairs: data,
  padId: PAD,
  checkpoints: "run/checkpoints",
  modelId: "tiny",
});

describe("the reference", () => {
  const sumsOf = async (host: Host) => JSON.parse(await host.readText("run/checkpoints/reference.json")).sums;

  test("adapters that are off give the sums that the cache holds, before training and after it", async () => {
    const policy = tinyAdapted(gpu);
    const all = { ...given(policy.model), policy };
    const sequences = all.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
    const scored = async (model: Llama) => Array.from(await sequenceLogprobs(model, sequences, 4, PAD));
    const before = await scored(policy.model);
    expect(await scored(policy.reference())).toEqual(before); // B is zero: nothing is added, to the bit
    await metricsOf(trainDpo(CONFIG, all));
    expect(await sumsOf(all.host)).toEqual(before);
    expect(await scored(policy.reference())).toEqual(before);
    expect(await scored(policy.model)).not.toEqual(before);
  });

  test("with all weights trained, a copy that is made before the first step gives the cached sums, too", async () => {
    const [own, copied] = [given(tinyLlama(gpu)), given(tinyLlama(gpu))];
    await metricsOf(trainDpo(CONFIG, own));
    await metricsOf(trainDpo(CONFIG, { ...copied, reference: copied.policy.reference() }));
    expect(await sumsOf(copied.host)).toEqual(await sumsOf(own.host));
    const hashes = await Promise.all(
      [own, copied].map(({ host, checkpoints }) => checkpointHashes(host, checkpoints, 8)),
    );
    expect(hashes[1]).toEqual(hashes[0]);
  });

  test("sums are weighted as the policy's are: at the reference every weighted reward is 0", async () => {
    const data = weightedPairs(7, 3);
    const all = { ...given(tinyLlama(gpu)), pairs: data };
    const config = { ...CONFIG, steps: 1, batchSize: 7, alpha: 0, ldAlpha: 0.5 };
    const [{ metrics }] = await metricsOf(trainDpo(config, all));
    for (const name of ["chosen", "rejected", "margins"]) {
      expect(Math.abs(metrics[`rewards/${name}`]), name).toBeLessThan(1e-6);
    }
    const [cached, model] = [await sumsOf(all.host), tinyLlama(gpu)];
    for (const [i, pair] of data.entries()) {
      const { chosen, rejected } = tokenWeights(pair, 0.5);
      const sides = [pair.chosen, pair.rejected];
      // Token by token: the sum over a prefix less the sum over the one before it.
      for (const [side, weights] of [chosen, rejected].entries()) {
        const { tokens, promptLength } = sides[side];
        const prefixes = Array.from(
          weights,
          (_, t) => ({ tokens: tokens.slice(0, promptLength + t + 1), promptLength }),
        );
        const sums = await sequenceLogprobs(model, prefixes, prefixes.length, PAD);
        const sum = weights.reduce((total, weight, t) => total + weight * (sums[t] - (sums[t - 1] ?? 0)), 0);
        expect(cached[2 * i + side]).toBeCloseTo(sum, 4);
      }
    }
  });

  test("losses that need none compute none, and say so by an empty cache that guards the pairs all the same", async () => {
    for (const loss of REFERENCE_FREE) {
      const all = given(tinyLlama(gpu));
      const config = { ...CONFIG, ...LOSS_DEFAULTS[loss], loss, steps: 1 };
      const [{ metrics }] = await metricsOf(trainDpo(config, all));
      expect(Number.isFinite(metrics.loss), loss).toBe(true);
      expect(await sumsOf(all.host), loss).toEqual([]);
      const others = given(tinyLlama(gpu), all.host, pairs(7, 4));
      await expect(metricsOf(trainDpo(config, others))).rejects.toThrow("Cannot resume run/checkpoints");
      // Nor are sums that are not there taken for zeros by a loss that wants some.
      await expect(metricsOf(trainDpo(CONFIG, given(tinyLlama(gpu), all.host)))).rejects.toThrow("Cannot resume");
    }
  });
});

test("with their default settings all losses of the family train, and lower what they measure", async () => {
  for (const loss of PREFERENCE_LOSSES) {
    const config = { ...CONFIG, ...LOSS_DEFAULTS[loss], loss, steps: 6, batchSize: 6, microBatch: 6, logEvery: 1 };
    const all = given(tinyLlama(gpu), memoryHost(), pairs(6, 3));
    const logged = await metricsOf(trainDpo({ ...config, checkpointEvery: 0 }, all));
    expect(logged.at(-1)!.metrics.loss, loss).toBeLessThan(logged[0].metrics.loss);
  }
});
