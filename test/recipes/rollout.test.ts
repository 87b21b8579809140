import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { denoHost } from "../../src/host/deno.ts";
import type { Host } from "../../src/host/host.ts";
import type { Sample } from "../../src/data/pairs.ts";
import type { Problem } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { createGenerator, type Generator } from "../../src/model/generate.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { rollout, type RolloutOptions, Stopped } from "../../src/recipes/rollout.ts";
import { tinyLlama } from "./tiny.ts";

let gpu: Gpu;
let tokenizer: Tokenizer;
let pool: Pool;
const generators: Generator[] = [];
beforeAll(async () => {
  gpu = await openGpu();
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
  pool = createPool(() => denoHost().spawnArena());
  const model = tinyLlama(gpu, 6, { V: 1024 });
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
  samples: 3,
  streamBase: 0,
  traced: false,
  path: "run/candidates.jsonl",
};

async function samplesOf(generator: Generator, host: Host = memoryHost(), options: Partial<RolloutOptions> = {}) {
  const run = rollout({ host, pool, generator, tokenizer }, problems, { ...OPTIONS, ...options });
  const progress: number[] = [];
  for (let item = await run.next();; item = await run.next()) {
    if (item.done) return { samples: item.value, progress, host };
    progress.push(item.value.done);
  }
}
/** All but the clock. */
const timeless = (samples: readonly Sample[]) =>
  samples.map(({ result, ...sample }) => ({ ...sample, result: { ...result, elapsedMs: 0 } }));

describe("rollout", () => {
  let wanted: Awaited<ReturnType<typeof samplesOf>>;
  beforeAll(async () => void (wanted = await samplesOf(generators[0])));

  test("samples problem by problem, each judged, on disk line by line", async () => {
    const { samples, host } = wanted;
    expect(samples.map(({ problemId, index }) => `${problemId}#${index}`)).toEqual(
      problems.flatMap(({ id }) => [0, 1, 2].map((index) => `${id}#${index}`)),
    );
    expect(new Set(samples.map(({ completion }) => completion)).size).toBe(9); // every sample has draws of its own
    expect(samples.every(({ result }) => !result.infra && result.tests.length === 1)).toBe(true);
    expect(await host.list("run")).toEqual(["candidates.jsonl"]); // the partial file is gone
    const lines = (await host.readText(OPTIONS.path)).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(samples)));
  });

  test("the same seed gives the same samples, however many run at a time", async () => {
    const { samples } = await samplesOf(generators[1]);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
  });

  test("another seed and another stream give others", async () => {
    for (const other of [{ seed: 4 }, { streamBase: 1 << 20 }]) {
      const { samples } = await samplesOf(generators[1], memoryHost(), other);
      expect(samples.map(({ tokens }) => tokens)).not.toEqual(wanted.samples.map(({ tokens }) => tokens));
    }
  });

  test("a whole file is read back, without the model", async () => {
    const { samples, progress } = await samplesOf(generators[0], wanted.host, { maxNewTokens: 1 });
    expect(progress).toEqual([]);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
  });

  test("what a crash leaves, its last line cut short, is continued to the same samples", async () => {
    const lines = (await wanted.host.readText(OPTIONS.path)).split("\n");
    const left = lines.slice(0, 4).join("\n") + "\n" + lines[4].slice(0, 30);
    const host = memoryHost({ [`${OPTIONS.path}.partial`]: left });
    const { samples, progress } = await samplesOf(generators[1], host);
    expect(progress[0]).toBe(4);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
    expect(await host.list("run")).toEqual(["candidates.jsonl"]);
  });

  test("a stop keeps whole samples under another name; the next run goes on from them", async () => {
    const host = memoryHost();
    const stop = new AbortController();
    stop.abort();
    const run = rollout({ host, pool, generator: generators[0], tokenizer }, problems, OPTIONS, stop.signal);
    await expect((async () => {
      while (!(await run.next()).done);
    })()).rejects.toThrow(Stopped);
    expect(await host.list("run")).toEqual(["candidates.jsonl.partial"]);
    const { samples, progress } = await samplesOf(generators[1], host);
    expect(progress[0]).toBeGreaterThan(0);
    expect(progress[0]).toBeLessThan(9);
    expect(timeless(samples)).toEqual(timeless(wanted.samples));
  });

  test("a completion is cut where it leaves its function, ends with EOS and counts as finished", async () => {
    const text = "    return a + b\ndef other():\n    pass\n";
    const scripted: Generator = {
      eosId: 7, // the model's own, which need not be the tokenizer's
      async *run(requests) {
        yield await Promise.resolve(requests.map(() => ({ tokens: tokenizer.encode(text), finished: false })));
      },
      destroy() {},
    };
    const { samples } = await samplesOf(scripted);
    const [first] = samples;
    expect(first.completion).toBe("    return a + b\n");
    expect(first.tokens).toEqual([...tokenizer.encode("    return a + b\n"), 7]);
    expect(first.finished).toBe(true);
    expect(first.result.passed).toBe(true);
    expect(samples.every(({ result }) => result.passed)).toBe(true);
  });
});
