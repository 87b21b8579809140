import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { denoHost } from "../../src/host/deno.ts";
import { createLora } from "../../src/model/lora.ts";
import { uniformStream } from "../../src/model/philox.ts";
import { getWeights } from "../../src/model/weights.ts";
import { GRPO, type GrpoConfig, RLOO, trainGrpo } from "../../src/recipes/grpo.ts";
import type { OnPolicyGiven } from "../../src/recipes/on_policy.ts";
import { adapted, whole } from "../../src/recipes/policy.ts";
import type { Reward } from "../../src/recipes/rewards.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { drain, evenShare, givenFor, interrupted, SMALL, uninterrupted } from "./on_policy_setup.ts";
import { tinyLlama } from "./tiny.ts";

let gpu: Gpu;
let pool: Pool;
beforeAll(async () => {
  gpu = await openGpu();
  pool = createPool(() => denoHost().spawnArena(), { size: 2 });
});
afterAll(() => {
  pool.close();
  gpu.close();
});

const CONFIG: GrpoConfig = { ...GRPO, ...SMALL };
const grpo = (change: Partial<GrpoConfig> = {}) => (given: OnPolicyGiven, signal?: AbortSignal) =>
  trainGrpo({ ...CONFIG, ...change }, given, signal);
const metricsOf = async (change: Partial<GrpoConfig>, given: Partial<OnPolicyGiven> = {}) => {
  const { metrics } = await drain(grpo(change)(givenFor(gpu, pool, given)));
  return [...metrics.values()];
};
/** All samples get 1. */
const flat: Reward = (batch) => Promise.resolve(batch.map(() => 1));

test("one update on fresh samples: ratios of 1 to the bit, nothing clipped, no reference and no divergence measured", async () => {
  for (const row of await metricsOf({})) {
    expect(row["policy/approxkl_avg"]).toBe(0);
    expect(row["policy/clipfrac_avg"]).toBe(0);
    expect(row["val/ratio"]).toBeCloseTo(1, 6);
    // Advantages of a group add up to 0, and all samples have eight tokens or are cut there.
    expect(Math.abs(row["loss/policy_avg"])).toBeLessThan(0.2);
    expect(Object.keys(row).filter((name) => /kl$|kl_avg|reference/.test(name) && name !== "policy/approxkl_avg"))
      .toEqual([]);
  }
});

test("with a coefficient the divergence is measured, 0 at first, and is part of the loss", async () => {
  const plain = await metricsOf({});
  for (const klLoss of ["k2", "k3"] as const) {
    const rows = await metricsOf({ klCoefficient: 0.5, klLoss, iterations: 2 });
    expect(rows[0]["objective/kl"]).toBe(0);
    expect(rows[0]["loss/kl_avg"]).toBe(0);
    expect(rows[0]["objective/scores"]).toBe(plain[0]["objective/scores"]);
    expect(rows[1]["objective/kl"]).not.toBe(0);
    expect(rows[1]["loss/kl_avg"]).toBeGreaterThan(0);
  }
});

test("groups that are all alike teach nothing: their share is told, and weights stay to the bit", async () => {
  for (const filterSilent of [false, true]) {
    const given = givenFor(gpu, pool, { reward: flat });
    const before = await getWeights(given.policy.trained);
    // The penalty would tell finished from unfinished samples.
    const { metrics } = await drain(grpo({ filterSilent, missingEosPenalty: 0, iterations: 2 })(given));
    expect([...metrics.values()].map((row) => row.frac_reward_zero_std)).toEqual([1, 1]);
    expect([...metrics.values()].map((row) => "loss" in row)).toEqual([!filterSilent, !filterSilent]);
    expect(metrics.get(2)!.num_tokens > 0).toBe(!filterSilent);
    expect(await getWeights(given.policy.trained)).toEqual(before);
  }
});

test("a filtered group leaves the step, another stays", async () => {
  const half: Reward = async (batch) => {
    const scores = await evenShare(batch);
    return scores.map((score, i) => batch[i].problem.id === batch[0].problem.id ? 1 : score);
  };
  const [all] = await metricsOf({ iterations: 1, missingEosPenalty: 0 }, { reward: half });
  const [some] = await metricsOf({ iterations: 1, missingEosPenalty: 0, filterSilent: true }, { reward: half });
  expect(all.frac_reward_zero_std).toBe(0.5);
  expect(some.frac_reward_zero_std).toBe(0.5);
  expect(some.num_tokens).toBeLessThan(all.num_tokens);
});

test("masked, samples without an end token are not learned from, though they count in baselines", async () => {
  const given = givenFor(gpu, pool);
  const { metrics } = await drain(grpo({ maskTruncated: true, iterations: 1 })(given));
  const [plain] = await metricsOf({ iterations: 1 });
  const row = metrics.get(1)!;
  expect(row["val/num_eos_tokens"]).toBeLessThan(8);
  expect(row.num_tokens).toBeLessThan(plain.num_tokens);
  expect(row["objective/scores"]).toBe(plain["objective/scores"]);
});

test("advantages are a choice: leave-one-out is G / (G - 1) of the distance from the mean, in the gradient too", async () => {
  const normOf = async (change: Partial<GrpoConfig>) => (await metricsOf({ ...change, iterations: 1 }))[0].grad_norm;
  const centred = await normOf({ advantages: "dr-grpo" });
  expect(await normOf({ advantages: RLOO.advantages }) / centred).toBeCloseTo(4 / 3, 3);
  expect(await normOf({ advantages: "trl" }) / centred).toBeGreaterThan(2); // divided by a deviation below a half
});

test("aggregations are a choice, and agree where all samples are cut at the same length", async () => {
  const normOf = async (change: Partial<GrpoConfig>) => (await metricsOf({ ...change, iterations: 1 }))[0].grad_norm;
  const tokens = await normOf({ aggregation: "dapo" });
  expect(await normOf({ aggregation: "grpo" }) / tokens).toBeCloseTo(1, 4);
  expect(await normOf({ aggregation: "dr-grpo" }) / tokens).toBeCloseTo(1, 4); // all are cut at maxNewTokens
});

test("surrogate and entropy bonus are choices: the one shows in a second epoch, the other in the loss of the first", async () => {
  const second = async (change: Partial<GrpoConfig>) =>
    (await metricsOf({ ...change, iterations: 1, epochs: 2 }))[0].loss;
  const losses = [await second({}), await second({ surrogate: "gspo" }), await second({ surrogate: "cispo" })];
  expect(new Set(losses).size).toBe(3);
  const [plain, rewarded] = [
    await metricsOf({ iterations: 1 }),
    await metricsOf({ iterations: 1, entropyCoefficient: 0.1 }),
  ];
  expect(rewarded[0].loss - plain[0].loss).toBeCloseTo(-0.1 * plain[0]["policy/entropy_avg"], 4);
});

describe("a run that was broken off", () => {
  const train = grpo({ klCoefficient: 0.1, epochs: 2, minibatches: 2, scheduler: "pass-rate" });
  let wanted: Awaited<ReturnType<typeof uninterrupted>>;
  beforeAll(async () => void (wanted = await uninterrupted(gpu, pool, train, 3)));

  const uniform = uniformStream(12, 0);
  const places = ["crash", "stop", "crash"].map((how) => [how as "crash" | "stop", uniform()] as const);
  test.each(places)("by a %s after %f of its work goes on to the same bits", async (how, share) => {
    const submit = Math.ceil(share * wanted.submits);
    const { metrics, hashes, ended } = await interrupted(gpu, pool, train, 3, how, submit);
    expect(ended).toBe(how === "crash" ? "out of power" : "stopped");
    expect(metrics).toEqual(wanted.metrics);
    expect(hashes).toEqual(wanted.hashes);
  });
});

test("adapters are trained beside a model that stays as it is", async () => {
  const base = tinyLlama(gpu, 6, { V: 1024 });
  const before = await getWeights(base);
  const lora = createLora(base, { rank: 4, alpha: 8, targets: ["self_attn.qkv"] }, true, 1);
  const policy = adapted(base, lora);
  const { metrics } = await drain(grpo({ klCoefficient: 0.1, iterations: 2 })(givenFor(gpu, pool, {}, policy)));
  expect(metrics.get(1)!["objective/kl"]).toBeCloseTo(0, 5);
  expect(metrics.get(2)!["objective/kl"]).not.toBe(0);
  expect(await getWeights(base)).toEqual(before);
  const grown = [...await getWeights(policy.trained)].filter(([name]) => name.includes("lora_B"));
  expect(grown.every(([, { data }]) => data.some((x) => x !== 0))).toBe(true);
});

test("the reward is learned: the share of even tokens rises from a half to above three quarters", async () => {
  const reward: Reward = Object.assign((batch: Parameters<Reward>[0]) => evenShare(batch), {
    reads: "verdicts" as const,
  });
  const sizes = { iterations: 8, prompts: 1, samples: 32, maxNewTokens: 4, sampleBatch: 32, microBatch: 32 };
  const config = { ...sizes, epochs: 3, learningRate: 0.02, missingEosPenalty: 0, checkpointEvery: 0 };
  const rows = await metricsOf(config, { reward });
  expect(rows[0]["objective/scores"]).toBeLessThan(0.6);
  expect(rows.at(-1)!["objective/scores"]).toBeGreaterThan(0.75);
});

test("what cannot be is an error", async () => {
  await expect(metricsOf({ samples: 1 })).rejects.toThrow("Cannot train by groups: samples is 1");
  const dense: OnPolicyGiven["dense"] = (batch) =>
    Promise.resolve(batch.map(({ sample: { tokens } }) => ({ rewards: tokens.map(() => 0.1) })));
  await expect(metricsOf({}, { dense })).rejects.toThrow("Cannot add rewards of tokens to advantages of kind trl");
  const policy = whole(tinyLlama(gpu, 6, { V: 1024 }));
  const rows =
    (await drain(trainGrpo({ ...CONFIG, ...RLOO, ...SMALL, iterations: 1 }, givenFor(gpu, pool, { dense }, policy))))
      .metrics;
  expect(rows.size).toBe(1);
});
