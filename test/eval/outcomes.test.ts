import { describe, expect, test } from "vitest";
import { crashTypes, outcomeMix, outcomeOf, type Scored, transition } from "../../src/eval/outcomes.ts";
import { compareEvaluations, measurable, summarize } from "../../src/eval/summary.ts";
import type { Stage, Verdict } from "../../src/trace/schema.ts";

function sample(
  problemId: string,
  index: number,
  verdict: Verdict,
  extra: Partial<Scored> & { error?: string } = {},
): Scored {
  const stage: Stage = verdict === "syntax_error" ? "syntax" : verdict === "load_error" ? "load" : "run";
  const passed = verdict === "pass";
  const error = extra.error ? { type: extra.error, message: "", line: 1 } : undefined;
  return {
    problemId,
    index,
    completion: `return ${index}`,
    tokens: [1, 2, 3, 4],
    finished: true,
    result: {
      id: `${problemId}#${index}`,
      stage,
      verdict,
      passed,
      tests: [
        { index: 0, outcome: "PASS", verdict: "pass", source: "f(0)", steps: 4 },
        { index: 1, outcome: passed ? "PASS" : "EXC", verdict, source: "f(1)", steps: 6, ...(error ? { error } : {}) },
      ],
      testsPassed: passed ? 2 : 1,
      testsTotal: 2,
      steps: 6,
      infra: verdict === "harness_error",
      elapsedMs: 3,
    },
    ...extra,
  };
}

test("spoiled samples lower k or drop a problem, and never end a run", () => {
  const infra = { infra: true };
  const spoil = (one: Scored): Scored => ({ ...one, result: { ...one.result, ...infra, verdict: "harness_error" } });
  const a = [0, 1, 2, 3].map((index) => sample("a", index, "pass"));
  const b = [0, 1, 2, 3].map((index) => sample("b", index, "pass"));
  expect(measurable([[...a, ...b], [...a, ...b]], [1, 2, 4, 8])).toEqual({ ks: [1, 2, 4], dropped: [], spoiled: 0 });
  const one = [...a, spoil(b[0]), ...b.slice(1)];
  expect(measurable([[...a, ...b], one], [1, 2, 4])).toEqual({ ks: [1, 2], dropped: [], spoiled: 1 });
  const all = [...a, ...b.map(spoil)];
  expect(measurable([all, [...a, ...b]], [1, 2, 4])).toEqual({ ks: [1, 2, 4], dropped: ["b"], spoiled: 4 });
  expect(measurable([[...a, ...b].map(spoil)], [1, 2, 4]).ks).toEqual([]);
});

describe("outcomes", () => {
  test("every verdict has its kind, and a pass that never stopped is no pass", () => {
    const kinds = ([
      "pass",
      "wrong_answer",
      "runtime_error",
      "step_limit",
      "timeout",
      "missing_entry",
      "load_error",
      "syntax_error",
      "exit",
      "harness_error",
    ] as Verdict[]).map((verdict) => outcomeOf(sample("p", 0, verdict)));
    expect(kinds).toEqual(
      ["pass", "wrong", "crash", "limit", "limit", "load", "load", "syntax", "crash", "infra"],
    );
    expect(outcomeOf(sample("p", 0, "pass", { finished: false }))).toBe("unfinished");
    expect(outcomeOf(sample("p", 0, "wrong_answer", { finished: false }))).toBe("wrong");
  });

  test("crashes are listed by exception type, most frequent first", () => {
    const samples = [
      sample("p", 0, "runtime_error", { error: "TypeError" }),
      sample("p", 1, "runtime_error", { error: "IndexError" }),
      sample("p", 2, "runtime_error", { error: "IndexError" }),
      sample("p", 3, "assertion_error"),
      sample("p", 4, "wrong_answer"),
    ];
    expect(Object.entries(crashTypes(samples))).toEqual([["IndexError", 2], ["AssertionError", 1], ["TypeError", 1]]);
  });

  test("the transition table has the two mixes as its margins", () => {
    const before = [sample("a", 0, "syntax_error"), sample("a", 1, "pass"), sample("b", 0, "wrong_answer")];
    const after = [sample("b", 0, "pass"), sample("a", 0, "wrong_answer"), sample("a", 1, "pass")];
    const table = transition(before, after);
    expect(table.syntax.wrong).toBe(1);
    expect(table.pass.pass).toBe(1);
    expect(table.wrong.pass).toBe(1);
    const total = (mix: Record<string, number>) => Object.values(mix).reduce((sum, n) => sum + n, 0);
    for (const [kind, row] of Object.entries(table)) expect(total(row)).toBe(outcomeMix(before)[kind as "pass"]);
    expect(() => transition(before, after.slice(1))).toThrow(
      "Cannot compare 3 samples before with 2 after: sample 0 of b is missing after",
    );
  });
});

describe("summary", () => {
  const problem = (id: string, verdicts: Verdict[]) => verdicts.map((verdict, index) => sample(id, index, verdict));
  const samples = [
    ...problem("a/1", ["pass", "pass", "wrong_answer", "wrong_answer"]),
    ...problem("b/1", ["runtime_error", "syntax_error", "step_limit", "pass"]),
  ];
  const families = new Map([["a/1", "a"], ["b/1", "b"]]);

  test("gives pass@k, outcomes, families, lengths and steps", () => {
    const result = summarize(samples, { ks: [1, 2], seed: 1, families });
    expect(result.problems).toBe(2);
    expect(result.samplesPerProblem).toBe(4);
    expect(result.passAt[1].value).toBeCloseTo((2 / 4 + 1 / 4) / 2, 12);
    expect(result.passAt[2].value).toBeCloseTo((5 / 6 + 1 / 2) / 2, 12);
    expect(result.passAt[1].low).toBeLessThanOrEqual(result.passAt[1].value);
    expect(result.outcomes).toMatchObject({ pass: 3, wrong: 2, crash: 1, limit: 1, syntax: 1, infra: 0 });
    expect(result.byFamily).toEqual({ a: { problems: 1, passAt1: 0.5 }, b: { problems: 1, passAt1: 0.25 } });
    expect(result.completions).toEqual({ finished: 1, meanTokens: 4, distinct: 1 });
    expect(result.steps).toEqual({ median: 10, p95: 10 });
    expect(result.perProblem).toEqual([{ id: "a/1", family: "a", n: 4, c: 2 }, { id: "b/1", family: "b", n: 4, c: 1 }]);
  });

  test("leaves out what the machinery spoiled, and says so where too few are left", () => {
    const spoiled = problem("a/1", ["pass", "wrong_answer", "harness_error", "harness_error"]);
    const result = summarize(spoiled, { ks: [1, 2], seed: 1 });
    expect(result.passAt[1].value).toBe(0.5);
    expect(result.perProblem[0]).toEqual({ id: "a/1", n: 2, c: 1 });
    expect(() => summarize(spoiled, { ks: [4], seed: 1 })).toThrow(
      "Cannot compute pass@4: problem a/1 has 2 samples that count",
    );
  });

  test("two summaries of the same problems compare, problem by problem", () => {
    const before = summarize(samples, { ks: [1, 2], seed: 1, families });
    const better = [...problem("b/1", ["pass", "pass", "pass", "pass"]), ...samples.slice(0, 4)];
    const after = summarize(better, { ks: [1, 2], seed: 1, families });
    const change = compareEvaluations(before, after, 5);
    expect(change.passAt[1].value).toBeCloseTo(0.375, 12);
    expect(change.passAt[1].low).toBeCloseTo(0, 12);
    expect(change.passAt[1].high).toBeCloseTo(0.75, 12);
    expect(change.passAt1OverFamilies).toBe(undefined); // one problem a family: the same as over problems
    expect(compareEvaluations(before, before, 5).passAt[2]).toEqual({ value: 0, low: 0, high: 0 });
    const other = summarize(problem("c/1", ["pass", "pass"]), { ks: [1], seed: 1 });
    expect(() => compareEvaluations(before, other, 5)).toThrow(
      'Cannot compare: 2 problems before, 1 after, "a/1" is missing after',
    );
  });

  test("with several problems a family, families are drawn as a whole too", () => {
    const many = (verdict: Verdict) =>
      ["a", "b", "c"].flatMap((family) =>
        [1, 2, 3].flatMap((n) =>
          problem(`${family}/${n}`, family === "a" ? ["pass", "pass"] : [verdict, "wrong_answer"])
        )
      );
    const named = new Map(["a", "b", "c"].flatMap((f) => [1, 2, 3].map((n) => [`${f}/${n}`, f] as const)));
    const before = summarize(many("wrong_answer"), { ks: [1], seed: 1, families: named });
    const after = summarize(many("pass"), { ks: [1], seed: 1, families: named });
    const { passAt, passAt1OverFamilies } = compareEvaluations(before, after, 1);
    expect(passAt1OverFamilies!.value).toBeCloseTo(1 / 3, 12);
    expect(passAt1OverFamilies!.high - passAt1OverFamilies!.low).toBeGreaterThan(passAt[1].high - passAt[1].low);
  });
});
