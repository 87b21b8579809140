import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { KTO, type KtoConfig, ktoStepOptions, mismatch, trainKto } from "../../src/recipes/kto.ts";
import { createKtoStep, type KtoItem, type KtoSample, type KtoStepOptions } from "../../src/recipes/kto_step.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { interrupted } from "./interrupted.ts";
import { checkpointHashes, metricsOf, PAD, pairs, sequences, tinyAdapted, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const CONFIG: KtoConfig = {
  ...KTO,
  steps: 13,
  batchSize: 5,
  microBatch: 2,
  learningRate: 0.003,
  warmup: 2,
  logEvery: 3,
  checkpointEvery: 4,
};
/** Three desirable ones and six that are not, every other with weights of its own. */
const samples: KtoSample[] = sequences(9, 3).map((sequence, i) => ({
  sequence,
  desirable: i % 3 === 1,
  ...(i % 2 === 0 && { weights: sequence.tokens.slice(sequence.promptLength).map((_, t) => (t + i) % 3 / 2) }),
}));

const given = (policy: Policy, host: Host = memoryHost(), data: readonly KtoSample[] = samples) => ({
  host,
  policy,
  samples: data,
  padId: PAD,
  checkpoints: "run/checkpoints",
  modelId: "tiny",
});

describe("KTO at the reference", () => {
  test("kl is 0 and the loss half of the mean weight: both kinds weigh the same in sum when balanced", async () => {
    for (const [balance, loss] of [[true, 0.5 * (3 * 2 + 6 * 1) / 9], [false, 0.5]] as const) {
      const config = { ...CONFIG, balance, steps: 1, batchSize: 9 };
      const [{ metrics }] = await metricsOf(trainKto(config, given(whole(tinyLlama(gpu)))));
      expect(metrics.loss).toBeCloseTo(loss, 6);
      expect(Math.abs(metrics.kl)).toBeLessThan(1e-5);
      for (const name of ["chosen", "rejected", "margins"]) {
        expect(Math.abs(metrics[`rewards/${name}`]), name).toBeLessThan(1e-6);
      }
    }
  });

  test("a step with one kind alone says nothing of the other", async () => {
    const data = samples.map((sample) => ({ ...sample, desirable: false }));
    const config = { ...CONFIG, steps: 1, batchSize: 9 };
    const [{ metrics }] = await metricsOf(trainKto(config, given(whole(tinyLlama(gpu)), memoryHost(), data)));
    expect(metrics.loss).toBeCloseTo(0.5, 6);
    expect(Object.keys(metrics)).toContain("rewards/rejected");
    for (const name of ["rewards/chosen", "rewards/margins"]) expect(Object.keys(metrics)).not.toContain(name);
  });
});

describe("a KTO step", () => {
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

  /** Metrics of a step, or what the formula says, on samples whose reference is off by up to two nats. */
  async function step(change: Partial<KtoStepOptions> = {}, shift = 0.3) {
    const model = tinyLlama(gpu);
    const partners = mismatch(samples.map(({ sequence }) => sequence), 1, model.config.maxPositions);
    const plain = samples.map(({ sequence, desirable }) => ({ sequence, desirable }));
    const [own, other] = [
      await sequenceLogprobs(model, plain.map(({ sequence }) => sequence), 4, PAD),
      await sequenceLogprobs(model, partners, 4, PAD),
    ];
    const items = plain.map((sample, i): KtoItem => ({
      ...sample,
      reference: own[i] + i / 4 - 1,
      mismatched: partners[i],
      mismatchedReference: other[i] - shift - i / 20,
    }));
    const options = { microBatch: 9, padId: PAD, beta: 0.5, desirableWeight: 2, undesirableWeight: 0.75, adamw: ADAMW };
    const engine = await createKtoStep(whole(model), { ...options, recompute: "none", ...change });
    await engine.accumulate(items);
    await engine.optimizer.update(1, 1e-3);
    const metrics = await engine.metrics(1);
    engine.destroy();
    const kl = items.reduce((sum, _, i) => sum + shift + i / 20, 0) / items.length;
    const losses = items.map(({ desirable }, i) => {
      const lead = 1 - i / 4 - Math.max(0, kl);
      return desirable ? 2 * (1 - sigmoid(0.5 * lead)) : 0.75 * (1 - sigmoid(-0.5 * lead));
    });
    return { metrics, kl, loss: losses.reduce((sum, each) => sum + each, 0) / losses.length };
  }

  test("has the loss and kl of the formula, with an estimate above 0 and one below, which counts as 0", async () => {
    for (const shift of [0.3, -1]) {
      const { metrics, kl, loss } = await step({}, shift);
      expect(metrics.loss).toBeCloseTo(loss, 5);
      expect(metrics.kl).toBeCloseTo(kl, 4);
    }
    const { metrics } = await step();
    const mean = (kept: (i: number) => boolean) => {
      const rewards = samples.flatMap((_, i) => kept(i) ? [0.5 * (1 - i / 4)] : []);
      return rewards.reduce((sum, each) => sum + each, 0) / rewards.length;
    };
    const [chosen, rejected] = [mean((i) => i % 3 === 1), mean((i) => i % 3 !== 1)];
    expect(metrics["rewards/chosen"]).toBeCloseTo(chosen, 4);
    expect(metrics["rewards/rejected"]).toBeCloseTo(rejected, 4);
    expect(metrics["rewards/margins"]).toBeCloseTo(chosen - rejected, 4);
  });

  test("the split into micro-batches changes rounding only, recomputation nothing", async () => {
    const plain = (await step()).metrics;
    const split = (await step({ microBatch: 2 })).metrics;
    expect(Object.keys(split)).toEqual(Object.keys(plain));
    for (const [name, value] of Object.entries(plain)) expect(split[name], name).toBeCloseTo(value, 4);
    expect((await step({ microBatch: 2, recompute: "block" })).metrics).toEqual(split);
  });

  test("no gradient goes through the estimate: the same one of other mismatched sequences gives the same gradient", async () => {
    const model = tinyLlama(gpu);
    const norms: number[] = [];
    for (const flip of [false, true]) {
      const partners = mismatch(samples.map(({ sequence }) => sequence), flip ? 8 : 1, model.config.maxPositions);
      const other = await sequenceLogprobs(model, partners, 9, PAD);
      const engine = await createKtoStep(whole(model), {
        ...ktoStepOptions({ ...CONFIG, beta: 0.5, microBatch: 9 }, PAD, 16),
        longest: undefined,
      });
      await engine.accumulate(samples.map(({ sequence, desirable }, i) => ({
        sequence,
        desirable,
        reference: -20,
        mismatched: partners[i],
        mismatchedReference: other[i] - 0.5,
      })));
      await engine.optimizer.update(1, 0);
      norms.push((await engine.metrics(1)).grad_norm);
      engine.destroy();
    }
    expect(norms[0]).toBeGreaterThan(1e-3);
    expect(norms[1] / norms[0]).toBeCloseTo(1, 4);
  });
});

describe("mismatched completions", () => {
  const all = sequences(12, 5).flatMap((sequence) => [sequence, { ...sequence, tokens: [...sequence.tokens, 9] }]);
  const prompt = ({ tokens, promptLength }: Sequence) => tokens.slice(0, promptLength).join();
  const completion = ({ tokens, promptLength }: Sequence) => tokens.slice(promptLength).join();

  test("have the prompt of their sequence and the completion of another prompt, in an order that the seed decides", () => {
    const partners = mismatch(all, 1, 256);
    partners.forEach((partner, i) => {
      expect(prompt(partner)).toBe(prompt(all[i]));
      const owners = all.filter((sequence) => completion(sequence) === completion(partner));
      expect(owners.length).toBeGreaterThan(0);
      expect(owners.map(prompt)).not.toContain(prompt(all[i]));
    });
    expect(mismatch(all, 1, 256)).toEqual(partners);
    expect(mismatch(all, 2, 256)).not.toEqual(partners);
  });

  test("fit into the model, or there are none", () => {
    const longest = (limit: number) => Math.max(...mismatch(all, 1, limit).map(({ tokens }) => tokens.length - 1));
    expect(longest(256)).toBeGreaterThan(20);
    expect(longest(20)).toBeLessThanOrEqual(20);
    expect(() => mismatch(all.slice(0, 2), 1, 256)).toThrow(
      "Cannot mismatch sequence 0: none of 2 has another prompt and a completion that fits",
    );
  });
});

test("KTO tells eight desirable completions from eight others of the same prompts", async () => {
  const data = pairs(8, 11).flatMap(({ chosen, rejected }) => [
    { sequence: chosen, desirable: true },
    { sequence: rejected, desirable: false },
  ]);
  const config = { ...CONFIG, steps: 30, batchSize: 16, microBatch: 16, learningRate: 0.02, logEvery: 10, beta: 0.3 };
  const all = given(whole(tinyLlama(gpu, 5)), memoryHost(), data);
  const logged = await metricsOf(trainKto({ ...config, checkpointEvery: 0 }, all));
  const { metrics } = logged.at(-1)!;
  expect(logged[0].metrics.loss).toBeCloseTo(0.5, 5);
  expect(metrics["rewards/chosen"]).toBeGreaterThan(1);
  expect(metrics["rewards/rejected"]).toBeLessThan(-1);
  expect(metrics.loss).toBeLessThan(0.1);
});

describe("KTO that is stopped and cut off at random steps, again and again, ends in the same bits", () => {
  const policies: [string, () => Policy][] = [
    ["all weights", () => whole(tinyLlama(gpu))],
    ["adapters", () => tinyAdapted(gpu)],
  ];
  test.each(policies)("%s", async (_, policyOf) => {
    const [straight, broken] = [memoryHost(), memoryHost()];
    const wanted = await metricsOf(trainKto(CONFIG, given(policyOf(), straight)));
    const logged = new Map<number, unknown>();
    const counts = await interrupted(async function* (signal) {
      for await (const event of trainKto(CONFIG, given(policyOf(), broken), signal)) {
        if (event.type === "step") logged.set(event.step, event.metrics);
        yield event;
      }
    }, 5);
    expect(Math.min(counts.crashes, counts.stops)).toBeGreaterThan(0);
    expect([...logged].map(([step, metrics]) => ({ step, metrics }))).toEqual(wanted);
    const [got, want] = [broken, straight].map((host) => checkpointHashes(host, "run/checkpoints", 13));
    expect(await got).toEqual(await want);
  });
});

test("no samples, nothing to train on; and a checkpoint is not continued with other samples", async () => {
  const run = (data: readonly KtoSample[], host: Host = memoryHost()) =>
    metricsOf(trainKto({ ...CONFIG, steps: 1 }, given(whole(tinyLlama(gpu)), host, data)));
  await expect(run([])).rejects.toThrow("Cannot train: no samples");
  const host = memoryHost();
  await run(samples, host);
  await expect(run(samples.slice(1), host)).rejects.toThrow("Cannot resume run/checkpoints");
});
