import { describe, expect, test } from "vitest";
import {
  benchOrder,
  type Comparator,
  mutantCounts,
  type MutantRun,
  type ProblemRuns,
} from "../../src/eval/order_bench.ts";
import { orderBenchTable } from "../../src/eval/order_bench_table.ts";
import { comparatorOf, stepBudget } from "../../src/recipes/order_bench.ts";
import type { Outcome } from "../../src/trace/schema.ts";

const letters: Record<string, Outcome> = { P: "PASS", W: "WRONG", E: "EXC", F: "FUEL" };

/** `PW` passes its first test and gets the second wrong. */
function run(outcomes: string, steps = 5, agreement = 0.5): MutantRun {
  const shares = [...outcomes].map(() => agreement);
  return {
    stage: "run",
    passed: /^P+$/.test(outcomes),
    outcomes: [...outcomes].map((letter) => letters[letter]),
    steps,
    agreement: shares,
    prefix: shares,
    rank: steps,
    infra: false,
  };
}

function problem(name: string, runs: MutantRun[], chains: number[][], extra: Partial<ProblemRuns> = {}): ProblemRuns {
  const padded = Object.fromEntries(
    runs.map((one, i) => [i, { counting: { ...one, steps: one.steps + 102 }, quiet: one }]),
  );
  return { problem: name, budget: 2000, chains, runs, padded, tripled: {}, ...extra };
}

const steps = comparatorOf({ name: "steps alone", components: ["pass", "steps"] });

describe("counts", () => {
  // a chain of three failures, one with a pass in front, one whose links are equal in tests passed
  const all = [
    problem("a", [run("PPW"), run("PWW", 9), run("EEE", 2)], [[0, 1, 2]]),
    problem("b", [run("PPP"), run("WWW"), run("FWW", 2000)], [[0, 1, 2]]),
    problem("c", [], [], { dropped: "no reference solution" }),
  ];

  test("pairs are two failing links of one chain, and passing ones are counted apart", () => {
    expect(mutantCounts(all)).toEqual({
      problems: 2,
      dropped: { c: "no reference solution" },
      programs: 6,
      oneEdit: { programs: 2, pass: 1, wrong: 1, crash: 0, fuel: 0, other: 0 },
      nestedPairs: 4,
      independentPairs: 0, // there is no other chain
    });
  });

  test("an order is right where it prefers the link with fewer edits", () => {
    const { nested, byRule } = benchOrder(comparatorOf("frac"), all, 1);
    expect(nested).toMatchObject({ pairs: 4, agree: 3, disagree: 0, ties: 1, incomparable: 0 });
    expect(nested.precision!.value).toBe(1);
    expect(byRule).toEqual({ fraction: { decided: 3, agree: 3 } });
    // 5 against 9, 5 against 2, 9 against 2 and 5 against 2000 steps
    const raw = benchOrder(steps, all, 1);
    expect(raw.nested).toMatchObject({ agree: 2, disagree: 2, ties: 0 });
    expect(raw.nested.precision).toMatchObject({ value: 0.5 });
  });

  test("strata go by how the two end", () => {
    const { strata } = benchOrder(steps, all, 1);
    const pairs = Object.fromEntries(Object.entries(strata).map(([name, tally]) => [name, tally.pairs]));
    expect(pairs).toEqual({ "both crash": 0, "both wrong": 1, "one out of steps": 1, "any out of steps": 1 });
    expect(strata["both crash"].precision).toBe(null);
  });

  test("padding the worse program turns an order that goes by steps, and no other", () => {
    const padded = (name: Comparator) => benchOrder(name, all, 1).worsePreferred;
    expect(padded(steps)).toEqual({ plain: 0.5, counting: 1, quiet: 0.5 });
    expect(padded(comparatorOf("eta"))).toEqual({ plain: 0, counting: 0, quiet: 0 });
  });

  test("more steps for a program out of steps: counted where the preference changes", () => {
    const finished = [
      all[0],
      problem("b", all[1].runs, all[1].chains, { tripled: { 2: run("PWW", 4000) } }),
    ];
    expect(benchOrder(comparatorOf("frac"), finished, 1).budget).toEqual({ pairs: 1, changed: 1 });
    expect(benchOrder(comparatorOf("binary"), finished, 1).budget).toEqual({ pairs: 1, changed: 0 });
  });
});

test("independent pairs are a first link against the third of the next three chains", () => {
  const runs = ["PPW", "PWW", "WWW"].flatMap((outcomes) => Array.from({ length: 4 }, () => run(outcomes)));
  const chains = [0, 1, 2, 3].map((i) => [i, i + 4, i + 8]);
  const { independent } = benchOrder(comparatorOf("frac"), [problem("a", runs, chains)], 1);
  expect(independent).toMatchObject({ pairs: 12, agree: 12 });
});

test("the interval draws whole problems: many pairs of one problem make it no narrower", () => {
  const copies = (count: number) =>
    [1, 0, 1, 1].map((right, i) => {
      const [a, b] = [run("PW"), run("WW")];
      const chains = Array.from({ length: count }, () => right ? [0, 1] : [1, 0]);
      return problem(`${i}`, [a, b], chains);
    });
  const [one, many] = [1, 50].map((count) => benchOrder(comparatorOf("frac"), copies(count), 3).nested.precision);
  expect(many).toEqual(one);
  expect(one!.value).toBe(0.75);
  expect(one!.low).toBeLessThan(0.5);
});

describe("a comparator of one's own", () => {
  const all = [problem("a", [run("PW"), run("WW", 9)], [[0, 1]])];

  test("may give any number, or null where the two cannot be compared", () => {
    const long = { name: "long", compare: (a: MutantRun, b: MutantRun) => 7 * (b.steps - a.steps) };
    expect(benchOrder(long, all, 1)).toMatchObject({ nested: { agree: 1 }, contradictions: 0, byRule: { long: {} } });
    const none = { name: "none", compare: () => null };
    expect(benchOrder(none, all, 1).nested).toMatchObject({ incomparable: 1, precision: null });
  });

  test("that says a is better both ways round is found out", () => {
    const first = { name: "first", compare: () => 1 };
    // the pair, its two padded forms; no program is out of steps
    expect(benchOrder(first, all, 1).contradictions).toBe(3);
  });

  test.each([[Number.NaN, "NaN"], ["better", "better"]])("that gives %s is refused", (value, shown) => {
    const broken = { name: "my.ts", compare: () => value as number };
    expect(() => benchOrder(broken, all, 1)).toThrow(
      `Cannot use order my.ts: compare() gave ${shown}, expected a number or null`,
    );
  });
});

test("the table has a row for every order, with the figures as they are", () => {
  const all = [problem("a", [run("PW"), run("WW", 9)], [[0, 1]])];
  const figures = [comparatorOf("frac"), steps].map((comparator) => benchOrder(comparator, all, 1));
  const document = { problems: "one", chains: 1, mix: "kinds", seed: 1, counts: mutantCounts(all), orders: figures };
  const text = orderBenchTable(document);
  expect(text).toMatch(/\| frac +\| 100\.0 \/ 0\.0 \/ 0\.0 +\| 1\.000 \[1\.000, 1\.000\] +\|/);
  expect(text).toMatch(/\| steps alone +\| 0\.0 \/ 100\.0 \/ 0\.0 +\| \.000 \[\.000, \.000\] +\|/);
  expect(text).toContain("- frac: fraction 1.000 of 1");
});

test("a mutant may take ten times the steps of the right program, and at least 2,000", () => {
  expect([0, 100, 101, 5000].map(stepBudget)).toEqual([2000, 2000, 2010, 51_000]);
});
