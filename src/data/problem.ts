/** A programming problem with its tests, whatever benchmark it came from, and the job that runs one answer to it. */
import type { Compare, ProgramJob, TestKind } from "../trace/schema.ts";
import { budget } from "./budgets.ts";

export interface Problem {
  /** Unique in a data set, e.g. `humaneval/12`. */
  id: string;
  dataset: string;
  split: string;
  /** What the model is given, to the byte (see prompts.ts). In completion mode also the head of the program. */
  prompt: string;
  /** What the model is given where that is more than the prompt, as a repair's; answers still belong to the prompt. */
  ask?: string;
  /** The function the tests call; empty for programs that read stdin. */
  entryPoint: string;
  /** A solution known to be right: a body in completion mode, a program otherwise. */
  canonicalSolution: string | null;
  /** As in the normalised row; what one entry looks like depends on testKind. */
  tests: unknown[];
  testKind: TestKind;
  /** `completion`: run prompt + code. `program`: run the code alone. */
  codeMode: "completion" | "program";
  compare?: Compare;
  /** Generator family of a micro problem; held-out families are split off by it. */
  family?: string;
  buggyCode?: string;
  /** `description` is the task in words, where the prompt is more than that. */
  meta?: Record<string, unknown>;
}

/** The task in words, for people and for trace text. */
export function description(problem: Problem): string {
  const text = problem.meta?.description;
  return typeof text === "string" ? text : problem.prompt;
}

/** The text that a model continues. */
export function askedText({ ask, prompt }: Problem): string {
  return ask ?? prompt;
}

/** The full program text of one answer. */
export function programText(problem: Problem, code: string): string {
  return problem.codeMode === "completion" ? problem.prompt + code : code;
}

/** The job that runs one answer against all tests. Its id is the problem's; give it another for several answers. */
export function programJob(problem: Problem, code: string, trace: ProgramJob["trace"]): ProgramJob {
  const { pre_code: preCode, test_setup: testSetup, is_method: isMethod } = problem.meta ?? {};
  const job: ProgramJob = {
    id: problem.id,
    program: programText(problem, code),
    entryPoint: problem.entryPoint,
    testKind: problem.testKind,
    tests: problem.tests,
    trace,
  };
  if (problem.compare) job.compare = problem.compare;
  // HumanEval's checks may call functions that the prompt defines.
  if (problem.testKind === "humaneval-check") job.helpers = problem.prompt;
  if (typeof preCode === "string") job.preCode = preCode;
  if (typeof testSetup === "string") job.testSetup = testSetup;
  if (isMethod === true) job.isMethod = true;
  const limits = budget(problem.id);
  if (limits) job.limits = limits;
  return job;
}

/**
 * The same problem as a program that reads stdin and prints. APPS rows whose tests are calls keep that form in
 * `meta.stdio_tests`: most models answer them so. Error: a problem without such tests.
 */
export function stdioForm(problem: Problem): Problem {
  if (problem.testKind === "stdio") return problem;
  const tests = problem.meta?.stdio_tests;
  if (!Array.isArray(tests) || tests.length === 0) {
    throw new Error(`Cannot run ${problem.id} on stdin: its tests are of kind ${problem.testKind} alone`);
  }
  const { compare: _calls, ...rest } = problem;
  const meta = { ...problem.meta, is_method: false };
  return { ...rest, testKind: "stdio", codeMode: "program", entryPoint: "", tests, meta };
}

/** With the tests that the row keeps apart because they run for seconds (QuixBugs, `meta.slow_tests`). */
export function withSlowTests(problem: Problem): Problem {
  const slow = problem.meta?.slow_tests;
  return Array.isArray(slow) ? { ...problem, tests: [...problem.tests, ...slow] } : problem;
}
