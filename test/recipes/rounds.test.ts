import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { denoHost } from "../../src/host/deno.ts";
import type { Host } from "../../src/host/host.ts";
import type { Problem } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { sha256 } from "../../src/files/sha256.ts";
import { createGenerator } from "../../src/model/generate.ts";
import { openStore } from "../../src/store/store.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { trainDpo } from "../../src/recipes/dpo.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { sampleSequences } from "../../src/recipes/rft.ts";
import { type RoundEvent, ROUNDS, type RoundsConfig, type RoundStages, trainRounds } from "../../src/recipes/rounds.ts";
import { interrupted } from "./interrupted.ts";
import { tinyAdapted, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
let tokenizer: Tokenizer;
let pool: Pool;
beforeAll(async () => {
  gpu = await openGpu();
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
  pool = createPool(() => denoHost().spawnArena());
});
afterAll(() => {
  pool.close();
  gpu.close();
});

const problems = ["add", "sub"].map((name): Problem => ({
  id: name,
  dataset: "p",
  split: "train",
  prompt: `def ${name}(a, b):\n`,
  entryPoint: name,
  canonicalSolution: null,
  tests: [`assert ${name}(1, 2) == 3`],
  testKind: "assert-list",
  codeMode: "completion",
}));
const CONFIG: RoundsConfig = {
  ...ROUNDS,
  rounds: 3,
  steps: 3,
  batchSize: 3,
  microBatch: 3,
  learningRate: 0.003,
  warmup: 0,
  logEvery: 2,
  checkpointEvery: 2,
  samples: 4,
  maxNewTokens: 8,
};
/** An untrained model's programs all fail alike; so the preference of these tests is for many different tokens. */
const pair: RoundStages["pair"] = (samples, round) => {
  const variety = samples.map(({ tokens }) => new Set(tokens).size + tokens[0] / 2000);
  const rows = problems.flatMap(({ id }) => {
    const group = samples.flatMap(({ problemId }, i) => problemId === id ? [i] : []);
    group.sort((a, b) => variety[b] - variety[a]);
    return [[group[0], group[3]], [group[1], group[2]]];
  });
  const sequences = sampleSequences(tokenizer, problems, samples);
  const pairs = rows.map(([chosen, rejected]) => ({
    chosen: sequences[chosen],
    rejected: sequences[rejected],
    rejectedWeights: Float32Array.from(samples[rejected].tokens, (_, t) => 1 / (t + round)),
  }));
  return Promise.resolve({ rows: [], pairs });
};
const model = { V: 1024, maxPositions: 64 };
const policies = {
  "all weights": () => whole(tinyLlama(gpu, 6, model)),
  adapters: () => tinyAdapted(gpu, 6, model),
};

/** All events of rounds in a new process: a fresh policy and a fresh generator over it. */
async function* rounds(
  policy: Policy,
  host: Host,
  change: Partial<RoundsConfig> = {},
  signal?: AbortSignal,
  stages: Partial<RoundStages> = { pair },
): AsyncGenerator<RoundEvent> {
  const generator = await createGenerator(policy.model, 4, 64);
  const store = await openStore(host, "run/store.db");
  const given = { host, store, policy, pool, generator, tokenizer, problems, dir: "run", modelId: "tiny", stages };
  try {
    yield* trainRounds({ ...CONFIG, ...change }, given, signal);
  } finally {
    generator.destroy();
    await store.close();
  }
}
async function all(events: AsyncIterable<RoundEvent>): Promise<RoundEvent[]> {
  const seen: RoundEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}
/** What rounds leave, without the clock: hashes of weights, and what was learnt from. */
async function left(host: Host, count = 3): Promise<string[]> {
  return (await Promise.all(Array.from({ length: count }, async (_, i) => [
    await sha256(await host.readBytes(`run/round-${i + 1}/weights.safetensors`)),
    await host.readText(`run/round-${i + 1}/training.jsonl`),
    await host.readText(`run/round-${i + 1}/round.json`),
  ]))).flat();
}

describe("rounds", () => {
  test("sample from the weights of the round before, and leave their files", async () => {
    const host = memoryHost();
    const events = await all(rounds(policies["all weights"](), host));
    const summaries = events.flatMap((event) => event.type === "round" ? [event.summary] : []);
    expect(summaries.map(({ round, samples, pairs, steps }) => ({ round, samples, pairs, steps }))).toEqual(
      [1, 2, 3].map((round) => ({ round, samples: 8, pairs: 4, steps: 3 })),
    );
    expect(new Set(summaries.map(({ weights }) => weights)).size).toBe(3);
    for (const round of [1, 2, 3]) {
      expect(await host.list(`run/round-${round}`)).toEqual([
        "pairs.jsonl",
        "round.json",
        "training.jsonl",
        "weights.safetensors",
      ]);
    }
    const texts = await Promise.all([1, 2, 3].map((round) => host.readText(`run/round-${round}/training.jsonl`)));
    expect(new Set(texts).size).toBe(3);
    // Every round starts at its own reference.
    const firsts = events.flatMap((event) => event.type === "step" && event.step === 1 ? [event.metrics] : []);
    expect(firsts.length).toBe(3);
    for (const metrics of firsts) expect(Math.abs(metrics["rewards/margins"])).toBeLessThan(1e-6);
    expect(await all(rounds(policies["all weights"](), host))).toEqual([]); // nothing is left to do
  });

  test("one round is plain DPO, to the bit", async () => {
    const [host, plain] = [memoryHost(), memoryHost()];
    await all(rounds(policies["all weights"](), host, { rounds: 1 }));
    const pairs = (await host.readText("run/round-1/training.jsonl")).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const given = { host: plain, policy: policies["all weights"](), pairs, padId: tokenizer.padId };
    for await (const _ of trainDpo(CONFIG, { ...given, checkpoints: "dpo", modelId: "tiny" }));
    expect(await sha256(await plain.readBytes("dpo/step-3/model.safetensors"))).toBe((await left(host, 1))[0]);
  });

  test("held to the base they start away from it; the first round is the same", async () => {
    for (const policyOf of Object.values(policies)) {
      const [own, base] = [memoryHost(), memoryHost()];
      await all(rounds(policyOf(), own, { rounds: 2 }));
      const events = await all(rounds(policyOf(), base, { rounds: 2, reference: "base" }));
      const starts = events.flatMap((event) => event.type === "step" && event.step === 1 ? [event.metrics] : []);
      expect(Math.abs(starts[0]["rewards/chosen"])).toBeLessThan(1e-6);
      expect(Math.abs(starts[1]["rewards/chosen"])).toBeGreaterThan(1e-5);
      expect(await left(base, 1)).toEqual(await left(own, 1));
      expect((await left(base, 2))[3]).not.toBe((await left(own, 2))[3]);
    }
  });

  test("in which nothing can be told apart leave the weights as they are; the stages are the recipe's own", async () => {
    const host = memoryHost();
    const events = await all(rounds(policies["all weights"](), host, { rounds: 2 }, undefined, {}));
    const summaries = events.flatMap((event) => event.type === "round" ? [event.summary] : []);
    expect(summaries.map(({ passed, pairs, steps }) => ({ passed, pairs, steps }))).toEqual(
      [1, 2].map(() => ({ passed: 0, pairs: 0, steps: 0 })),
    );
    expect(summaries[1].weights).toBe(summaries[0].weights);
    const store = await openStore(host, "run/store.db");
    const [first, second] = await Promise.all(["round-1", "round-2"].map((set) => store.samples(set)));
    expect(first.length).toBe(8);
    expect(second.map(({ tokens }) => tokens)).not.toEqual(first.map(({ tokens }) => tokens)); // draws of its own
  });
});

describe("rounds that are stopped and cut off at random, again and again, end in the same bits", () => {
  test.each([["all weights", "round"], ["adapters", "base"]] as const)(
    "%s, held to the %s",
    async (kind, reference) => {
      const [straight, broken] = [memoryHost(), memoryHost()];
      const change = { reference, rounds: 2 };
      await all(rounds(policies[kind](), straight, change));
      const counts = await interrupted((signal) => rounds(policies[kind](), broken, change, signal), 11, 9);
      expect(Math.min(counts.crashes, counts.stops)).toBeGreaterThan(0);
      expect(counts.crashes + counts.stops).toBeGreaterThan(3);
      expect(await left(broken, 2)).toEqual(await left(straight, 2));
    },
  );
});
