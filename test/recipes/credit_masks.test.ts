import { beforeAll, describe, expect, test } from "vitest";
import type { Sample } from "../../src/data/pairs.ts";
import { type Problem, programJob, programText } from "../../src/data/problem.ts";
import { decodeContinuation, loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { uniformStream } from "../../src/model/philox.ts";
import { loserWeights, type Mask, MASKS } from "../../src/recipes/credit_masks.ts";
import { completionSpans } from "../../src/recipes/token_spans.ts";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { testPool } from "../trace/helpers.ts";

const pool = testPool();
const tokenizers = new URL("../../../shared/data/tokenizers/", import.meta.url).pathname;
const stories = new URL("../../../shared/data/checkpoints/stories260K/", import.meta.url).pathname;
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(denoHost(), "models/micro");
});

const problem: Problem = {
  id: "p/1",
  dataset: "micro",
  split: "train",
  prompt: "def total(items, limit):\n",
  entryPoint: "total",
  canonicalSolution: null,
  tests: ["assert total([], 5) == 0", "assert total([1, 2], 5) == 3", "assert total([4, 4], 5) == 5"],
  testKind: "assert-list",
  codeMode: "completion",
};
const right = `    result = 0
    for item in items:
        result += item
    if result > limit:
        result = limit
    return result
`;
const wrong = right.replace("result = limit", "result = 0");
const crashing = `    result = 0
    for item in items:
        result += item
    if result > limit:
        result = missing  # é
    return result
`;

const results = new Map<string, Promise<ProgramResult>>();

async function sampleOf(code: string, index: number): Promise<Sample> {
  const result = await (results.get(code) ?? pool.run(programJob(problem, code, "deciding")));
  results.set(code, Promise.resolve(result));
  const tokens = [...tokenizer.encode(code), tokenizer.eosId];
  return { problemId: problem.id, index, completion: code, tokens, finished: true, result };
}

async function masked(mask: Mask, loser: string, winner = right, more: { like?: Mask; seed?: number } = {}) {
  const [good, bad] = [await sampleOf(winner, 0), await sampleOf(loser, 1)];
  const weights = await loserWeights(mask, { pool, tokenizer, problem, winner: good, loser: bad, seed: 1, ...more });
  expect(weights.length).toBe(bad.tokens.length);
  const spans = completionSpans(tokenizer, problem, bad);
  const bytes = new TextEncoder().encode(programText(problem, loser));
  const text = spans.map(([start, end], i) => weights[i] > 0 ? new TextDecoder().decode(bytes.slice(start, end)) : "");
  return { weights, text: text.join("") };
}

describe("byte spans of completion tokens", () => {
  test("make up the completion again, for every kind of tokenizer and for characters in several tokens", async () => {
    const code = "    naïve = '日本 😀'  # \u00e9\n\tif x:\n  return  naïve\n";
    const bytes = new TextEncoder().encode(programText(problem, code));
    const head = bytes.length - new TextEncoder().encode(code).length;
    const folders = ["starcoder2", "codellama", "llama2", "qwen2.5", "deepseek-coder", "gpt2", "roberta-base"];
    for (const folder of [...folders.map((name) => tokenizers + name), stories, "models/micro"]) {
      const words = await loadTokenizer(denoHost(), folder);
      if (words.decode(words.encode("日")) === "") continue; // a vocabulary without bytes drops the character
      const sample = { completion: code, index: 0, tokens: [...words.encode(code), words.eosId] };
      const text = words.decode(sample.tokens);
      const spans = completionSpans(words, problem, { ...sample, completion: text });
      const whole = new TextEncoder().encode(problem.prompt + text);
      expect(spans.length, folder).toBe(sample.tokens.length);
      expect(spans[0][0]).toBe(head);
      spans.forEach(([start, end], i) => {
        expect(start).toBe(i === 0 ? head : spans[i - 1][1]);
        expect(end).toBeGreaterThanOrEqual(start);
      });
      expect(spans.at(-1)).toEqual([whole.length, whole.length]);
      // A token of whole characters says itself what it is.
      let alone = 0;
      spans.forEach(([start, end], i) => {
        const own = words.decode([sample.tokens[i]]).trim();
        if (own === "" || own.includes("\ufffd")) return;
        expect(new TextDecoder().decode(whole.slice(start, end)).trim(), folder).toBe(own);
        alone++;
      });
      expect(alone, folder).toBeGreaterThan(8);
    }
  });

  test("are found for any ids a model may sample, special tokens and broken characters among them", async () => {
    for (const folder of [`${tokenizers}starcoder2`, `${tokenizers}codellama`, stories, "models/micro"]) {
      const words = await loadTokenizer(denoHost(), folder);
      const prompt = words.encode(problem.prompt);
      for (let seed = 0; seed < 20; seed++) {
        const random = uniformStream(seed, 1);
        const among = seed % 2 ? words.vocabSize : Math.min(400, words.vocabSize); // bytes and special tokens come first
        const tokens = Array.from({ length: 40 }, () => Math.floor(random() * among));
        const completion = decodeContinuation(words, prompt, tokens);
        const spans = completionSpans(words, problem, { completion, tokens, index: seed });
        expect(spans.length).toBe(40);
        expect(spans.at(-1)![1]).toBe(new TextEncoder().encode(problem.prompt + completion).length);
      }
    }
  });

  test("of tokens that are not the completion's are refused", () => {
    const sample = { completion: "    return 1\n", index: 3, tokens: tokenizer.encode("    return 2\n") };
    expect(() => completionSpans(tokenizer, problem, sample)).toThrow(
      /^Cannot place the tokens of p\/1#3: they decode to/,
    );
  });
});

describe("masks of the loser", () => {
  test("full has every token, none has none, and only full has the end token", async () => {
    expect((await masked("full", wrong)).weights.every((weight) => weight === 1)).toBe(true);
    expect((await masked("none", wrong)).weights.every((weight) => weight === 0)).toBe(true);
    for (const mask of MASKS) {
      const { weights } = await masked(mask, wrong);
      expect(weights.at(-1), mask).toBe(mask === "full" ? 1 : 0);
      expect(weights.every((weight) => weight >= 0 && weight <= 1), mask).toBe(true);
    }
  });

  test("diff, div and counterfactual find the one other line", async () => {
    for (const mask of ["diff", "div", "counterfactual"] as const) {
      expect((await masked(mask, wrong)).text.trim(), mask).toBe("result = 0");
    }
  });

  test("div-diff and slice-diff are what the trace accuses of the lines that differ", async () => {
    const other = wrong.replace("result += item", "result = result + item");
    for (const [mask, trace] of [["div-diff", "div"], ["slice-diff", "slice"]] as const) {
      const [both, accused, differs] = [
        await masked(mask, other),
        await masked(trace, other),
        await masked("diff", other),
      ];
      const product = accused.weights.map((weight, i) => weight * differs.weights[i]);
      const most = Math.max(...product);
      expect(most).toBeGreaterThan(0);
      expect(both.weights).toEqual(product.map((weight) => weight / most));
    }
    expect((await masked("slice-diff", other)).text.trim()).toMatch(/^result = result \+ item\s+result = 0$/);
  });

  test("exec leaves out what did not run, erring is the statement that raised", async () => {
    const idle = wrong.replace("    return", "    if limit < 0:\n        return -1\n    return");
    const { text } = await masked("exec", idle);
    expect(text).toContain("if limit < 0:");
    expect(text).not.toContain("return -1");
    expect((await masked("erring", crashing)).text.trim()).toBe("result = missing  # é");
    expect((await masked("erring", wrong)).text).toBe("");
  });

  test("slice and ochiai are graded, the most accused statement has 1", async () => {
    const slice = await masked("slice", wrong);
    expect(Math.max(...slice.weights)).toBe(1);
    expect(new Set(slice.weights).size).toBeGreaterThan(2);
    const ochiai = await masked("ochiai", wrong);
    // Only the failing test ran it.
    const most = ochiai.weights.map((weight, i) => weight === 1 ? i : -1).filter((i) => i >= 0);
    const { weights } = await masked("div", wrong);
    expect(most).toEqual(weights.map((weight, i) => weight === 1 ? i : -1).filter((i) => i >= 0));
  });

  test("a program that does not compile is accused at the line of its error", async () => {
    const broken = right.replace("result += item", "result += (item");
    for (const mask of ["div", "exec", "erring", "slice"] as const) {
      expect((await masked(mask, broken)).text.trim(), mask).toBe("result += (item");
    }
    expect((await masked("ochiai", broken)).text).toBe("");
  });

  test("the random masks have the size of what they imitate, follow the seed, and differ from it", async () => {
    for (const like of ["diff", "slice"] as const) {
      const own = (await masked(like, wrong)).weights;
      const sorted = (weights: number[]) => [...weights].sort();
      for (const mask of ["random-k", "random-line"] as const) {
        const first = (await masked(mask, wrong, right, { like })).weights;
        expect(sorted(first), mask).toEqual(sorted(own));
        expect((await masked(mask, wrong, right, { like })).weights).toEqual(first);
        expect((await masked(mask, wrong, right, { like, seed: 4 })).weights).not.toEqual(first);
      }
    }
    await expect(masked("random-k", wrong, right, { like: "random-line" })).rejects.toThrow(
      'Cannot make the mask random-k: like is "random-line", which has no size of its own',
    );
  });

  test("random-line takes whole lines but for the last one", async () => {
    const { weights, text } = await masked("random-line", wrong, right, { like: "exec", seed: 5 });
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    const whole = wrong.split("\n");
    expect(lines.filter((line) => !whole.includes(line)).length).toBeLessThanOrEqual(2);
    expect(weights.filter((weight) => weight > 0).length).toBeGreaterThan(5);
  });

  test("uniform: over many seeds every token is drawn about as often", async () => {
    const [winner, loser] = [await sampleOf(right, 0), await sampleOf(wrong, 1)];
    const given = { pool, tokenizer, problem, winner, loser, like: "diff" as const };
    const counts = loser.tokens.map(() => 0);
    const draws = 400;
    let size = 0;
    for (let seed = 0; seed < draws; seed++) {
      const weights = await loserWeights("random-k", { ...given, seed });
      size = weights.filter((weight) => weight > 0).length;
      weights.forEach((weight, i) => counts[i] += weight);
    }
    const expected = draws * size / (loser.tokens.length - 1);
    const spread = Math.sqrt(expected);
    for (const count of counts.slice(0, -1)) expect(Math.abs(count - expected)).toBeLessThan(5 * spread);
    expect(counts.at(-1)).toBe(0);
  });
});
