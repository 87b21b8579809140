import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { denoHost } from "../../src/host/deno.ts";
import type { Problem } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { createGenerator, type Generator } from "../../src/model/generate.ts";
import type { Llama } from "../../src/model/llama.ts";
import { promptTokens } from "../../src/recipes/sequences.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { openStore, type RunStore, type StoredSample } from "../../src/store/store.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import {
  rollout,
  type RolloutOptions,
  type RolloutProgress,
  sampleTraced,
  Stopped,
} from "../../src/recipes/rollout.ts";
import { tinyLlama } from "./tiny.ts";

let gpu: Gpu;
let tokenizer: Tokenizer;
let pool: Pool;
let model: Llama;
const generators: Generator[] = [];
beforeAll(async () => {
  gpu = await openGpu();
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
  pool = createPool(() => denoHost().spawnArena());
  model = tinyLlama(gpu, 6, { V: 1024 });
  for (const batch of [2, 7]) generators.push(await createGenerator(model, batch, 64));
});
afterAll(() => {
  for (const generator of generators) generator.destroy();
  pool.close();
  gpu.close();
});

const problems = ["add", "sub", "neg"].map((name): Problem => ({
  id: `p/${name}`,
  dataset: "p",
  split: "test",
  prompt: `def ${name}(a, b):\n`,
  entryPoint: name,
  canonicalSolution: null,
  tests: [`assert ${name}(1, 2) == 3`],
  testKind: "assert-list",
  codeMode: "completion",
}));
const OPTIONS: RolloutOptions = {
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 3,
  maxNewTokens: 12,
  set: "train",
  samples: 3,
  streamBase: 0,
  traced: false,
};

const newStore = () => openStore(memoryHost(), "run/store.sqlite");

async function samplesOf(generator: Generator, options: Partial<RolloutOptions> = {}, given: Partial<Given> = {}) {
  const store = given.store ?? await newStore();
  const run = rollout({ pool, tokenizer, ...given, store, generator }, problems, { ...OPTIONS, ...options });
  const progress: RolloutProgress[] = [];
  for (let item = await run.next();; item = await run.next()) {
    if (item.done) return { samples: item.value, progress, store };
    progress.push(item.value);
  }
}
type Given = Parameters<typeof rollout>[0];

/** All but the clock. */
const timeless = (samples: readonly StoredSample[]) =>
  samples.map(({ result, ...sample }) => ({ ...sample, result: { ...result, elapsedMs: 0 } }));

/** Counts the programs that are run. */
function counting(): { pool: Pool; run: string[] } {
  const run: string[] = [];
  return { run, pool: { ...pool, run: (job) => (run.push(job.id), pool.run(job)) } };
}

/** A generator that "samples" these texts, in turn for each problem. */
function scripted(texts: readonly string[], finished = true): Generator {
  return {
    eosId: 7, // the model's own, which need not be the tokenizer's
    async *run(requests) {
      const completions = requests.map(({ stream }) => ({
        tokens: tokenizer.encode(texts[stream % 4096 % texts.length]),
        finished,
      }));
      for (let i = 0; i < completions.length; i += 40) yield await Promise.resolve(completions.slice(i, i + 40));
    },
    destroy() {},
  };
}

describe("rollout", () => {
  let wanted: Awaited<ReturnType<typeof samplesOf>>;
  beforeAll(async () => void (wanted = await samplesOf(generators[0])));

  test("samples problem by problem, each judged, and keeps them in the store", async () => {
    const { samples, store } = wanted;
    expect(samples.map(({ problemId, index }) => `${problemId}#${index}`)).toEqual(
      problems.flatMap(({ id }) => [0, 1, 2].map((index) => `${id}#${index}`)),
    );
    expect(new Set(samples.map(({ completion }) => completion)).size).toBe(9); // every sample has draws of its own
    expect(samples.every(({ result }) => !result.infra && result.tests.length === 1)).toBe(true);
    expect(samples.map(({ problemId, index, result }) => result.id === `${problemId}#${index}`)).not.toContain(false);
    expect(await store.problems()).toEqual(problems);
    expect(await store.samples("train")).toEqual(samples);
    expect(await store.versions()).toMatchObject({ python: "3.14.2" });
  });

  test("the same seed gives the same samples, however many run at a time", async () => {
    const { samples } = await samplesOf(generators[1]);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
  });

  test("another seed and another stream give others", async () => {
    for (const other of [{ seed: 4 }, { streamBase: 1 << 20 }]) {
      const { samples } = await samplesOf(generators[1], other);
      expect(samples.map(({ tokens }) => tokens)).not.toEqual(wanted.samples.map(({ tokens }) => tokens));
    }
  });

  test("a whole set is read back, without the model", async () => {
    const silent: Generator = {
      ...generators[0],
      run: () => {
        throw new Error("sampled again");
      },
    };
    const { samples, progress } = await samplesOf(silent, {}, { store: wanted.store });
    expect(progress).toEqual([]);
    expect(samples).toEqual(wanted.samples);
  });

  test("more samples of each problem leave the first as they are; fewer are a part of them", async () => {
    const store = await newStore();
    await samplesOf(generators[0], { samples: 2 }, { store });
    const { samples, progress } = await samplesOf(generators[1], {}, { store });
    expect(progress[0]).toMatchObject({ done: 6, total: 9, resumed: 6 });
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
    const fewer = await samplesOf(generators[0], { samples: 1 }, { store });
    expect(timeless(fewer.samples)).toEqual(timeless(wanted.samples.filter(({ index }) => index === 0)));
    expect(await store.count("train")).toBe(9);
  });

  test("more than a hundred samples of a problem are as good as any number", async () => {
    const lines = Array.from({ length: 150 }, (_, i) => `    return a + b + ${i % 10}\n`);
    const store = await newStore();
    await samplesOf(scripted(lines), { samples: 90 }, { store });
    const { pool, run } = counting();
    const { samples, progress } = await samplesOf(scripted(lines), { samples: 150 }, { store, pool });
    expect(samples).toHaveLength(450);
    expect(progress.at(-1)).toMatchObject({ done: 450, resumed: 270, reused: 180 });
    expect(run).toEqual([]); // all of these programs are known
    expect(samples.filter(({ result }) => result.passed)).toHaveLength(45); // all three problems want 1 + 2
  });

  test("a stop keeps whole samples; the next run goes on from them", async () => {
    const store = await newStore();
    const stop = new AbortController();
    stop.abort();
    const run = rollout({ store, pool, generator: generators[0], tokenizer }, problems, OPTIONS, stop.signal);
    await expect((async () => {
      while (!(await run.next()).done);
    })()).rejects.toThrow(Stopped);
    const left = await store.count("train");
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(9);
    const { samples, progress } = await samplesOf(generators[1], {}, { store });
    expect(progress[0].done).toBe(left);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
  });

  test("a set is never continued with other options, other weights or other problems", async () => {
    const store = await newStore();
    await samplesOf(generators[0], { samples: 1, modelId: "m1" }, { store });
    const begun = 'Cannot go on with set "train" of run/store.sqlite: ';
    await expect(samplesOf(generators[0], { modelId: "m2" }, { store })).rejects.toThrow(
      `${begun}modelId was "m1" there and is "m2" now`,
    );
    await expect(samplesOf(generators[0], { modelId: "m1", topP: 0.9 }, { store })).rejects.toThrow(
      `${begun}topP was 1 there and is 0.9 now`,
    );
    const run = rollout({ store, pool, generator: generators[0], tokenizer }, problems.slice(1), {
      ...OPTIONS,
      modelId: "m1",
    });
    await expect(run.next()).rejects.toThrow(`${begun}problems was`);
    await expect(samplesOf(generators[0], { samples: 5000 })).rejects.toThrow("there are 4096 streams");
  });

  test("a completion is cut where it leaves its function, ends with EOS and counts as finished", async () => {
    const text = "    return a + b\ndef other():\n    pass\n";
    const { samples } = await samplesOf(scripted([text], false));
    const [first] = samples;
    expect(first.completion).toBe("    return a + b\n");
    expect(first.tokens).toEqual([...tokenizer.encode("    return a + b\n"), 7]);
    expect(first.finished).toBe(true);
    expect(first.result.passed).toBe(true);
    expect(samples.every(({ result }) => result.passed)).toBe(true);
  });

  test("stop texts of one's own take the place of the usual ones", async () => {
    const text = "    return a + b\ndef other():\n    return 3 # END";
    const { samples } = await samplesOf(scripted([text], false), { stops: [" # END"], samples: 1 });
    expect(samples[0].completion).toBe("    return a + b\ndef other():\n    return 3");
    expect(samples[0].finished).toBe(true);
    const { samples: uncut } = await samplesOf(scripted([text], false), { stops: [], samples: 1 });
    expect([uncut[0].completion, uncut[0].finished]).toEqual([text, false]);
  });

  test("programs that Python reads alike are run once, and each sample has the result", async () => {
    const texts = ["    return a + b\n", "    return (a+b) # sum\n", "    return a + b  \n", "    return (\n"];
    const { pool, run } = counting();
    const { samples, progress, store } = await samplesOf(scripted(texts), { samples: 8, traced: true }, { pool });
    expect(run.sort()).toEqual(problems.flatMap(({ id }) => [0, 1, 3].map((index) => `${id}#${index}`)).sort());
    expect(progress.at(-1)!.reused).toBe(24 - 9);
    expect(samples.slice(0, 8).map(({ duplicateOf }) => duplicateOf)).toEqual([null, 0, 0, null, 0, 0, 0, 3]);
    // As if each had been run.
    const judged = async (given: Given["pool"]) => {
      const all: StoredSample[] = [];
      const draws = problems.flatMap((problem, p) =>
        Array.from({ length: 8 }, (_, index) => ({ problem, index, stream: 4096 * p + index }))
      );
      const traced = { pool: given, generator: scripted(texts), tokenizer };
      for await (const batch of sampleTraced(traced, draws, { ...OPTIONS, traced: true })) all.push(...batch);
      return all;
    };
    const plain = (all: StoredSample[]) => timeless(all).map(({ programKey: _k, duplicateOf: _d, ...rest }) => rest);
    expect(plain(samples)).toEqual(plain(await judged(pool)));
    // Another set of the same store, not traced: there the brackets do not matter. The next time nothing is run at all.
    const untraced = counting();
    await samplesOf(scripted(texts), { set: "before" }, { pool: untraced.pool, store });
    expect(untraced.run).toHaveLength(3);
    const again = counting();
    await samplesOf(scripted(texts), { set: "after" }, { pool: again.pool, store });
    expect(again.run).toEqual([]);
  });

  test("what is flaky or was spoiled by the machinery is run each time", async () => {
    for (const trouble of [{ flaky: true }, { infra: true }]) {
      const run: string[] = [];
      const troubled: Pool = {
        ...pool,
        run: async (job) => (run.push(job.id), { ...await pool.run(job), ...trouble }),
      };
      const { samples, progress } = await samplesOf(scripted(["    return a\n"]), {}, { pool: troubled });
      expect(run).toHaveLength(9);
      expect(progress.at(-1)!.reused).toBe(0);
      expect(samples.every(({ duplicateOf }, i) => duplicateOf === (i % 3 === 0 ? null : 0))).toBe(true);
    }
  });

  test("log-probabilities of the samples come from the kernels of training, and are added to a set that lacks them", async () => {
    const store: RunStore = await newStore();
    await samplesOf(generators[0], {}, { store });
    const { samples, progress } = await samplesOf(generators[0], { logprobs: true }, { store, model });
    expect(progress).toEqual([]);
    const sequences = samples.map(({ problemId, tokens }) => {
      const prompt = promptTokens(tokenizer, problems.find(({ id }) => id === problemId)!.prompt);
      return { tokens: [...prompt, ...tokens], promptLength: prompt.length };
    });
    expect(samples.map(({ logprob }) => logprob)).toEqual([
      ...await sequenceLogprobs(model, sequences, 8, tokenizer.padId),
    ]);
    for (const { logprob, tokens } of samples) expect(logprob! / tokens.length).toBeLessThan(-3); // 1024 tokens, untrained
    await expect(samplesOf(generators[0], { logprobs: true, set: "x" })).rejects.toThrow(
      'Cannot score the samples of set "x": the model was not given',
    );
  });
});
