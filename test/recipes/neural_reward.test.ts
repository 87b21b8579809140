// From samples to scores: the parts a reward model reads, pairs by kind, and the reward of on-policy recipes.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import type { Pair, Sample } from "../../src/data/pairs.ts";
import { type Problem, programJob } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { neuralReward } from "../../src/recipes/neural_reward.ts";
import { REWARD, type RewardConfig, type RewardModel, startRewardNetwork } from "../../src/recipes/reward_model.ts";
import { rewardParts, rewardTokens, withoutMiddle } from "../../src/recipes/reward_input.ts";
import { rewardPairs, sameTest } from "../../src/recipes/reward_pairs.ts";
import { normalisation } from "../../src/recipes/reward_report.ts";
import { createRewardScorer } from "../../src/recipes/reward_step.ts";
import type { Experience } from "../../src/recipes/rewards.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";

let gpu: Gpu;
let pool: Pool;
let tokenizer: Tokenizer;
let samples: Sample[];
beforeAll(async () => {
  gpu = await openGpu();
  const host = denoHost();
  pool = createPool(() => host.spawnArena(), { size: 1, spares: 0 });
  tokenizer = await loadTokenizer(host, "models/micro");
  samples = await Promise.all(COMPLETIONS.map(async (completion, index): Promise<Sample> => ({
    problemId: PROBLEM.id,
    index,
    completion,
    tokens: tokenizer.encode(completion),
    finished: true,
    result: await pool.run({ ...programJob(PROBLEM, completion, "deciding"), streams: true }),
  })));
});
afterAll(() => {
  pool.close();
  gpu.close();
});

const PROBLEM: Problem = {
  id: "sum",
  dataset: "test",
  split: "train",
  prompt: 'def add_up(xs):\n    """Return the sum of xs."""\n',
  entryPoint: "add_up",
  canonicalSolution: null,
  tests: ["assert add_up([1, 2]) == 3", "assert add_up([]) == 0", "assert add_up([5]) == 5"],
  testKind: "assert-list",
  codeMode: "completion",
};
/** Right; wrong; wrong in fewer tests; a crash; no Python; a recursion without end. */
const COMPLETIONS = [
  "    total = 0\n    for x in xs:\n        total += x\n    return total\n",
  "    return len(xs)\n",
  "    return xs[0] + xs[-1] if len(xs) > 1 else sum(xs) + 1\n",
  "    return xs[0] + xs[1]\n",
  "    return ((\n",
  "    return xs[0] + add_up(xs)\n",
];
const CONFIG: RewardConfig = {
  ...REWARD,
  budgets: { prompt: 40, code: 15, trace: 60 },
  width: 16,
  layers: 1,
  heads: 2,
};
const layoutOf = (includeOutcome: boolean) => ({ budgets: CONFIG.budgets, includeOutcome });
const textOf = (tokens: readonly number[]) => tokenizer.decode([...tokens]);

describe("what a reward model reads", () => {
  test("the outcome is the last line of a trace, or nowhere", () => {
    for (const sample of samples) {
      const shown = textOf(rewardParts(tokenizer, PROBLEM, sample, layoutOf(true)).trace);
      expect(shown).toMatch(sample.result.passed ? /Test Result: PASS\n$/ : /Test Result: FAIL\n$/);
      expect(textOf(rewardParts(tokenizer, PROBLEM, sample, layoutOf(false)).trace)).not.toContain("Test Result");
    }
  });

  test("no part is longer than its budget, and the last event of a trace stays in it", () => {
    for (const sample of samples) {
      const parts = rewardParts(tokenizer, PROBLEM, sample, layoutOf(false));
      for (const name of ["prompt", "code", "trace"] as const) {
        expect(parts[name].length, name).toBeLessThanOrEqual(CONFIG.budgets[name]);
      }
      expect(textOf(parts.trace)).toMatch(/(return: .*|Error.*)\n$/);
    }
    expect(tokenizer.encode(COMPLETIONS[0]).length, "one code is longer").toBeGreaterThan(CONFIG.budgets.code);
  });

  test("what is too long loses its middle", () => {
    expect(withoutMiddle([1, 2, 3, 4, 5, 6], 3)).toEqual([1, 2, 6]);
    expect(withoutMiddle([1, 2], 2)).toEqual([1, 2]);
    expect(withoutMiddle([1, 2], 0)).toEqual([]);
  });

  test("parts stand between separators, and one without a budget is not there", () => {
    const parts = { prompt: [10, 11], code: [12], trace: [] };
    const { bosId, eosId } = tokenizer;
    expect(rewardTokens(parts, tokenizer, CONFIG)).toEqual([bosId, 10, 11, eosId, 12, eosId, eosId]);
    const bare = { budgets: { prompt: 2, code: 1, trace: 0 }, includeOutcome: true };
    expect(rewardTokens(parts, { bosId: null, eosId }, bare)).toEqual([10, 11, eosId, 12, eosId]);
  });
});

describe("pairs for a reward model", () => {
  const made = (chosen: number, rejected: number): Pair =>
    ({ problemId: "sum", chosen, rejected, reason: "fraction", margin: 0.25 }) as Pair;

  test("are told apart by whether both fail, and whether in the same way", () => {
    const pairs = rewardPairs(tokenizer, [PROBLEM], samples, [made(0, 1), made(2, 1), made(1, 3)], layoutOf(true));
    expect(pairs.map(({ stratum }) => stratum)).toEqual([
      "pass/fail",
      "fail/fail same class",
      "fail/fail different class",
    ]);
    expect(pairs[0].margin).toBe(0.25);
    expect(() => rewardPairs(tokenizer, [PROBLEM], samples, [made(0, 9)], layoutOf(true))).toThrow(
      "Cannot make a reward pair: sum#0 over #9 is not among what is given",
    );
  });

  test("on one test show the same call, on their own deciding tests they need not", async () => {
    const pairs = [made(0, 3)]; // the crash passes the first test and fails the second
    const call = (tokens: readonly number[]) => textOf(tokens).match(/call: (.*)/)?.[1];
    const roomy = { budgets: { ...CONFIG.budgets, trace: 200 }, includeOutcome: false };
    const [own] = rewardPairs(tokenizer, [PROBLEM], samples, pairs, roomy);
    expect([call(own.chosen.trace), call(own.rejected.trace)]).toEqual(["xs=[1, 2]", "xs=[]"]);
    const shown = await sameTest(pool, [PROBLEM], samples, pairs);
    const [same] = rewardPairs(tokenizer, [PROBLEM], samples, pairs, roomy, shown);
    expect([call(same.chosen.trace), call(same.rejected.trace)]).toEqual(["xs=[]", "xs=[]"]);
  });
});

describe("a reward model as a reward", () => {
  let model: RewardModel;
  let raw: Float32Array;
  beforeAll(async () => {
    const network = await startRewardNetwork(memoryHost(), gpu, CONFIG, tokenizer);
    const layout = layoutOf(true);
    const scorer = createRewardScorer(network, 4, tokenizer.padId);
    raw = await scorer.score(
      samples.map((sample) => rewardTokens(rewardParts(tokenizer, PROBLEM, sample, layout), tokenizer, layout)),
    );
    scorer.destroy();
    model = { network, layout, ...normalisation(raw), temperature: 1 };
  });
  const experiences = (): Experience[] => samples.map((sample) => ({ problem: PROBLEM, sample, trace: "" }));

  test("gives normalised scores in order, whatever the batch", async () => {
    const reward = neuralReward({ model, tokenizer, batch: 2, clamp: false });
    const scores = await reward(experiences());
    scores.forEach((score, i) => expect(score).toBeCloseTo(model.gain * raw[i] + model.bias, 5));
    expect(scores.reduce<number>((sum, score) => sum + score!, 0)).toBeCloseTo(0, 4);
    const back = await reward(experiences().reverse());
    back.reverse().forEach((score, i) => expect(score).toBeCloseTo(scores[i]!, 5));
    reward.destroy();
  });

  test("clamped, a pass is 1 and no failing program gets past 0.9", async () => {
    const high = neuralReward({ model: { ...model, gain: 1, bias: 100 }, tokenizer });
    expect(await high(experiences())).toEqual([1, 0.9, 0.9, 0.9, 0.9, 0.9]);
    const low = neuralReward({ model: { ...model, gain: 1, bias: -100 }, tokenizer });
    const scores = await low(experiences());
    expect(scores[0]).toBe(1);
    scores.slice(1).forEach((score) => expect(score).toBeLessThan(-50));
    high.destroy();
    low.destroy();
  });

  test("a pass that never stopped is none, and where the machinery failed nothing is said", async () => {
    const [first, second, ...rest] = experiences();
    const cut = { ...first, sample: { ...first.sample, finished: false } };
    const broken = { ...second, sample: { ...second.sample, result: { ...second.sample.result, infra: true } } };
    const reward = neuralReward({ model: { ...model, gain: 1, bias: 100 }, tokenizer });
    expect(await reward([cut, broken, ...rest])).toEqual([0.9, null, 0.9, 0.9, 0.9, 0.9]);
    expect(await reward([])).toEqual([]);
    reward.destroy();
  });
});
