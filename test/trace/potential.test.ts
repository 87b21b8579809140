import { describe, expect, test } from "vitest";
import { gae } from "../../src/loss/advantages.ts";
import { uniformStream } from "../../src/model/philox.ts";
import type { ByteSpan } from "../../src/trace/credit.ts";
import { potentialsBefore, prefixPotential, shapedRewards, statementPrefixes } from "../../src/trace/potential.ts";
import { statementTable } from "../../src/trace/statements.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();
const right = `def f(items, limit):
    total = 0
    for item in items:
        total += item
    if total > limit:
        total = limit
    return total
`;
const tests = ["assert f([3, 1], 9) == 4", "assert f([5, 6], 9) == 9"];
const run = (program: string) =>
  pool.run(asserts(program, "f", tests, { streams: true, limits: { stepsPerTest: 2000 } }));
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe("the prefixes of a function", () => {
  test("end behind its statements and are programs that return None", async () => {
    const prefixes = await statementPrefixes(pool, right, "f");
    expect(prefixes.map(({ end }) => right.slice(0, end).split("\n").at(-1))).toEqual([
      "    total = 0",
      "        total += item",
      "        total = limit",
      "    return total",
    ]);
    for (const { text, end } of prefixes) {
      expect(text).toBe(`${right.slice(0, end)}\n    return None\n`);
      expect((await run(text)).stage).toBe("run");
    }
  });

  test("of a program that does not compile are those before the error; of another function none", async () => {
    const broken = right.replace("return total", "return total)");
    expect((await statementPrefixes(pool, broken, "f")).length).toBe(3);
    expect(await statementPrefixes(pool, right, "g")).toEqual([]);
    expect(await statementPrefixes(pool, "def f(:\n", "f")).toEqual([]);
  });

  test("a program nested too deeply for any parser has none, and its statements are its lines", async () => {
    const deep = `def f(x):\n    return x${".a".repeat(20_000)}\n`;
    expect(await statementPrefixes(pool, deep, "f")).toEqual([]);
    const { statements } = await statementTable(pool, deep);
    expect(statements.map(({ kind }) => kind)).toEqual(["Line", "Line"]);
  });

  test("are found in methods, on one line, behind a docstring of several bytes a character, and in a module", async () => {
    const method = 'class Solution:\n  def f(self, x):\n    """é"""\n    y = x\n    return y\n';
    const found = await statementPrefixes(pool, method, "f");
    const bytes = new TextEncoder().encode(method);
    expect(found.map(({ end }) => new TextDecoder().decode(bytes.slice(0, end)).split("\n").at(-1))).toEqual([
      '    """é"""',
      "    y = x",
      "    return y",
    ]);
    expect(found[1].text.endsWith("    y = x\n    return None\n")).toBe(true);
    expect((await statementPrefixes(pool, "def f(x): y = x; return y\n", "f")).map(({ text }) => text)).toEqual([
      "def f(x): y = x; return None\n",
      "def f(x): y = x; return y; return None\n",
    ]);
    expect((await statementPrefixes(pool, "a = 1\nprint(a)\n", "")).map(({ text }) => text)).toEqual([
      "a = 1",
      "a = 1\nprint(a)",
    ]);
  });

  test("a prefix of the passing program has the more potential the longer it is, and falls no more behind a wrong line", async () => {
    const passing = await run(right);
    const potentials = async (program: string) =>
      await Promise.all(
        (await statementPrefixes(pool, program, "f")).map(async ({ text }) =>
          prefixPotential(await run(text), passing)
        ),
      );
    const own = await potentials(right);
    expect(own.at(-1)).toBe(1);
    own.slice(1).forEach((potential, k) => expect(potential).toBeGreaterThanOrEqual(own[k]));
    expect(own[0]).toBeGreaterThan(0);
    const wrong = await potentials(right.replace("total += item", "total -= item"));
    expect(wrong[0]).toBe(own[0]);
    expect(wrong[1]).toBeLessThan(own[1]);
    expect(new Set(wrong.slice(1)).size).toBe(1);
  });
});

describe("shaped rewards", () => {
  /** Random tokens over a text of 40 bytes, statements that end in it, potentials. */
  function random(seed: number) {
    const draw = uniformStream(seed, 0);
    const spans: ByteSpan[] = [];
    for (let at = 10; at < 40;) {
      const end = Math.min(40, at + Math.floor(draw() * 4));
      spans.push([at, end]);
      at = end;
    }
    spans.push([40, 40]); // the end token
    const ends = [5, 14, 21, 30, 40].filter(() => draw() < 0.8);
    return { spans, ends, potentials: ends.map(() => draw()), draw };
  }

  test("sum to nothing, so that the sum with the original reward is the original", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { spans, ends, potentials, draw } = random(seed);
      const rewards = shapedRewards(spans, ends, potentials);
      const original = draw();
      expect(Math.abs(sum(rewards.map((reward, i) => reward + (i === rewards.length - 1 ? original : 0))) - original))
        .toBeLessThan(1e-6);
    }
  });

  test("change advantages with lambda = 1 by exactly minus the potential of what stood before", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { spans, ends, potentials, draw } = random(seed);
      const shaped = shapedRewards(spans, ends, potentials);
      const before = potentialsBefore(spans, ends, potentials);
      const [rewards, values] = [spans.map(() => draw()), spans.map(() => draw())];
      const plain = gae(rewards, values, 1, 1);
      const other = gae(rewards.map((reward, i) => reward + shaped[i]), values, 1, 1);
      other.advantages.forEach((advantage, i) => expect(advantage).toBeCloseTo(plain.advantages[i] - before[i], 10));
    }
  });

  test("move credit to statements with lambda below 1: it rises at the one that made progress", () => {
    const spans: ByteSpan[] = [[0, 4], [4, 8], [8, 12], [12, 16], [16, 16]];
    const shaped = shapedRewards(spans, [4, 8, 12, 16], [0.25, 0.25, 0.75, 0.75]);
    expect(shaped).toEqual([0.25, 0, 0.5, 0, -0.75]);
    const { advantages } = gae(shaped, [0, 0, 0, 0, 0], 1, 0.5);
    expect(advantages[2]).toBeGreaterThan(advantages[1]);
    expect(advantages[2]).toBeGreaterThan(advantages[3]);
  });

  test("a statement in the prompt and a prefix that could not be run change nothing", () => {
    const spans: ByteSpan[] = [[10, 14], [14, 18], [18, 18]];
    expect(shapedRewards(spans, [6, 14, 18], [0.9, NaN, 0.5])).toEqual([0, 0.5, -0.5]);
    expect(shapedRewards([], [], [])).toEqual([]);
    expect(() => shapedRewards(spans, [14], [])).toThrow("Cannot shape rewards: 1 statements, but 0 potentials");
  });

  // The bandit of the closed forms, drawn as two-token answers whose first token is a statement with a potential of its own.
  test("leave the best policy of a bandit where it is, which rewards of the same size that do not telescope move", () => {
    const reward = [1, 0, -1];
    const beta = 1;
    const expected = [0.665241, 0.244728, 0.090031];
    const climb = (bonus: number[]) => {
      const logits = [0, 0, 0];
      for (let step = 0; step < 4000; step++) {
        const most = Math.max(...logits);
        const weights = logits.map((logit) => Math.exp(logit - most));
        const policy = weights.map((weight) => weight / sum(weights));
        // Exact gradient of E[r + bonus] - beta KL(policy || uniform).
        const gains = policy.map((p, a) => reward[a] + bonus[a] - beta * Math.log(p * 3));
        const mean = sum(gains.map((gain, a) => gain * policy[a]));
        gains.forEach((gain, a) => logits[a] += 0.5 * policy[a] * (gain - mean));
      }
      const weights = logits.map(Math.exp);
      return weights.map((weight) => weight / sum(weights));
    };
    const spans: ByteSpan[] = [[0, 3], [3, 3]];
    const potentials = [0.1, 0.9, 0.6];
    const shaped = potentials.map((potential) => sum(shapedRewards(spans, [3], [potential])));
    climb(shaped).forEach((p, a) => expect(p).toBeCloseTo(expected[a], 4));
    const raw = climb(potentials);
    expect(Math.abs(raw[0] - expected[0])).toBeGreaterThan(0.1);
  });
});
