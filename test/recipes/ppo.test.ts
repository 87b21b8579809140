import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { denoHost } from "../../src/host/deno.ts";
import { readSafetensors } from "../../src/files/safetensors.ts";
import { createLora } from "../../src/model/lora.ts";
import { uniformStream } from "../../src/model/philox.ts";
import { getWeights } from "../../src/model/weights.ts";
import type { IterationEvent, Monitor, OnPolicyGiven, RolloutEvent } from "../../src/recipes/on_policy.ts";
import { adapted, whole } from "../../src/recipes/policy.ts";
import { PPO, type PpoConfig, trainPpo } from "../../src/recipes/ppo.ts";
import type { Reward } from "../../src/recipes/rewards.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import {
  drain,
  evenShare,
  givenFor,
  interrupted,
  problems,
  type Ran,
  SMALL,
  uninterrupted,
} from "./on_policy_setup.ts";
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

const CONFIG: PpoConfig = { ...PPO, ...SMALL, epochs: 2, minibatches: 2, klTarget: 1 };
const ppo = (change: Partial<PpoConfig> = {}) => (given: OnPolicyGiven, signal?: AbortSignal) =>
  trainPpo({ ...CONFIG, ...change }, given, signal);

describe("one run of PPO", () => {
  let ran: Ran;
  let given: OnPolicyGiven;
  beforeAll(async () => {
    given = givenFor(gpu, pool);
    ran = await drain(ppo()(given));
  });

  test("an iteration is a rollout, a step and a checkpoint", () => {
    expect(ran.events.map(({ type }) => type)).toEqual([
      ...[1, 2, 3].flatMap(() => ["rollout", "step", "checkpoint"]),
      "done",
    ]);
    const [rollout] = ran.events as [RolloutEvent];
    expect(rollout.experiences.map(({ sample }) => `${sample.problemId}#${sample.index}`)).toHaveLength(8);
    expect(rollout.scores.every((score) => score !== null && score >= 0 && score <= 1)).toBe(true);
    expect(Object.values(rollout.mix).reduce((sum, count) => sum + count, 0)).toBe(8);
    const step = ran.events.find(({ type }) => type === "step") as IterationEvent;
    expect(Object.keys(step.machine).sort()).toEqual(
      ["env/exec_seconds", "eps", "time/generate", "time/idle", "time/score", "time/update"],
    );
    const names = Object.keys(step.metrics);
    for (
      const name of [
        "objective/kl",
        "objective/rlhf_reward",
        "val/explained_variance",
        "env/pass_rate",
        "loss/value_avg",
      ]
    ) {
      expect(names).toContain(name);
    }
  });

  test("all prompts come before one comes again, each sample from draws of its own", () => {
    const rollouts = ran.events.filter((event): event is RolloutEvent => event.type === "rollout");
    const order = rollouts.flatMap(({ experiences }) => experiences.map(({ problem }) => problem.id)).filter((_, i) =>
      i % 4 === 0
    );
    expect(new Set(order.slice(0, 3)).size).toBe(3);
    expect(new Set(order.slice(3)).size).toBe(3);
    const texts = rollouts.flatMap(({ experiences }) => experiences.map(({ sample }) => sample.tokens.join()));
    expect(new Set(texts).size).toBe(texts.length);
  });

  test("at first the policy is its reference: the divergence is 0 to the bit, and not later", () => {
    const kls = [...ran.metrics.values()].map((metrics) => metrics["objective/kl"]);
    expect(kls[0]).toBe(0);
    expect(kls[1]).not.toBe(0);
  });

  test("the adaptive coefficient follows the divergence", () => {
    const rows = [...ran.metrics.values()];
    expect(rows[0]["objective/kl_coef"]).toBe(0.05);
    rows.slice(1).forEach((row, i) => {
      const error = Math.min(0.2, Math.max(-0.2, rows[i]["objective/kl"] / 1 - 1));
      expect(row["objective/kl_coef"]).toBeCloseTo(rows[i]["objective/kl_coef"] * (1 + error * 8 / 10_000), 12);
    });
  });

  test("rewards add up: rlhf_reward is the score less the penalty", () => {
    for (const row of ran.metrics.values()) {
      expect(row["objective/non_score_reward"]).toBeCloseTo(-row["objective/kl_coef"] * row["objective/kl"], 12);
      expect(row["objective/rlhf_reward"]).toBeCloseTo(row["objective/scores"] + row["objective/non_score_reward"], 12);
    }
    const [rollout] = ran.events as [RolloutEvent];
    const before = rollout.scores.reduce<number>((sum, score) => sum + score!, 0) / 8;
    const cut = rollout.experiences.filter(({ sample }) => !sample.finished).length;
    expect(cut).toBeGreaterThan(0);
    expect(ran.metrics.get(1)!["objective/scores"]).toBeCloseTo(before - cut / 8, 12); // the missing-EOS penalty is 1
  });

  test("the same seed gives the same metrics, another one does not", async () => {
    expect((await drain(ppo()(givenFor(gpu, pool)))).metrics).toEqual(ran.metrics);
    expect((await drain(ppo({ seed: 2 })(givenFor(gpu, pool)))).metrics).not.toEqual(ran.metrics);
  });
});

test("the first step on fresh samples has ratios of 1 to the bit and loss -mean(A) = 0", async () => {
  for (const temperature of [1, 0.7]) {
    const train = ppo({ temperature, epochs: 1, minibatches: 1, iterations: 2 });
    const { metrics } = await drain(train(givenFor(gpu, pool)));
    expect(metrics.get(1)!["objective/kl"]).toBe(0);
    for (const row of metrics.values()) {
      expect(row["policy/approxkl_avg"]).toBe(0);
      expect(row["policy/clipfrac_avg"]).toBe(0);
      expect(row["val/ratio"]).toBeCloseTo(1, 6);
      expect(row["loss/policy_avg"]).toBeCloseTo(0, 5); // whitened
    }
  }
});

describe("a run that was broken off", () => {
  let wanted: Awaited<ReturnType<typeof uninterrupted>>;
  beforeAll(async () => void (wanted = await uninterrupted(gpu, pool, ppo(), 3)));

  // Anywhere in the GPU's work: while it samples, scores, within an epoch, between two, while it saves.
  const uniform = uniformStream(11, 0);
  const places = ["crash", "stop", "crash", "stop"].map((how) => [how as "crash" | "stop", uniform()] as const);
  test.each(places)("by a %s after %f of its work goes on to the same bits", async (how, share) => {
    const submit = Math.ceil(share * wanted.submits);
    const { metrics, hashes, ended } = await interrupted(gpu, pool, ppo(), 3, how, submit);
    expect(ended).toBe(how === "crash" ? "out of power" : "stopped");
    expect(metrics).toEqual(wanted.metrics);
    expect(hashes).toEqual(wanted.hashes);
  });

  test("by a crash while programs are judged goes on to the same bits", async () => {
    let runs = 0;
    const failing: Pool = {
      ...pool,
      run: (job) => ++runs === 13 ? Promise.reject(new Error("out of power")) : pool.run(job),
    };
    const given = givenFor(gpu, failing);
    await expect(drain(ppo()(given))).rejects.toThrow("out of power");
    expect((await drain(ppo()(givenFor(gpu, pool, { host: given.host })))).metrics.get(3)).toEqual(
      wanted.metrics.get(3),
    );
  });

  test("by a reader who leaves between phases goes on to the same bits", async () => {
    const given = givenFor(gpu, pool);
    let rollouts = 0;
    await drain(ppo()(given), ({ type }) => type === "rollout" && ++rollouts === 2);
    const { metrics } = await drain(ppo()(givenFor(gpu, pool, { host: given.host })));
    expect([...metrics.keys()]).toEqual([2, 3]);
    for (const [step, row] of metrics) expect(row).toEqual(wanted.metrics.get(step));
  });

  test("with rare checkpoints a stop still saves the last whole iteration", async () => {
    const given = givenFor(gpu, pool);
    const stop = new AbortController();
    const train = ppo({ checkpointEvery: 0 });
    const { events } = await drain(train(given, stop.signal), (event) => {
      if (event.type === "rollout" && event.iteration === 2) stop.abort();
      return false;
    });
    expect(events.slice(-2)).toMatchObject([{ type: "checkpoint", step: 1 }, { type: "stopped", step: 1 }]);
    const { metrics } = await drain(train(givenFor(gpu, pool, { host: given.host })));
    for (const [step, row] of metrics) expect(row).toEqual(wanted.metrics.get(step));
  });
});

test("a checkpoint of another recipe is refused", async () => {
  const given = givenFor(gpu, pool);
  await drain(ppo({ iterations: 1 })(given));
  const path = `${given.checkpoints}/latest.json`;
  const { carried: _, ...others } = JSON.parse(await given.host.readText(path));
  await given.host.write(path, JSON.stringify(others));
  await expect(drain(ppo()(givenFor(gpu, pool, { host: given.host })))).rejects.toThrow(
    "Cannot resume run/checkpoints: its checkpoint is not one of on-policy training",
  );
});

test("after the first iteration nothing is allocated on the GPU", async () => {
  const made: number[] = [];
  const device = gpu.device as unknown as { createBuffer?: (descriptor: GPUBufferDescriptor) => GPUBuffer };
  const original = device.createBuffer!.bind(gpu.device);
  let count = 0;
  device.createBuffer = (descriptor) => (count++, original(descriptor));
  try {
    await drain(ppo({ iterations: 4, checkpointEvery: 0 })(givenFor(gpu, pool)), ({ type }) => {
      if (type === "step") made.push(count);
      return false;
    });
  } finally {
    delete device.createBuffer;
  }
  expect(made[0]).toBeGreaterThan(0);
  expect(made[3]).toBe(made[0]);
});

test("adapters are trained beside a model that stays as it is; the checkpoint holds them and the value head", async () => {
  const base = tinyLlama(gpu, 6, { V: 1024 });
  const before = await getWeights(base);
  const lora = createLora(base, { rank: 4, alpha: 8, targets: ["self_attn.qkv", "mlp.down_proj"] }, true, 1);
  const given = givenFor(gpu, pool, {}, adapted(base, lora));
  const { metrics } = await drain(ppo({ iterations: 2 })(given));
  expect(metrics.get(1)!["objective/kl"]).toBeCloseTo(0, 5);
  expect(metrics.get(2)!["objective/kl"]).not.toBeCloseTo(0, 4);
  expect(await getWeights(base)).toEqual(before);
  const file = readSafetensors(await given.host.readBytes("run/checkpoints/step-2/model.safetensors"), "checkpoint");
  const names = [...file.tensors.keys()];
  expect(names).toContain("value_head.weight");
  expect(names.filter((name) => !name.includes("lora_"))).toEqual(["value_head.weight"]);
  expect(file.tensors.get("value_head.weight")!.data.some((x) => x !== 0)).toBe(true);
});

test("the reward is learned: the share of even tokens rises from a half to above three quarters", async () => {
  const reward: Reward = Object.assign((batch: Parameters<Reward>[0]) => evenShare(batch), {
    reads: "verdicts" as const,
  });
  const sizes = { iterations: 9, prompts: 1, samples: 32, maxNewTokens: 4, sampleBatch: 32, microBatch: 32 };
  const config = { ...sizes, epochs: 4, minibatches: 1, learningRate: 0.02, klTarget: null, klCoefficient: 0.01 };
  const train = ppo({ ...config, missingEosPenalty: 0, checkpointEvery: 0 });
  const { metrics } = await drain(train(givenFor(gpu, pool, { reward })));
  const scores = [...metrics.values()].map((row) => row["objective/scores"]);
  expect(scores[0]).toBeLessThan(0.6);
  expect(scores.at(-1)).toBeGreaterThan(0.75);
});

describe("hooks", () => {
  test("samples without a score are not learned from; if none has one, the run ends", async () => {
    const some: Reward = (batch) => Promise.resolve(batch.map((_, i) => i < 3 ? null : i));
    const { metrics } = await drain(
      ppo({ iterations: 1, epochs: 1, minibatches: 1 })(givenFor(gpu, pool, { reward: some })),
    );
    expect(metrics.get(1)!["objective/scores"]).toBe((3 + 4 + 5 + 6 + 7) / 5 - 1);
    expect(metrics.get(1)!.num_tokens).toBeLessThanOrEqual(5 * 8);
    const none: Reward = (batch) => Promise.resolve(batch.map(() => null));
    await expect(drain(ppo()(givenFor(gpu, pool, { reward: none })))).rejects.toThrow(
      "Cannot learn from iteration 1: none of its 8 programs was judged",
    );
  });

  test("a monitor sees samples with scores and traces, adds metrics, ends the run, and is restored", async () => {
    let seen = 0;
    const monitor: Monitor = Object.assign((batch: Parameters<Monitor>[0]) => {
      expect(batch).toHaveLength(8);
      expect(batch.every(({ sample, score }) => typeof score === "number" && sample.result.tests.length > 0)).toBe(
        true,
      );
      seen++;
      return Promise.resolve({ stop: seen === 3 ? "padding rose to 0.9" : null, metrics: { "monitor/seen": seen } });
    }, { carried: () => seen, restore: (known: unknown) => void (seen = (known as number | undefined) ?? 0) });
    const given = givenFor(gpu, pool, { monitor });
    const { events, metrics } = await drain(ppo()(given));
    expect([...metrics.values()].map((row) => row["monitor/seen"])).toEqual([1, 2]);
    expect(events.at(-1)).toEqual({ type: "halted", step: 2, reason: "padding rose to 0.9" });
    seen = 50;
    const again = await drain(ppo()(givenFor(gpu, pool, { host: given.host, monitor })));
    expect(again.events.at(-1)).toEqual({ type: "halted", step: 2, reason: "padding rose to 0.9" });
  });

  test("step-wise credit: weights of 1 and rewards of 0 change nothing, others do", async () => {
    const train = ppo({ iterations: 2 });
    const plain = (await drain(train(givenFor(gpu, pool)))).metrics;
    const credit = (weight: (t: number) => number, reward: number): Partial<OnPolicyGiven> => ({
      dense: (batch) =>
        Promise.resolve(batch.map(({ sample: { tokens } }) => ({
          weights: tokens.map((_, t) => weight(t)),
          rewards: tokens.map(() => reward),
        }))),
    });
    expect((await drain(train(givenFor(gpu, pool, credit(() => 1, 0))))).metrics).toEqual(plain);
    expect((await drain(train(givenFor(gpu, pool, credit((t) => t % 2, 0))))).metrics).not.toEqual(plain);
    expect((await drain(train(givenFor(gpu, pool, credit(() => 1, 0.1))))).metrics).not.toEqual(plain);
    const short = givenFor(gpu, pool, { dense: (batch) => Promise.resolve(batch.map(() => ({ weights: [1] }))) });
    await expect(drain(train(short))).rejects.toThrow("Cannot credit tokens: 1 weights for 8 completion tokens");
  });
});

test("what cannot be sampled from is refused: a prompt that leaves no room, by name, and a temperature of 0", async () => {
  await expect(drain(ppo({ temperature: 0 })(givenFor(gpu, pool)))).rejects.toThrow(
    "Cannot learn from samples: temperature is 0, and greedy completions are no sample",
  );
  const long = { ...problems[0], prompt: "a = 1\n".repeat(80) };
  await expect(drain(ppo()(givenFor(gpu, pool, { problems: [long] }, whole(tinyLlama(gpu, 6, { V: 1024 }))))))
    .rejects.toThrow(/Cannot sample for p\/add: its prompt has \d+ tokens, 8 new ones leave room for 248/);
});
