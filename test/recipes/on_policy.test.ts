import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { denoHost } from "../../src/host/deno.ts";
import type { Problem } from "../../src/data/problem.ts";
import {
  minibatchesOf,
  outcomeMetrics,
  requireHealthyKl,
  rewardsOf,
  type Standing,
  weighted,
  withCredit,
} from "../../src/recipes/on_policy.ts";
import { createSampler, drawsOf, passRatesAfter } from "../../src/recipes/on_policy_sampler.ts";
import { PPO } from "../../src/recipes/ppo.ts";
import type { Experience, Reward } from "../../src/recipes/rewards.ts";
import { promptTokens } from "../../src/recipes/sequences.ts";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { givenFor, problems, SMALL } from "./on_policy_setup.ts";

const CONFIG = { ...PPO, ...SMALL };
const standing = (iteration: number, passRates: Standing["passRates"] = {}): Standing => ({
  ...{ iteration, passRates, updates: 0, tokens: 0, klCoefficient: 0 },
});
const many = Array.from({ length: 40 }, (_, i): Problem => ({ ...problems[0], id: `p/${i}` }));
const idsOf = (draws: { problem: Problem }[]) => [...new Set(draws.map(({ problem }) => problem.id))];

describe("which problems come next", () => {
  test("by epochs: all of them once before one comes again, in an order of the seed", () => {
    const config = { ...CONFIG, prompts: 8, samples: 2 };
    const epoch = [0, 1, 2, 3, 4].flatMap((iteration) => idsOf(drawsOf(config, many, standing(iteration))));
    expect(new Set(epoch).size).toBe(40);
    const other = [0, 1, 2, 3, 4].flatMap((i) => idsOf(drawsOf({ ...config, seed: 2 }, many, standing(i))));
    expect(other.toSorted()).toEqual(epoch.toSorted());
    expect(other).not.toEqual(epoch);
  });

  test("no two draws share a random stream; a problem that comes twice makes one group of other numbers", () => {
    const config = { ...CONFIG, prompts: 4, samples: 3 };
    const draws = [0, 1, 2].map((iteration) => drawsOf(config, problems, standing(iteration)));
    const streams = draws.flat().map(({ stream }) => stream);
    expect(new Set(streams).size).toBe(36);
    expect(Math.max(...streams)).toBeLessThan(2 ** 32);
    for (const each of draws) {
      expect(new Set(each.map(({ problem, index }) => `${problem.id}#${index}`)).size).toBe(12);
    }
  });

  test("by pass rate: half-solved problems come most often, none twice in an iteration, all of them some time", () => {
    const rates = Object.fromEntries(many.map(({ id }, i) => [id, i < 10 ? 0.5 : i < 25 ? 0 : 1]));
    const config = { ...CONFIG, prompts: 8, samples: 1, scheduler: "pass-rate" as const };
    const counts = new Map<string, number>();
    for (let iteration = 0; iteration < 300; iteration++) {
      const ids = idsOf(drawsOf(config, many, standing(iteration, rates)));
      expect(ids).toHaveLength(8);
      for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const mean = (from: number, to: number) =>
      many.slice(from, to).reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0) / (to - from);
    // Weights are 0.3 and 0.05; drawing 8 of 40 without replacement brings the ratio of 6 down.
    expect(mean(0, 10) / mean(10, 40)).toBeGreaterThan(3.5);
    expect(mean(0, 10) / mean(10, 40)).toBeLessThan(6);
    expect(counts.size).toBe(40);
    expect(drawsOf(config, many, standing(7, rates))).toEqual(drawsOf(config, many, standing(7, rates)));
  });

  test("more prompts than problems: each comes once before one comes twice", () => {
    const config = { ...CONFIG, prompts: 5, samples: 1, scheduler: "pass-rate" as const };
    const draws = drawsOf(config, problems, standing(0));
    expect(draws).toHaveLength(5);
    expect(idsOf(draws.slice(0, 3))).toHaveLength(3);
  });
});

/** Experiences with the fields that means and rates look at. */
function outcomes(list: readonly (Partial<ProgramResult> & { id: string; finished?: boolean })[]): Experience[] {
  return list.map(({ id, finished = true, ...result }) => ({
    problem: { ...problems[0], id },
    sample: {
      ...{ problemId: id, index: 0, completion: "", tokens: [5, 6, 2], finished },
      result: {
        verdict: "pass",
        passed: result.verdict === undefined,
        infra: false,
        elapsedMs: 500,
        ...result,
      } as ProgramResult,
    },
    trace: "",
  }));
}

test("running pass rates: the first is what was seen, later ones are mixed in; spoiled programs say nothing", () => {
  const seen = outcomes([{ id: "a" }, { id: "a", verdict: "wrong_answer" }, { id: "b", infra: true }]);
  const first = passRatesAfter({}, seen);
  expect(first).toEqual({ a: 0.5 });
  expect(passRatesAfter(first, outcomes([{ id: "a" }])).a).toBeCloseTo(0.7 * 0.5 + 0.3, 12);
});

test("rates of outcomes are shares of what was judged", () => {
  const metrics = outcomeMetrics(outcomes([
    ...[{ id: "a" }, { id: "a", finished: false }, { id: "a", verdict: "wrong_answer" as const }],
    ...[{ id: "b", verdict: "step_limit" as const }, { id: "b", infra: true }],
  ]));
  expect(metrics).toMatchObject({
    ...{ "env/pass_rate": 0.25, "env/unfinished_rate": 0.25, "env/wrong_rate": 0.25, "env/fuel_rate": 0.25 },
    ...{ "env/crash_rate": 0, "env/infra_rate": 0.2, "val/num_eos_tokens": 4, "completions/mean_length": 3 },
  });
});

test("a sample without an end token loses the penalty; one without a score keeps none", async () => {
  const reward: Reward = () => Promise.resolve([1, 1, null]);
  const seen = outcomes([{ id: "a" }, { id: "a", finished: false }, { id: "a", finished: false }]);
  const given = { reward } as Parameters<typeof rewardsOf>[1];
  const { raw, scores } = await rewardsOf({ ...CONFIG, missingEosPenalty: 0.75 }, given, seen);
  expect(raw).toEqual([1, 1, null]);
  expect(scores).toEqual([1, 0.25, null]);
});

test("a divergence below -3 standard errors ends the run with a plain message; chance and rounding do not", () => {
  requireHealthyKl([0, 0, 0, 0], 1);
  requireHealthyKl([-1e-4, -1e-4], 1);
  requireHealthyKl([-1, 1, -1, 0.5], 1);
  requireHealthyKl([-1], 1);
  expect(() => requireHealthyKl([-1, -1.1, -0.9, -1], 7)).toThrow(
    "Cannot go on: objective/kl is -1.0000 nats at iteration 7, below -3 standard errors of 0.0408; the samples are not",
  );
});

test("minibatches: every item once, sizes as equal as they can be, another order each epoch", () => {
  const items = Array.from({ length: 11 }, (_, i) => i);
  const config = { ...CONFIG, minibatches: 4, epochs: 2 };
  const [one, two, next] = [[1, 0], [1, 1], [2, 0]].map(([iteration, epoch]) =>
    minibatchesOf(items, config, iteration, epoch)
  );
  for (const batches of [one, two, next]) {
    expect(batches.map(({ length }) => length).toSorted()).toEqual([2, 3, 3, 3]);
    expect(batches.flat().toSorted((a, b) => a - b)).toEqual(items);
  }
  expect(one).not.toEqual(two);
  expect(one).not.toEqual(next);
  expect(minibatchesOf([1], config, 1, 0)).toEqual([[1]]); // no empty ones
});

test("step-wise credit: weights multiply, rewards are added from their token on", () => {
  expect(weighted([1, -2], undefined)).toEqual([1, -2]);
  expect(withCredit(2, 3, { weights: [0, 1, 2] }, "trl")).toEqual([0, 2, 4]);
  expect(withCredit(2, 3, { rewards: [1, 0, -1] }, "rloo")).toEqual([2, 1, 1]);
  expect(() => withCredit(2, 3, { rewards: [1, 0, -1] }, "trl")).toThrow(
    "Cannot add rewards of tokens to advantages of kind trl",
  );
  expect(() => withCredit(2, 3, { rewards: [1] }, "rloo")).toThrow(
    "Cannot credit tokens: 1 rewards for 3 completion tokens",
  );
});

describe("phases overlap", () => {
  let gpu: Gpu;
  let pool: Pool;
  beforeAll(async () => {
    gpu = await openGpu();
    pool = createPool(() => denoHost().spawnArena());
  });
  afterAll(() => {
    pool.close();
    gpu.close();
  });

  test("programs are judged while others are written, and while what was written is scored", async () => {
    // The first program has no result before the last one is written, the last one none before scoring has begun. Were
    // one phase to wait for the other, this would never end.
    const log: string[] = [];
    const [allWritten, scoring] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let runs = 0;
    const watched: Pool = {
      ...pool,
      async run(job) {
        const place = ++runs;
        log.push(`judge ${place}`);
        if (place === 12) allWritten.resolve();
        if (place === 1) await allWritten.promise;
        if (place === 12) await scoring.promise;
        const result = await pool.run(job);
        log.push(`judged ${place}`);
        return result;
      },
    };
    const given = givenFor(gpu, watched);
    const config = { ...CONFIG, prompts: 3 };
    const sampler = await createSampler(config, given);
    const sampled = await sampler.sample(drawsOf(config, problems, standing(0)), (sequences) => {
      log.push("score");
      scoring.resolve();
      return Promise.resolve(sequences.length);
    });
    sampler.destroy();
    expect(sampled!.scored).toBe(12);
    expect(log.indexOf("judge 1")).toBeLessThan(log.indexOf("judge 12"));
    expect(log.indexOf("judged 1")).toBeGreaterThan(log.indexOf("judge 12"));
    expect(log.indexOf("judged 12")).toBeGreaterThan(log.indexOf("score"));
    // What is scored is what was sampled, prompt in front.
    sampled!.sequences.forEach(({ tokens, promptLength }, i) => {
      expect(tokens.slice(promptLength)).toEqual(sampled!.experiences[i].sample.tokens);
    });
  });

  test("what is learned from stands behind what the model was asked", async () => {
    const given = givenFor(gpu, pool, { problems: problems.map((problem) => ({ ...problem, ask: "# ask\n" })) });
    const sampler = await createSampler(CONFIG, given);
    const scored = await sampler.sample(drawsOf(CONFIG, given.problems, standing(0)), (all) => Promise.resolve(all));
    sampler.destroy();
    const asked = promptTokens(given.tokenizer, "# ask\n");
    for (const { tokens, promptLength } of scored!.sequences) expect(tokens.slice(0, promptLength)).toEqual(asked);
  });

  test("a stop while what was written is scored waits for the scores: nothing is destroyed under the GPU's work", async () => {
    const stop = new AbortController();
    const judged = Promise.withResolvers<void>();
    const config = { ...CONFIG, prompts: 3 };
    let [runs, done] = [0, 0];
    const watched: Pool = {
      ...pool,
      async run(job) {
        if (++runs === 12) stop.abort();
        const result = await pool.run(job);
        if (++done === 12) judged.resolve();
        return result;
      },
    };
    const sampler = await createSampler(config, givenFor(gpu, watched));
    let scored = false;
    const score = async () => {
      await judged.promise;
      await new Promise((resolve) => setTimeout(resolve, 100));
      scored = true;
    };
    expect(await sampler.sample(drawsOf(config, problems, standing(0)), score, stop.signal)).toBeNull();
    expect(scored).toBe(true);
    sampler.destroy();
  });

  test("a stop while the model writes gives nothing back", async () => {
    const given = givenFor(gpu, pool);
    const sampler = await createSampler(CONFIG, given);
    const stop = new AbortController();
    stop.abort();
    const score = () => Promise.reject(new Error("nothing to score"));
    expect(await sampler.sample(drawsOf(CONFIG, problems, standing(0)), score, stop.signal)).toBeNull();
    sampler.destroy();
  });
});
