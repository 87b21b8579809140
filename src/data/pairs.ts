/**
 * Which pairs of samples to learn from.
 *
 * - A passing sample against a failing one always comes first; two failing samples are paired only for prompts where
 *   no sample passes ("fill"): orders that pair failures freely lost to plain pass/fail in the reference simulation.
 * - The same program written twice counts once: by its key if it has one, else by its tokens (comments, blank lines and
 *   spacing aside).
 * - A completion cut off before its end token is never a winner: it would teach not to stop.
 * - Among pairs that the same component decides, the one of smallest token edit distance comes first, since it tells
 *   most exactly what was wrong; every sample is used as evenly as possible.
 * - Runs that the machinery spoiled, and programs that passed once and failed once, are in no pair.
 */
import { editDistance } from "../trace/code_tokens.ts";
import {
  compare,
  type ComponentName,
  decidedBy,
  type Order,
  type OrderName,
  orderOf,
  testFraction,
} from "../trace/heuristics.ts";
import type { ProgramResult } from "../trace/schema.ts";
import { byProblem, type Candidate, candidates, type Dropped } from "./pair_candidates.ts";

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

/** `repair`: the winner is the loser with one hunk of it repaired, and no order had to decide. */
export type PairReason =
  | "pass/fail"
  | "stage"
  | "fraction"
  | "agreement"
  | "severity"
  | "steps"
  | "random"
  | "repair";

export interface Pair {
  problemId: string;
  /** Sample.index of the better and of the worse sample. */
  chosen: number;
  rejected: number;
  reason: PairReason;
  /** How much better, for losses with a margin: 1 pass/fail, 0.5 stage, 0.25 x gap in tests passed, else 0.1. */
  margin: number;
  /** How often the rule that decided is wrong, for losses that smooth labels; only with `calibrated`. */
  labelSmoothing?: number;
}

export const FAIL_FAIL = ["fill", "never", "always", "auto", "capped"] as const;

export interface PairOptions {
  maxPairsPerPrompt: number;
  /**
   * Pairs of two failing samples: where nothing passes (`fill`), `never`, or everywhere (`always`, as the method was first
   * written). `auto`: as `fill` if nothing passes on more than 60 % of the prompts, else never. `capped`: everywhere, but
   * no more than 30 % of all pairs, those of prompts where nothing passes before others.
   */
  failFail: typeof FAIL_FAIL[number];
  /** Weigh each test in the fraction by 1 less its pass rate among the prompt's samples. */
  weightTests: boolean;
  /** Give every pair the label smoothing of the rule that decided it. */
  calibrated: boolean;
  /** Of the order `random`. */
  seed: number;
}

export const defaultPairOptions: PairOptions = {
  maxPairsPerPrompt: 4,
  failFail: "fill",
  weightTests: false,
  calibrated: false,
  seed: 1,
};

/** Above this share of prompts without a passing sample, `auto` fills. */
export const silentShare = 0.6;
/** Most that `capped` lets pairs of two failing samples be of all pairs. */
export const failFailShare = 0.3;

/**
 * Label smoothing by rule: one less its precision on nested mutants, where the program with fewer faults should win.
 * Published for the fraction (.901), agreement (.926 as the last word of `eta`), steps (.812) and severity (.735). Mutants
 * that do not load are too few to measure `stage`; it gets the fraction's, which it is an extreme of. `random` is a
 * control and trains as if it believed its coin; a repaired program has passed, and a pass is never wrong.
 */
export const smoothingOf: Readonly<Record<PairReason, number>> = {
  "pass/fail": 0,
  stage: 0.1,
  fraction: 0.1,
  agreement: 0.07,
  severity: 0.27,
  steps: 0.19,
  random: 0,
  repair: 0,
};

export interface PairCounts {
  prompts: number;
  promptsWithPair: number;
  samples: number;
  /** Prompts where no sample passes. */
  silentPrompts: number;
  /** Samples that are no candidates, by cause. */
  dropped: Dropped;
  /** Pairs of candidates the policy looked at; two passing samples are none. */
  compared: number;
  /** Of these: equal under the order, or one of them not comparable. */
  ties: number;
  incomparable: number;
  /** Of these: decided, but the better sample never stopped. */
  unfinishedWinner: number;
  byReason: Record<PairReason, number>;
}

/** What a component is called as the reason of a pair. */
export const reasonOf: Readonly<Record<ComponentName, PairReason>> = {
  pass: "pass/fail",
  stage: "stage",
  runs: "stage",
  fraction: "fraction",
  agreement: "agreement",
  severity: "severity",
  "severity-fuel-below-crash": "severity",
  steps: "steps",
  "crash-steps": "steps",
  rank: "random",
};

interface Decision {
  chosen: Candidate;
  rejected: Candidate;
  component: ComponentName;
  distance: number;
}

/** Pairs of all prompts, in the order the prompts first appear. The same samples give the same pairs, however sorted. */
export function makePairs(
  samples: readonly Sample[],
  order: OrderName | Order,
  options: Partial<PairOptions> = {},
): { pairs: Pair[]; counts: PairCounts } {
  const policy = { ...defaultPairOptions, ...options };
  const { components } = orderOf(order);
  const counts = emptyCounts();
  counts.samples = samples.length;
  const groups = [...byProblem(samples).values()].map((group) => candidates(group, policy, counts.dropped));
  counts.prompts = groups.length;
  counts.silentPrompts = groups.filter((group) => !group.some(isPass)).length;
  const filled = policy.failFail === "auto"
    ? (counts.silentPrompts > silentShare * counts.prompts ? "fill" : "never")
    : policy.failFail;
  const chosen = groups.map((group) => {
    const freely = filled === "always" || filled === "capped" || filled === "fill" && !group.some(isPass);
    return select(decide(group, { name: "", components }, freely, counts), components, policy.maxPairsPerPrompt);
  });
  const kept = filled === "capped" ? capped(chosen, groups) : chosen;
  counts.promptsWithPair = kept.filter((decisions) => decisions.length > 0).length;
  const pairs = kept.flat().map((decision): Pair => {
    const reason = reasonOf[decision.component];
    counts.byReason[reason]++;
    return {
      problemId: decision.chosen.sample.problemId,
      chosen: decision.chosen.sample.index,
      rejected: decision.rejected.sample.index,
      reason,
      margin: margin(reason, decision),
      ...(policy.calibrated ? { labelSmoothing: smoothingOf[reason] } : {}),
    };
  });
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

const isPass = ({ sample }: Candidate) => sample.result.passed;

function decide(group: readonly Candidate[], order: Order, freely: boolean, counts: PairCounts): Decision[] {
  const decisions: Decision[] = [];
  group.forEach((a, place) => {
    for (const b of group.slice(place + 1)) {
      const passes = Number(isPass(a)) + Number(isPass(b));
      if (passes === 2 || passes === 0 && !freely) continue;
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

/**
 * The pairs of two failures cut down to their share of all pairs: those of silent prompts first, then each prompt's
 * first before any prompt's second, by the order of prompts.
 */
function capped(chosen: readonly Decision[][], groups: readonly Candidate[][]): Decision[][] {
  const failing = ({ component }: Decision) => component !== "pass";
  const certain = chosen.flat().filter((decision) => !failing(decision)).length;
  const room = Math.floor(certain * failFailShare / (1 - failFailShare) + 1e-9);
  const inLine = chosen.flatMap((decisions, prompt) =>
    decisions.filter(failing).map((decision, place) => ({ decision, place, loud: groups[prompt].some(isPass), prompt }))
  ).sort((a, b) => Number(a.loud) - Number(b.loud) || a.place - b.place || a.prompt - b.prompt);
  const kept = new Set(inLine.slice(0, room).map(({ decision }) => decision));
  return chosen.map((decisions) => decisions.filter((decision) => !failing(decision) || kept.has(decision)));
}

/** Greedy: more important component first, then the samples used least so far, then the nearest texts. */
function select(decisions: Decision[], components: readonly ComponentName[], limit: number): Decision[] {
  const used = new Map<Candidate, number>();
  const uses = (candidate: Candidate) => used.get(candidate) ?? 0;
  const rank = (decision: Decision) => [
    components.indexOf(decision.component),
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
  if (reason === "pass/fail" || reason === "repair") return 1;
  if (reason === "stage") return 0.5;
  if (reason === "fraction") return 0.25 * (testFraction(chosen.record) - testFraction(rejected.record));
  return 0.1;
}

function emptyCounts(): PairCounts {
  return {
    prompts: 0,
    promptsWithPair: 0,
    samples: 0,
    silentPrompts: 0,
    dropped: { infra: 0, duplicate: 0, flaky: 0, unfinishedPass: 0 },
    compared: 0,
    ties: 0,
    incomparable: 0,
    unfinishedWinner: 0,
    byReason: { "pass/fail": 0, stage: 0, fraction: 0, agreement: 0, severity: 0, steps: 0, random: 0, repair: 0 },
  };
}
