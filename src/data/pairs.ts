/**
 * Which pairs of samples to learn from.
 *
 * - A passing sample against a failing one always comes first; two failing samples are paired only for prompts where
 *   no sample passes ("fill"): orders that pair failures freely lost to plain pass/fail in the reference simulation.
 * - The same program written twice counts once (comments, blank lines and spacing aside).
 * - A completion cut off before its end token is never a winner: it would teach not to stop.
 * - Among pairs that the same component decides, the one of smallest token edit distance comes first, since it tells
 *   most exactly what was wrong; every sample is used as evenly as possible.
 * - Runs that the machinery spoiled, and programs that passed once and failed once, are in no pair.
 */
import { codeTokens, editDistance } from "../trace/code_tokens.ts";
import {
  compare,
  type ComponentName,
  decidedBy,
  type Judgement,
  judgement,
  type OrderName,
  orders,
  testFraction,
} from "../trace/heuristics.ts";
import type { ProgramResult } from "../trace/schema.ts";

export interface Sample {
  problemId: string;
  /** Number of the sample within its problem. */
  index: number;
  completion: string;
  /** Completion ids, with the end token if it stopped. */
  tokens: number[];
  /** The end token was seen. */
  finished: boolean;
  result: ProgramResult;
  /** Equal for the same program in another dress, such as its normalised syntax tree; without it, its tokens decide. */
  programKey?: string;
  /** How many identical samples this one stands for; 1 if missing. */
  count?: number;
  /** Per test, from groupAgreement(); null or missing where the problem has no sibling. */
  agreement?: number[] | null;
}

export type PairReason = "pass/fail" | "stage" | "fraction" | "agreement" | "severity" | "steps";

export interface Pair {
  problemId: string;
  /** Sample.index of the better and of the worse sample. */
  chosen: number;
  rejected: number;
  reason: PairReason;
  /** How much better, for losses with a margin: 1 pass/fail, 0.5 stage, 0.25 x gap in tests passed, else 0.1. */
  margin: number;
}

export interface PairOptions {
  maxPairsPerPrompt: number;
  /** Pairs of two failing samples: where nothing passes, never, or everywhere (as the method was first written). */
  failFail: "fill" | "never" | "always";
}

export const defaultPairOptions: PairOptions = { maxPairsPerPrompt: 4, failFail: "fill" };

export interface PairCounts {
  prompts: number;
  promptsWithPair: number;
  samples: number;
  /** Samples that are no candidates, by cause. */
  dropped: { infra: number; duplicate: number; flaky: number; unfinishedPass: number };
  /** Pairs of candidates the policy looked at; two passing samples are none. */
  compared: number;
  /** Of these: equal under the order, or one of them not comparable. */
  ties: number;
  incomparable: number;
  /** Of these: decided, but the better sample never stopped. */
  unfinishedWinner: number;
  byReason: Record<PairReason, number>;
}

const reasons: Record<ComponentName, PairReason> = {
  pass: "pass/fail",
  stage: "stage",
  runs: "stage",
  fraction: "fraction",
  agreement: "agreement",
  severity: "severity",
  "severity-fuel-below-crash": "severity",
  steps: "steps",
  "crash-steps": "steps",
};

interface Candidate {
  sample: Sample;
  tokens: string[];
  record: Judgement;
}

interface Decision {
  chosen: Candidate;
  rejected: Candidate;
  component: ComponentName;
  distance: number;
}

/** Pairs of all prompts, in the order the prompts first appear. The same samples give the same pairs, however sorted. */
export function makePairs(
  samples: readonly Sample[],
  order: OrderName,
  options: Partial<PairOptions> = {},
): { pairs: Pair[]; counts: PairCounts } {
  const policy = { ...defaultPairOptions, ...options };
  const counts = emptyCounts();
  counts.samples = samples.length;
  const pairs: Pair[] = [];
  for (const [problemId, group] of byProblem(samples)) {
    counts.prompts++;
    const decisions = decide(candidates(group, counts), order, policy, counts);
    const chosen = select(decisions, order, policy.maxPairsPerPrompt);
    if (chosen.length) counts.promptsWithPair++;
    for (const decision of chosen) {
      const reason = reasons[decision.component];
      counts.byReason[reason]++;
      pairs.push({
        problemId,
        chosen: decision.chosen.sample.index,
        rejected: decision.rejected.sample.index,
        reason,
        margin: margin(reason, decision),
      });
    }
  }
  return { pairs, counts };
}

/**
 * The test that shows the difference, as an index into both results' tests: the first one the loser fails and, if
 * there is any such, the winner passes. Null if the loser has no failing test. Both traces of a pair are of this test.
 */
export function feedbackTest(chosen: ProgramResult, rejected: ProgramResult): number | null {
  const fails = rejected.tests.filter((test) => test.outcome !== "PASS");
  const passes = new Set(chosen.tests.filter((test) => test.outcome === "PASS").map((test) => test.index));
  return (fails.find((test) => passes.has(test.index)) ?? fails[0])?.index ?? null;
}

function byProblem(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.problemId);
    if (group) group.push(sample);
    else groups.set(sample.problemId, [sample]);
  }
  for (const group of groups.values()) group.sort((a, b) => a.index - b.index);
  return groups;
}

function candidates(group: Sample[], counts: PairCounts): Candidate[] {
  const programs = new Map<string, { best: Candidate; copies: number; agree: boolean }>();
  for (const sample of group) {
    const record = judgement(sample.result, sample.agreement ?? null);
    if (record.infra) {
      counts.dropped.infra++;
      continue;
    }
    const tokens = codeTokens(sample.completion);
    const key = tokens.join("\u0000");
    const known = programs.get(key);
    if (!known) {
      programs.set(key, { best: { sample, tokens, record }, copies: 1, agree: !sample.result.flaky });
      continue;
    }
    known.copies++;
    known.agree &&= !sample.result.flaky && known.best.sample.result.passed === sample.result.passed;
    if (sample.finished && !known.best.sample.finished) known.best = { sample, tokens, record };
  }
  const kept: Candidate[] = [];
  for (const { best, copies, agree } of programs.values()) {
    if (!agree) counts.dropped.flaky += copies;
    else {
      counts.dropped.duplicate += copies - 1;
      // It may not win, and losing to another passing sample is a tie: such a sample can be in no pair.
      if (best.sample.result.passed && !best.sample.finished) counts.dropped.unfinishedPass++;
      else kept.push(best);
    }
  }
  return kept;
}

function decide(group: Candidate[], order: OrderName, policy: PairOptions, counts: PairCounts): Decision[] {
  const isPass = ({ sample }: Candidate) => sample.result.passed;
  const fill = policy.failFail === "always" || policy.failFail === "fill" && !group.some(isPass);
  const decisions: Decision[] = [];
  group.forEach((a, place) => {
    for (const b of group.slice(place + 1)) {
      const passes = Number(isPass(a)) + Number(isPass(b));
      if (passes === 2 || passes === 0 && !fill) continue;
      counts.compared++;
      const better = compare(a.record, b.record, order);
      if (better === null) counts.incomparable++;
      else if (better === 0) counts.ties++;
      else {
        const [chosen, rejected] = better === 1 ? [a, b] : [b, a];
        if (!chosen.sample.finished) counts.unfinishedWinner++;
        else {
          const component = decidedBy(chosen.record, rejected.record, order)!; // compare() was not 0
          decisions.push({ chosen, rejected, component, distance: editDistance(chosen.tokens, rejected.tokens) });
        }
      }
    }
  });
  return decisions;
}

/** Greedy: more important component first, then the samples used least so far, then the nearest texts. */
function select(decisions: Decision[], order: OrderName, limit: number): Decision[] {
  const used = new Map<Candidate, number>();
  const uses = (candidate: Candidate) => used.get(candidate) ?? 0;
  const rank = (decision: Decision) => [
    orders[order].indexOf(decision.component),
    uses(decision.rejected),
    uses(decision.chosen),
    decision.distance,
    decision.chosen.sample.index,
    decision.rejected.sample.index,
  ];
  const open = new Set(decisions);
  const selected: Decision[] = [];
  while (selected.length < limit && open.size) {
    const best = [...open].reduce((a, b) => isBefore(rank(b), rank(a)) ? b : a);
    open.delete(best);
    selected.push(best);
    used.set(best.chosen, uses(best.chosen) + 1);
    used.set(best.rejected, uses(best.rejected) + 1);
  }
  return selected;
}

function isBefore(a: number[], b: number[]): boolean {
  const place = a.findIndex((value, i) => value !== b[i]);
  return place >= 0 && a[place] < b[place];
}

function margin(reason: PairReason, { chosen, rejected }: Decision): number {
  if (reason === "pass/fail") return 1;
  if (reason === "stage") return 0.5;
  if (reason === "fraction") return 0.25 * (testFraction(chosen.record) - testFraction(rejected.record));
  return 0.1;
}

function emptyCounts(): PairCounts {
  return {
    prompts: 0,
    promptsWithPair: 0,
    samples: 0,
    dropped: { infra: 0, duplicate: 0, flaky: 0, unfinishedPass: 0 },
    compared: 0,
    ties: 0,
    incomparable: 0,
    unfinishedWinner: 0,
    byReason: { "pass/fail": 0, stage: 0, fraction: 0, agreement: 0, severity: 0, steps: 0 },
  };
}
