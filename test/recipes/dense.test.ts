import { beforeAll, describe, expect, test } from "vitest";
import type { Sample } from "../../src/data/pairs.ts";
import { type Problem, programJob, programText } from "../../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { creditWeights, DENSE, type Dense, denseCredit } from "../../src/recipes/dense.ts";
import type { Experience } from "../../src/recipes/rewards.ts";
import { completionSpans } from "../../src/recipes/token_spans.ts";
import { testPool } from "../trace/helpers.ts";

const pool = testPool();
let tokenizer: Tokenizer;
let batch: Experience[];

const problem = (id: string, entryPoint: string, tests: string[]): Problem => ({
  id,
  dataset: "micro",
  split: "train",
  prompt: `def ${entryPoint}(items, limit):\n`,
  entryPoint,
  canonicalSolution: null,
  tests,
  testKind: "assert-list",
  codeMode: "completion",
});
const first = problem("p/1", "total", ["assert total([], 5) == 0", "assert total([1, 2], 5) == 3"]);
const second = problem("p/2", "most", ["assert most([1, 4], 0) == 4", "assert most([-1], 0) == 0"]);
const alone = problem("p/3", "none", ["assert none([1], 0) is None"]);

const right = "    result = 0\n    for item in items:\n        result += item\n    return result\n";
const largest =
  "    best = limit\n    for item in items:\n        if item > best:\n            best = item\n    return best\n";

async function experience(problem: Problem, code: string, index: number, finished = true): Promise<Experience> {
  const result = await pool.run(programJob(problem, code, "deciding"));
  const tokens = tokenizer.encode(code);
  const sample: Sample = {
    problemId: problem.id,
    index,
    completion: code,
    tokens: finished ? [...tokens, tokenizer.eosId] : tokens,
    finished,
    result,
  };
  return { problem, sample, trace: "" };
}

beforeAll(async () => {
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
  batch = [
    await experience(first, right, 0),
    await experience(first, right.replace("+= item", "-= item"), 1),
    await experience(second, largest, 0),
    await experience(second, largest.replace("best = item", "best = missing"), 1),
    await experience(second, largest.replace("item > best", "item < best"), 2, false),
    await experience(alone, "    return 1\n", 0),
  ];
  expect(batch.map(({ sample }) => sample.result.passed)).toEqual([true, false, true, false, false, false]);
});

const credit = (kind: Dense, more: { kappa?: number; seed?: number; reference?: boolean } = {}) =>
  denseCredit(kind, { pool, tokenizer, seed: 1, kappa: 0.5, ...more })(batch);

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The text of the tokens with more than the mean weight. */
function heavy({ problem, sample }: Experience, weights: readonly number[]): string {
  const bytes = new TextEncoder().encode(programText(problem, sample.completion));
  return completionSpans(tokenizer, problem, sample)
    .map(([start, end], i) => weights[i] > 1 ? new TextDecoder().decode(bytes.slice(start, end)) : "").join("").trim();
}

describe("dense credit", () => {
  test("none leaves every sample as it is, and the others those that pass or have no passing sibling", async () => {
    for (const kind of DENSE) {
      const found = await credit(kind);
      expect(found.length).toBe(batch.length);
      if (kind === "none") expect(found.every((each) => each === null)).toBe(true);
      expect(found[5], kind).toBe(null);
      if (kind !== "potential") expect([found[0], found[2]], kind).toEqual([null, null]);
    }
  });

  test("weights have mean 1 whatever the kind, lie above 1 - kappa, and are 1 with kappa 0", async () => {
    for (const kind of DENSE.filter((kind) => kind !== "none" && kind !== "potential")) {
      for (const kappa of kind === "executed" ? [0, 0.5, 1] : [0.5]) {
        const found = await credit(kind, { kappa });
        found.forEach((each, i) => {
          if (!each) return;
          const weights = each.weights!;
          expect(each.rewards).toBe(undefined);
          expect(weights.length).toBe(batch[i].sample.tokens.length);
          expect(mean(weights), kind).toBeCloseTo(1, 12);
          expect(Math.min(...weights)).toBeGreaterThanOrEqual(1 - kappa - 1e-12);
          if (kappa === 0) expect(weights.every((weight) => weight === 1)).toBe(true);
        });
        expect(found.filter((each) => each).length).toBeGreaterThan(kind === "erring" ? 0 : 1);
      }
    }
    expect(() => denseCredit("slice", { pool, tokenizer, seed: 1, kappa: 2 })).toThrow(
      "Cannot weigh tokens: kappa is 2, expected 0 to 1",
    );
  });

  test("falls on the statement that the trace accuses", async () => {
    const diverging = await credit("diverging");
    expect(heavy(batch[1], diverging[1]!.weights!)).toBe("result -= item");
    expect(heavy(batch[3], (await credit("erring"))[3]!.weights!)).toBe("best = missing");
    expect((await credit("erring"))[1]).toBe(null);
    expect(heavy(batch[3], (await credit("executed"))[3]!.weights!)).not.toContain("return");
    expect(heavy(batch[1], (await credit("slice"))[1]!.weights!)).toContain("result -= item");
  });

  test("random has the same weights elsewhere, shuffled those of another program, both by the seed", async () => {
    const own = await credit("diverging");
    const random = await credit("random");
    for (const i of [1, 3, 4]) {
      expect([...random[i]!.weights!].sort()).toEqual([...own[i]!.weights!].sort());
      if (batch[i].sample.finished) expect(random[i]!.weights!.at(-1)).toBe(own[i]!.weights!.at(-1));
    }
    expect(random).not.toEqual(own);
    expect(await credit("random")).toEqual(random);
    expect(await credit("random", { seed: 2 })).not.toEqual(random);
    const shuffled = await credit("shuffled");
    expect(await credit("shuffled")).toEqual(shuffled);
    for (const i of [1, 3, 4]) expect(shuffled[i], `${i}`).not.toEqual(own[i]);
  });

  test("the only sample with credit gets none from others", async () => {
    const few = batch.slice(0, 2);
    const [, found] = await denseCredit("shuffled", { pool, tokenizer, seed: 1, kappa: 0.5 })(few);
    expect(found).toBe(null);
  });

  test("potential rewards sum to nothing, for passing samples as for failing ones, and fall at the wrong line", async () => {
    const found = await credit("potential");
    for (const i of [0, 1, 2, 3, 4]) {
      const rewards = found[i]!.rewards!;
      expect(found[i]!.weights).toBe(undefined);
      expect(rewards.length).toBe(batch[i].sample.tokens.length);
      expect(Math.abs(rewards.reduce((sum, reward) => sum + reward, 0))).toBeLessThan(1e-9);
      expect(rewards.some((reward) => reward !== 0)).toBe(true);
    }
    const gained = (i: number) => found[i]!.rewards!.slice(0, -1).reduce((sum, reward) => sum + Math.max(reward, 0), 0);
    expect(gained(0)).toBeGreaterThan(gained(1));
    // The last statement is over with the last token but one; the rest takes all of it back.
    expect(found[0]!.rewards!.at(-1)).toBeCloseTo(-1, 12);
  });

  test("with reference on, a problem that nobody solves is compared with its own solution", async () => {
    const solved = { ...alone, canonicalSolution: "    return None\n" };
    const silent = [{ ...batch[5], problem: solved }];
    const given = { pool, tokenizer, seed: 1, kappa: 0.5 };
    expect(await denseCredit("potential", given)(silent)).toEqual([null]);
    const [found] = await denseCredit("potential", { ...given, reference: true })(silent);
    expect(found!.rewards!.length).toBe(silent[0].sample.tokens.length);
  });
});

test("weights are 1 + kappa (c / mean - 1)", () => {
  expect(creditWeights([0, 1, 3], 0.5)).toEqual([0.5, 0.875, 1.625]);
  expect(creditWeights([0, 0], 0.5)).toBe(null);
});
