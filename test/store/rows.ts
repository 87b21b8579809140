// Made-up problems, samples and pairs for the store. No Deno in here: the browser's tests use it too.
import type { Problem } from "../../src/data/problem.ts";
import type { PairRow } from "../../src/recipes/preferences.ts";
import type { StoredSample } from "../../src/store/store.ts";
import type { ProgramResult, Trace } from "../../src/trace/schema.ts";

export const problems: Problem[] = ["zeta", "alpha"].map((name) => ({
  id: `p/${name}`,
  dataset: "p",
  split: "test",
  prompt: `def ${name}(a, b):\n    """naïve ✓"""\n`,
  entryPoint: name,
  canonicalSolution: "    return a + b\n",
  tests: [`assert ${name}(1, 2) == 3`],
  testKind: "assert-list",
  codeMode: "completion",
  meta: { b: 1, a: [0.5, null] },
}));

const trace: Trace = {
  // z before a: in the order in which the function made them
  events: [{
    line_number: 2,
    event_type: "line",
    variable_states: { z: "1", a: "'naïve ✓'" },
    step: 0,
    frame: 1,
    depth: 0,
    function: "f",
  }],
  dropped: 0,
  truncated: null,
  steps: 1,
  frames: 1,
  max_depth: 0,
  lines_covered: [2],
  origin: null,
};

export function result(id: string, passed: boolean, elapsedMs = 1.25): ProgramResult {
  const verdict = passed ? "pass" : "wrong_answer";
  const outcome = passed ? "PASS" : "WRONG";
  const test = { index: 0, outcome, verdict, source: "f(1, 2)", steps: 1, values: ["1", "2".repeat(600)] } as const;
  return {
    id,
    stage: "run",
    verdict,
    passed,
    tests: [{ ...test, values: [...test.values] }],
    testsPassed: Number(passed),
    testsTotal: 1,
    steps: passed ? 0 : 1,
    ...(passed ? {} : { trace, traceTest: 0 }),
    infra: false,
    elapsedMs,
  };
}

/** `most` samples a problem, the problems in turn; every third repeats the program before it. */
export function samples(most: number): StoredSample[] {
  return Array.from({ length: most }, (_, index) =>
    problems.map(({ id }): StoredSample => ({
      problemId: id,
      index,
      completion: `    return a + ${index % 3 === 2 ? index - 1 : index}  # ${index}\0\n`,
      tokens: [5, 70_000, index],
      finished: index % 2 === 0,
      result: result(`${id}#${index}`, index % 2 === 1, index / 3),
      programKey: `program ${index % 3 === 2 ? index - 1 : index}`,
      agreement: index % 2 === 0 ? [0.25, 1] : undefined,
    }))).flat().map(({ agreement, ...sample }) => agreement ? { ...sample, agreement } : sample);
}

export const pairRows: PairRow[] = [1, 0].map((rejected) => ({
  problemId: "p/zeta",
  chosen: 3,
  rejected,
  reason: "pass/fail",
  margin: 1,
  prompt: problems[0].prompt,
  chosenText: "    return a + b\n",
  rejectedText: `    return a - ${rejected}\n`,
  test: "zeta(1, 2)",
  chosenTrace: "trace of the better one",
  rejectedTrace: "trace of the worse one",
  chosenTests: { verdict: "pass", passed: 1, total: 1 },
  rejectedTests: { verdict: "wrong_answer", passed: 0, total: 1 },
}));
