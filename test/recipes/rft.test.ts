import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import type { Host } from "../../src/host/host.ts";
import { denoHost } from "../../src/host/deno.ts";
import type { Sample } from "../../src/data/pairs.ts";
import type { Problem } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import {
  matchedSteps,
  passingSamples,
  referenceRows,
  rftRows,
  sampleSequences,
  silentProblems,
} from "../../src/recipes/rft.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { promptTokens } from "../../src/recipes/sequences.ts";
import { SFT, trainSft } from "../../src/recipes/sft.ts";
import { interrupted } from "./interrupted.ts";
import { checkpointHashes, metricsOf, tinyAdapted, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
let tokenizer: Tokenizer;
beforeAll(async () => {
  gpu = await openGpu();
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
});
afterAll(() => gpu.close());

function sample(problemId: string, index: number, completion: string, change: Partial<Sample["result"]> = {}): Sample {
  const passed = change.passed ?? true;
  return {
    problemId,
    index,
    completion,
    tokens: [10 + index, 11, 2],
    finished: true,
    result: {
      id: `${problemId}#${index}`,
      stage: "run",
      verdict: passed ? "pass" : "wrong_answer",
      passed,
      tests: [],
      testsPassed: Number(passed),
      testsTotal: 1,
      steps: 3,
      infra: false,
      elapsedMs: 1,
      ...change,
    },
  };
}
const named = (samples: readonly Sample[]) => samples.map(({ problemId, index }) => `${problemId}${index}`);
const problem = (id: string, canonicalSolution: string | null): Problem => ({
  id,
  dataset: "p",
  split: "train",
  prompt: `def ${id}(x):\n`,
  entryPoint: id,
  canonicalSolution,
  tests: [`assert ${id}(1) == 1`],
  testKind: "assert-list",
  codeMode: "completion",
});

describe("passing samples", () => {
  test("are distinct programs, the first of each, at most so many of a problem", () => {
    const samples = [
      sample("b", 3, "    return x"),
      sample("a", 2, "    return x + 0"),
      sample("a", 0, "    return x  # as it is"),
      sample("a", 1, "    return x\n"), // the same program as a0
      sample("a", 4, "    return +x"),
      sample("a", 3, "    return 7", { passed: false }),
    ];
    expect(named(passingSamples(samples, 8))).toEqual(["b3", "a0", "a2", "a4"]);
    expect(named(passingSamples(samples, 2))).toEqual(["b3", "a0", "a2"]);
    expect(named(passingSamples(samples, 1))).toEqual(["b3", "a0"]);
    expect(() => passingSamples(samples, 0)).toThrow("Cannot select samples: 0 of each problem");
  });

  test("were finished, judged by sound machinery, and passed every time they ran", () => {
    const samples = [
      { ...sample("a", 0, "    return x"), finished: false }, // a copy below was finished
      sample("a", 1, "    return x"),
      { ...sample("a", 2, "    return +x"), finished: false },
      sample("a", 3, "    return -(-x)", { infra: true }),
      sample("a", 4, "    return x + random()", { flaky: true }),
      sample("a", 5, "    return hash(x)"),
      sample("a", 6, "    return hash(x)", { passed: false }), // once so, once so
      sample("a", 7, "    return hash(x)  # spoiled", { infra: true, passed: false }),
    ];
    expect(named(passingSamples(samples, 8))).toEqual(["a1"]);
  });
});

describe("the data of RFT", () => {
  const problems = [problem("a", "    return x"), problem("b", "    return 2 * x"), problem("c", null)];
  const samples = [
    sample("a", 0, "    return x"),
    sample("a", 1, "    return +x"),
    sample("b", 0, "    return x", { passed: false }),
    sample("c", 0, "    return x", { passed: false }),
  ];

  test("are the sampled tokens behind their prompts", () => {
    const { sequences, own, references } = rftRows(tokenizer, problems, samples, {
      perProblem: 4,
      silent: false,
      longest: 256,
    });
    const prompt = promptTokens(tokenizer, "def a(x):\n");
    expect(sequences).toEqual([10, 11].map((token) => ({
      tokens: [...prompt, token, 11, 2],
      promptLength: prompt.length,
    })));
    expect({ own, references }).toEqual({ own: 2, references: 0 });
    expect(() => sampleSequences(tokenizer, [], samples)).toThrow("Cannot join a sample to its prompt");
  });

  test("where no sample passes the reference solution stands in, if there is one", () => {
    expect(silentProblems(problems, samples).map(({ id }) => id)).toEqual(["b", "c"]);
    const options = { perProblem: 1, silent: true, longest: 256 };
    const { sequences, own, references, left } = rftRows(tokenizer, problems, samples, options);
    expect({ own, references, left }).toEqual({ own: 1, references: 1, left: { missing: 1, tooLong: 0 } });
    const { tokens, promptLength } = sequences[1];
    expect(tokenizer.decode(tokens.slice(promptLength, -1))).toBe("    return 2 * x");
    expect(tokens.at(-1)).toBe(tokenizer.eosId);
  });

  test("reference solutions that the model has no room for are left out and counted", () => {
    const all = referenceRows(tokenizer, problems, 256);
    expect(all.left).toEqual({ missing: 1, tooLong: 0 });
    const longest = Math.min(...all.sequences.map(({ tokens }) => tokens.length - 1));
    const some = referenceRows(tokenizer, problems, longest);
    expect(some.left).toEqual({ missing: 1, tooLong: 1 });
    expect(some.sequences).toEqual(all.sequences.filter(({ tokens }) => tokens.length - 1 <= longest));
  });
});

test("matched steps pass as many positions as those of pairs", () => {
  const sequence = (positions: number) => ({ tokens: new Array<number>(positions + 1).fill(3), promptLength: 2 });
  const pairs = [{ chosen: sequence(40), rejected: sequence(60) }, { chosen: sequence(44), rejected: sequence(56) }];
  const sequences = [sequence(30), sequence(50)];
  expect(matchedSteps(100, pairs, pairs.map(({ chosen }) => ({ ...chosen, tokens: sequence(50).tokens })))).toBe(100);
  const steps = matchedSteps(100, pairs, sequences); // 50 positions against 40
  expect(steps).toBe(125);
  expect(steps * 40).toBe(100 * 50);
  expect(() => matchedSteps(100, pairs, [])).toThrow("Cannot match steps: 2 pairs and 0 sequences");
});

describe("fine-tuning on what was selected, stopped and cut off at random steps, ends in the same bits", () => {
  const model = { V: 1024, maxPositions: 64 };
  test.each<[string, () => Policy]>([
    ["all weights", () => whole(tinyLlama(gpu, 1, model))],
    ["adapters", () => tinyAdapted(gpu, 1, model)],
  ])("%s", async (_, policyOf) => {
    const problems = ["a", "b", "c"].map((id) => problem(id, `    return ${id} * x`));
    const samples = [0, 1, 2].map((i) => sample("a", i, `    return x + ${i}`));
    const { sequences } = rftRows(tokenizer, problems, samples, { perProblem: 2, silent: true, longest: 64 });
    expect(sequences.length).toBe(4);
    const config = { ...SFT, steps: 11, batchSize: 3, microBatch: 2, warmup: 0, logEvery: 3, checkpointEvery: 3 };
    const run = (host: Host, signal?: AbortSignal) => {
      const given = { host, policy: policyOf(), sequences, padId: tokenizer.padId, checkpoints: "run" };
      return trainSft({ ...config, learningRate: 0.003 }, given, signal);
    };
    const [straight, broken] = [memoryHost(), memoryHost()];
    await metricsOf(run(straight));
    const counts = await interrupted((signal) => run(broken, signal), 5);
    expect(Math.min(counts.crashes, counts.stops)).toBeGreaterThan(0);
    expect(await checkpointHashes(broken, "run", 11)).toEqual(await checkpointHashes(straight, "run", 11));
  });
});
