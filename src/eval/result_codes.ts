/**
 * Our results in the words of the published harnesses, and back. What gets lost is said at each function; the shared
 * losses are: a harness that stops at the first failing test knows nothing of the later ones; every limit of ours
 * (steps, time, output) is their one time limit; an interpreter that died is a time-out to them; exception texts are
 * those of CPython 3.14 and are cut at 200 characters. A failure of our own machinery has no word anywhere: null.
 */
import type { ErrorInfo, Outcome, ProgramResult, Verdict } from "../trace/schema.ts";

/** What a foreign result tells, in our words. */
export interface Told {
  passed: boolean;
  verdict: Verdict;
  /** one per test that the harness counts, where it counts */
  outcomes?: Outcome[];
  message?: string;
  /** of a syntax error */
  line?: number;
}

const limits: readonly Verdict[] = ["step_limit", "timeout", "output_limit", "crash"];

/**
 * human-eval's `{passed, result}` (openai/human-eval, execution.py): "passed", "timed out", or "failed: " and the text
 * of the exception that ended the run. An assertion has no text there unless the test gives it one, which ours does not
 * keep: always "failed: ".
 */
export function toHumanEval(result: ProgramResult): { passed: boolean; result: string } | null {
  if (result.infra) return null;
  if (result.passed) return { passed: true, result: "passed" };
  if (limits.includes(result.verdict)) return { passed: false, result: "timed out" };
  return { passed: false, result: `failed: ${exceptionText(result)}` };
}

function exceptionText(result: ProgramResult): string {
  const error = endOf(result);
  if (!error || result.verdict === "wrong_answer") return "";
  // Python adds the place to a syntax error's text; human-eval runs one string, program first, so lines agree.
  const placed = result.verdict === "syntax_error" && error.line !== null;
  return placed ? `${error.message} (<string>, line ${error.line})` : error.message;
}

function endOf(result: ProgramResult): ErrorInfo | undefined {
  return result.error ?? result.tests.find(({ outcome }) => outcome !== "PASS" && outcome !== "SKIP")?.error;
}

/**
 * The reverse. The exception's type is not in the text: all but four forms are `runtime_error`. An empty text is taken
 * for a failed assertion of the test (it may be the program's own, or a MemoryError), and so is a text that stands
 * quoted in `test`, the problem's test code. `entryPoint` tells a missing function from another name.
 */
export function fromHumanEval(result: string, problem: { test?: string; entryPoint?: string } = {}): Told {
  if (result === "passed") return { passed: true, verdict: "pass" };
  if (result === "timed out") return { passed: false, verdict: "timeout" };
  if (!result.startsWith("failed: ")) {
    throw new Error(`Cannot read ${JSON.stringify(result)}: human-eval says passed, timed out or failed: ...`);
  }
  const message = result.slice("failed: ".length);
  const place = message.match(/^([^]*) \(<string>, line (\d+)\)$/);
  if (place) return { passed: false, verdict: "syntax_error", message: place[1], line: Number(place[2]) };
  if (message === "") return { passed: false, verdict: "wrong_answer" };
  if (message === `name '${problem.entryPoint}' is not defined`) {
    return { passed: false, verdict: "missing_entry", message };
  }
  const quoted = [`"${message}"`, `'${message}'`];
  const verdict = quoted.some((text) => problem.test?.includes(text)) ? "wrong_answer" : "runtime_error";
  return { passed: false, verdict, message };
}

/** -2: did not compile or load, as the only entry; -1: exception or time limit; else whether the output was right. */
export type AppsCode = -2 | -1 | boolean;

/**
 * APPS's list of codes, one per test (hendrycks/apps, testing_util.py, `run_test`). It wraps a program that reads stdin
 * into a function, so only a syntax error is -2 there; a call-based program may also fail at loading or lack the
 * function. Where the process died its callers fill up with -1, so do tests of ours that did not run.
 */
export function toApps(result: ProgramResult): AppsCode[] | null {
  if (result.infra) return null;
  if (result.stage !== "run") return [-2];
  return result.tests.map(({ outcome }) => outcome === "PASS" ? true : outcome === "WRONG" ? false : -1);
}

/**
 * The reverse: -2 becomes `syntax_error` (it may have been the load), -1 an exception (it may have been the time
 * limit). The published loop keeps numpy values; give plain numbers and booleans. An empty list is no result: an error.
 */
export function fromApps(codes: readonly (AppsCode | 0 | 1)[]): Told {
  if (codes.length === 0) throw new Error("Cannot read []: APPS gives at least one code");
  if (codes[0] === -2) return { passed: false, verdict: "syntax_error", outcomes: [] };
  const outcomes = codes.map((code): Outcome => {
    if (code === -1) return "EXC";
    if (code === true || code === 1) return "PASS";
    if (code === false || code === 0) return "WRONG";
    throw new Error(`Cannot read ${JSON.stringify(codes)}: APPS's codes are -2 (alone), -1, false and true`);
  });
  const first = outcomes.find((outcome) => outcome !== "PASS");
  const verdict = first === undefined ? "pass" : first === "WRONG" ? "wrong_answer" : "runtime_error";
  return { passed: first === undefined, verdict, outcomes };
}

export type EvalPlusStatus = "pass" | "fail" | "timeout";

/**
 * EvalPlus's status and per-input details (evalplus/eval, `untrusted_check` without fast check). An input that runs out
 * of time only fails there, the rest is still run: "timeout" is a process that had to be killed or died, and its
 * details end where it did. They are empty for a program that does not load.
 */
export function toEvalPlus(result: ProgramResult): { status: EvalPlusStatus; details: boolean[] } | null {
  if (result.infra) return null;
  const killed = ["timeout", "crash"] satisfies Verdict[] as Verdict[];
  if (result.stage !== "run") return { status: killed.includes(result.verdict) ? "timeout" : "fail", details: [] };
  const end = result.tests.findIndex(({ outcome, verdict }) => outcome === "KILL" && killed.includes(verdict));
  const counted = end === -1 ? result.tests : result.tests.slice(0, end);
  const status = end !== -1 ? "timeout" : result.passed ? "pass" : "fail";
  return { status, details: counted.map(({ outcome }) => outcome === "PASS") };
}

/** The reverse: a failed input is WRONG, though it may have raised; nothing tells a program that did not load. */
export function fromEvalPlus(status: EvalPlusStatus, details: readonly (boolean | 0 | 1)[] = []): Told {
  const verdicts = { pass: "pass", fail: "wrong_answer", timeout: "timeout" } as const;
  if (!(status in verdicts)) throw new Error(`Cannot read "${status}": EvalPlus says pass, fail or timeout`);
  const outcomes = details.map((right): Outcome => right ? "PASS" : "WRONG");
  return { passed: status === "pass", verdict: verdicts[status], ...(outcomes.length ? { outcomes } : {}) };
}
