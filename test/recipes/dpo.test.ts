import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import type { Llama } from "../../src/model/llama.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import type { Host } from "../../src/host/host.ts";
import { DPO, type DpoConfig, trainDpo } from "../../src/recipes/dpo.ts";
import { createDpoStep, type PreferencePair } from "../../src/recipes/dpo_step.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { interrupted } from "./interrupted.ts";
import { checkpointHashes, metricsOf, PAD, pairs, tinyAdapted, tinyLlama, weightedPairs } from "./tiny.ts";
import type { Recompute } from "../../src/model/saving.ts";

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
  model,
  policy: whole(model),
  pairs: data,
  padId: PAD,
  checkpoints: "run/checkpoints",
  modelId: "tiny",
});

describe("DPO at the reference", () => {
  test("the loss is ln 2 without an SFT term, all rewards are 0, and accuracy counts no tie", async () => {
    const all = given(tinyLlama(gpu));
    const [{ metrics }] = await metricsOf(trainDpo({ ...CONFIG, steps: 1, batchSize: 7, alpha: 0 }, all));
    expect(metrics.loss).toBeCloseTo(Math.LN2, 6);
    for (const name of ["chosen", "rejected", "margins"]) {
      expect(Math.abs(metrics[`rewards/${name}`])).toBeLessThan(1e-6);
    }
    // Scored by two plans the sums may differ in the last bit; a strict > may then see a winner.
    if (metrics["rewards/margins"] === 0) expect(metrics["rewards/accuracies"]).toBe(0);
  });

  test("with an SFT term the loss is ln 2 + alpha times the winners' token mean", async () => {
    const all = given(tinyLlama(gpu));
    const winners = all.pairs.map(({ chosen }) => chosen);
    const sums = await sequenceLogprobs(all.model, winners, 4, PAD);
    const tokens = winners.reduce((sum, { tokens, promptLength }) => sum + tokens.length - promptLength, 0);
    const mean = -sums.reduce((sum, logprob) => sum + logprob, 0) / tokens;
    const [{ metrics }] = await metricsOf(trainDpo({ ...CONFIG, steps: 1, batchSize: 7, alpha: 0.25 }, all));
    expect(metrics.loss).toBeCloseTo(Math.LN2 + 0.25 * mean, 5);
  });
});

describe("DPO, continued", () => {
  let whole: Awaited<ReturnType<typeof metricsOf>>;
  let files: string[];
  beforeAll(async () => {
    const all = given(tinyLlama(gpu));
    whole = await metricsOf(trainDpo(CONFIG, all));
    files = await checkpointHashes(all.host, all.checkpoints, CONFIG.steps);
  });

  test("a crash behind a checkpoint between logging steps: metrics, weights and moments to the bit", async () => {
    const first = given(tinyLlama(gpu));
    const before = await metricsOf(trainDpo(CONFIG, first), (event) => event.type === "step" && event.step === 6);
    const after = await metricsOf(trainDpo(CONFIG, given(tinyLlama(gpu, 99), first.host)));
    expect(after.map(({ step }) => step)).toEqual([6, 8]); // from step 4 on
    expect([...before.slice(0, 2), ...after]).toEqual(whole);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("a stop and a new process: the same", async () => {
    const stop = new AbortController();
    stop.abort();
    const first = given(tinyLlama(gpu));
    const before = await metricsOf(trainDpo(CONFIG, first, stop.signal));
    expect(before.map(({ step }) => step)).toEqual([1]);
    const after = await metricsOf(trainDpo(CONFIG, given(tinyLlama(gpu, 99), first.host)));
    expect([...before, ...after]).toEqual(whole);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("the reference sums are read back, not computed from the trained weights", async () => {
    const first = given(tinyLlama(gpu));
    await metricsOf(trainDpo(CONFIG, first), ({ type }) => type === "checkpoint"); // step 4
    const path = `${first.checkpoints}/reference.json`;
    const kept = await first.host.readText(path);
    const trained = given(first.model, first.host); // its weights have moved: fresh sums would be others
    await metricsOf(trainDpo(CONFIG, trained));
    expect(await first.host.readText(path)).toBe(kept);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("a checkpoint is not continued with other pairs or other weights at the start", async () => {
    const first = given(tinyLlama(gpu));
    await metricsOf(trainDpo({ ...CONFIG, steps: 1 }, first));
    const refusal = "Cannot resume run/checkpoints: its reference was computed for other weights or pairs";
    const others = given(tinyLlama(gpu), first.host, pairs(7, 4));
    await expect(metricsOf(trainDpo(CONFIG, others))).rejects.toThrow(refusal);
    const renamed = { ...given(tinyLlama(gpu), first.host), modelId: "another" };
    await expect(metricsOf(trainDpo(CONFIG, renamed))).rejects.toThrow(refusal);
  });

  test("without a checkpoint an old reference is computed anew", async () => {
    const host = memoryHost({ "run/checkpoints/reference.json": JSON.stringify({ key: "old", sums: [] }) });
    await metricsOf(trainDpo(CONFIG, given(tinyLlama(gpu), host)));
    expect(await checkpointHashes(host, "run/checkpoints", CONFIG.steps)).toEqual(files);
  });

  test("no pairs, nothing to train on", async () => {
    await expect(metricsOf(trainDpo(CONFIG, given(tinyLlama(gpu), memoryHost(), [])))).rejects.toThrow(
      "Cannot train: no preference pairs",
    );
  });
});

describe("a DPO step", () => {
  /** Metrics of one step on pairs whose reference is off by up to two nats, so that margins are far from 0. */
  async function metricsFor(
    change: (pair: PreferencePair) => PreferencePair,
    microBatch = 7,
    recompute: Recompute = "none",
  ) {
    const model = tinyLlama(gpu);
    const data = pairs(7, 3);
    const sums = await sequenceLogprobs(model, data.flatMap(({ chosen, rejected }) => [chosen, rejected]), 4, PAD);
    const shifted = data.map((pair, i) =>
      change({ ...pair, referenceChosen: sums[2 * i] - i / 4, referenceRejected: sums[2 * i + 1] + i / 8 - 0.5 })
    );
    const options = { microBatch, padId: PAD, beta: 0.5, alpha: 0, labelSmoothing: 0, adamw: ADAMW, recompute };
    const trainer = await createDpoStep(whole(model), options);
    await trainer.accumulate(shifted);
    await trainer.optimizer.update(1, 1e-3);
    const metrics = await trainer.metrics(1);
    trainer.destroy();
    return metrics;
  }

  test("swapping winner and loser flips the margins, and L(d) - L(-d) = -beta d", async () => {
    const [plain, swapped] = [
      await metricsFor((pair) => pair),
      await metricsFor(({ chosen, rejected, referenceChosen, referenceRejected }) => ({
        chosen: rejected,
        rejected: chosen,
        referenceChosen: referenceRejected,
        referenceRejected: referenceChosen,
      })),
    ];
    expect(Math.abs(plain["rewards/margins"])).toBeGreaterThan(0.1);
    expect(swapped["rewards/margins"]).toBeCloseTo(-plain["rewards/margins"], 5);
    expect(swapped["rewards/chosen"]).toBeCloseTo(plain["rewards/rejected"], 5);
    expect(swapped["rewards/accuracies"]).toBeCloseTo(1 - plain["rewards/accuracies"], 5);
    expect(plain.loss - swapped.loss).toBeCloseTo(-plain["rewards/margins"], 5);
  });

  test("a constant on both reference sums of a pair changes nothing but the rewards' level", async () => {
    const [plain, lifted] = [
      await metricsFor((pair) => pair),
      await metricsFor((pair) => ({
        ...pair,
        referenceChosen: pair.referenceChosen + 3,
        referenceRejected: pair.referenceRejected + 3,
      })),
    ];
    for (const name of ["loss", "rewards/margins", "rewards/accuracies", "grad_norm", "entropy"]) {
      expect(lifted[name], name).toBeCloseTo(plain[name], 4);
    }
    expect(lifted["rewards/chosen"]).toBeCloseTo(plain["rewards/chosen"] - 0.5 * 3, 4);
  });

  test("the split into micro-batches and the order of pairs change rounding only, recomputation nothing", async () => {
    const plain = await metricsFor((pair) => pair);
    const split = await metricsFor((pair) => pair, 3);
    expect(Object.keys(split)).toEqual(Object.keys(plain));
    for (const [name, value] of Object.entries(plain)) expect(split[name], name).toBeCloseTo(value, 4);
    expect(await metricsFor((pair) => pair, 3, "block")).toEqual(split);
  });
});

describe("DPO that is stopped and cut off at random steps, again and again, ends in the same bits", () => {
  const policies: [string, () => Policy, Partial<DpoConfig>][] = [
    ["all weights", () => whole(tinyLlama(gpu)), { wpo: true, ldAlpha: 0.5 }],
    ["adapters", () => tinyAdapted(gpu), {}],
  ];
  test.each(policies)("%s", async (_, policyOf, change) => {
    const config = { ...CONFIG, ...change, steps: 13, checkpointEvery: 3 };
    const run = (policy: Policy, host: Host, signal?: AbortSignal) =>
      trainDpo(config, { ...given(policy.model, host), policy, pairs: weightedPairs(7, 3) }, signal);
    const [whole, broken] = [memoryHost(), memoryHost()];
    await metricsOf(run(policyOf(), whole));
    const counts = await interrupted((signal) => run(policyOf(), broken, signal), 5);
    expect(Math.min(counts.crashes, counts.stops)).toBeGreaterThan(0);
    const [got, want] = [broken, whole].map((host) => checkpointHashes(host, "run/checkpoints", 13));
    expect(await got).toEqual(await want);
  });
});

test("DPO learns sixteen pairs by heart: accuracy 1, loss below 0.1", async () => {
  const all = given(tinyLlama(gpu, 5), memoryHost(), pairs(16, 11));
  const config = { ...CONFIG, steps: 24, batchSize: 16, microBatch: 16, learningRate: 0.02, logEvery: 8, alpha: 0 };
  const logged = await metricsOf(trainDpo({ ...config, checkpointEvery: 0 }, all));
  const { metrics } = logged.at(-1)!;
  expect(logged[0].metrics.loss).toBeCloseTo(Math.LN2, 5);
  expect(metrics["rewards/accuracies"]).toBeCloseTo(1, 6);
  expect(metrics.loss).toBeLessThan(0.1);
});
