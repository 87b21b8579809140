/** What became of the samples, in few enough kinds to look at, and how that changed. */
import type { Sample } from "../data/pairs.ts";
import type { ProgramResult, Verdict } from "../trace/schema.ts";

/** Best first, as bars are drawn. */
export const outcomeKinds = [
  "pass",
  "unfinished", // all tests pass, but the completion was cut off before its end token: not counted as a pass
  "wrong",
  "crash",
  "limit", // steps, time, memory or output
  "load", // the module failed, or did not define the function
  "syntax",
  "infra", // the machinery failed: says nothing about the program and is left out of pass@k
] as const;
export type OutcomeKind = typeof outcomeKinds[number];
export type OutcomeMix = Record<OutcomeKind, number>;

const kindOf: Record<Verdict, OutcomeKind> = {
  pass: "pass",
  wrong_answer: "wrong",
  assertion_error: "crash",
  runtime_error: "crash",
  exit: "crash",
  crash: "crash",
  sandbox_violation: "crash",
  step_limit: "limit",
  timeout: "limit",
  memory_limit: "limit",
  output_limit: "limit",
  missing_entry: "load",
  load_error: "load",
  syntax_error: "syntax",
  harness_error: "infra",
};

/** What outcomes and pass@k look at. */
export type Scored = Pick<Sample, "problemId" | "index" | "completion" | "tokens" | "finished" | "result">;

export function outcomeOf({ result, finished }: Pick<Scored, "result" | "finished">): OutcomeKind {
  if (result.infra) return "infra";
  const kind = kindOf[result.verdict];
  return kind === "pass" && !finished ? "unfinished" : kind;
}

/** A pass that counts: all tests, and the model stopped by itself. */
export function isSolved(sample: Pick<Scored, "result" | "finished">): boolean {
  return outcomeOf(sample) === "pass";
}

/** Number of samples of each kind. */
export function outcomeMix(samples: readonly Pick<Scored, "result" | "finished">[]): OutcomeMix {
  const mix = Object.fromEntries(outcomeKinds.map((kind) => [kind, 0])) as OutcomeMix;
  for (const sample of samples) mix[outcomeOf(sample)]++;
  return mix;
}

/** Crashes by exception type, most frequent first; equal counts by name. */
export function crashTypes(samples: readonly Pick<Scored, "result" | "finished">[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const sample of samples) {
    if (outcomeOf(sample) !== "crash") continue;
    const type = crashType(sample.result);
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

function crashType(result: ProgramResult): string {
  const byVerdict: Partial<Record<Verdict, string>> = {
    assertion_error: "AssertionError",
    exit: "SystemExit",
    crash: "interpreter crash",
    sandbox_violation: "sandbox violation",
  };
  const failing = result.tests.find((test) => test.outcome !== "PASS");
  return byVerdict[result.verdict] ?? failing?.error?.type ?? result.error?.type ?? "unknown";
}

/** Samples by kind before (outer) and after (inner). */
export type Transition = Record<OutcomeKind, OutcomeMix>;

/**
 * How outcomes moved, sample number i of a problem before against number i after. Sampling is random, so one sample's
 * move means little; the table's margins are the two mixes.
 */
export function transition(before: readonly Scored[], after: readonly Scored[]): Transition {
  const key = ({ problemId, index }: Scored) => `${problemId}\n${index}`;
  const later = new Map(after.map((sample) => [key(sample), sample]));
  const missing = before.find((sample) => !later.has(key(sample)));
  if (missing || before.length !== after.length) {
    const which = missing ? `: sample ${missing.index} of ${missing.problemId} is missing after` : "";
    throw new Error(`Cannot compare ${before.length} samples before with ${after.length} after${which}`);
  }
  const table = Object.fromEntries(outcomeKinds.map((kind) => [kind, outcomeMix([])])) as Transition;
  for (const sample of before) table[outcomeOf(sample)][outcomeOf(later.get(key(sample))!)]++;
  return table;
}
