/**
 * Repair with the trace in the prompt, the baseline that trains nothing: a model is shown a task, a program that fails and what
 * running it showed, and writes the program again. Views of one bug differ in what is shown of the run, and in nothing else, so
 * that their difference is what the trace is worth; `shuffled` shows the trace of another bug and is the placebo.
 *
 * Repair is single attempt: greedy, one sample, the whole function again, all tests pass. The form is text that a base model
 * continues; a few solved repairs may stand in front (few-shot).
 */
import type { Sample } from "../data/pairs.ts";
import { description, type Problem, programJob, programText } from "../data/problem.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import { normalisedCode } from "../trace/code_tokens.ts";
import { shortestTrace } from "../trace/compact.ts";
import type { Pool } from "../trace/pool.ts";
import type { ProgramResult } from "../trace/schema.ts";
import type { CompletionRow } from "./sequences.ts";

export const REPAIR_VIEWS = ["none", "test", "trace", "shuffled"] as const;
export type RepairView = typeof REPAIR_VIEWS[number];

/** A program that fails, with the traced result of its first failing test. */
export interface Bug {
  problem: Problem;
  /** As a model would have written it: behind the prompt in completion mode. */
  code: string;
  result: ProgramResult;
}

export interface RepairOptions {
  /** Tokens that a trace may take, and how they are counted. */
  traceTokens: number;
  count: (text: string) => number;
}

/** Up to `each` distinct failing programs of every problem: its own buggy one (QuixBugs), else the first samples that fail. */
export async function findBugs(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  each: number,
): Promise<Bug[]> {
  const groups = await Promise.all(problems.map(async (problem): Promise<Bug[]> => {
    const own = problem.buggyCode;
    const failing = samples.filter(({ problemId, result, finished }) =>
      problemId === problem.id && finished && !result.passed && !result.infra && !result.flaky
    );
    const codes = own === undefined ? failing.map(({ completion }) => completion) : [own];
    const seen = new Set<string>();
    const isNew = (key: string) => !seen.has(key) && seen.add(key);
    const distinct = codes.filter((code) => isNew(normalisedCode(code))).slice(0, each);
    const form: Problem = own === undefined ? problem : { ...problem, codeMode: "program" };
    const bugs = await Promise.all(distinct.map(async (code) => ({
      problem: form,
      code,
      result: await pool.run(programJob(form, code, "deciding")),
    })));
    return bugs.filter(({ result }) => !result.passed && !result.infra);
  }));
  return groups.flat();
}

/** A bug as a problem of its own: the same tests, another text to continue. Ids are `<problem>!<number of the bug>`. */
export function repairProblems(
  bugs: readonly Bug[],
  view: RepairView,
  shots: readonly CompletionRow[],
  options: RepairOptions,
): Problem[] {
  const numbers = new Map<string, number>();
  return bugs.map((bug, i) => {
    const { problem } = bug;
    const number = numbers.get(problem.id) ?? 0;
    numbers.set(problem.id, number + 1);
    const shown = shots.map(({ prompt, completion }) => `${prompt}${completion.trimEnd()}\n\n`).join("");
    return { ...problem, id: `${problem.id}!${number}`, ask: shown + repairPrompt(bug, view, bugs, i, options) };
  });
}

/** Solved repairs: to be shown before a question, or to fine-tune on. `fixes[i]` is a right answer to bug i. */
export function repairRows(
  bugs: readonly Bug[],
  fixes: readonly string[],
  view: RepairView,
  options: RepairOptions,
): CompletionRow[] {
  return bugs.map((bug, i) => ({ prompt: repairPrompt(bug, view, bugs, i, options), completion: fixes[i] }));
}

/** The text to be continued with the corrected program. */
function repairPrompt(bug: Bug, view: RepairView, bugs: readonly Bug[], i: number, options: RepairOptions): string {
  const { problem, code, result } = bug;
  const parts = [`# Task\n${commented(description(problem))}`, `# Program\n${programText(problem, code).trimEnd()}\n`];
  if (view !== "none") parts.push(commented(testLine(result)));
  const traced = view === "trace" ? result : view === "shuffled" ? bugs[other(i, bugs.length)].result : null;
  if (traced) {
    const { traceTokens: budget, count } = options;
    parts.push(`# Trace\n${commented(shortestTrace(traced, { budget, count }))}`);
  }
  parts.push(`# Corrected program\n${problem.codeMode === "completion" ? problem.prompt : ""}`);
  return parts.join("");
}

/** `f(3) returned 4, expected 5`, or what ended the run. */
function testLine(result: ProgramResult): string {
  const test = result.tests.find(({ outcome }) => outcome !== "PASS" && outcome !== "SKIP");
  const error = test?.error ?? result.error;
  if (!test) return `The program does not load: ${error ? `${error.type}: ${error.message}` : result.verdict}`;
  if (test.actual !== undefined) return `${test.source} returned ${test.actual}, expected ${test.expected}`;
  return `${test.source} ended with ${error ? `${error.type}: ${error.message}` : test.verdict.replaceAll("_", " ")}`;
}

const commented = (text: string) => text.trimEnd().split("\n").map((line) => `# ${line}`.trimEnd() + "\n").join("");

/** Another bug than i, the same for the same number of bugs: a fixed permutation without fixed points. */
function other(i: number, count: number): number {
  if (count < 2) throw new Error("Cannot shuffle traces: there is only one bug");
  const order = shuffled(Array.from({ length: count }, (_, n) => n), uniformStream(count, 77));
  return order[(order.indexOf(i) + 1) % count];
}
