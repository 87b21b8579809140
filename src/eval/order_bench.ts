/**
 * How good a preference order is, measured on nested mutants: of two failing programs, one with the faults of the other
 * and more, the one with fewer should be preferred. Fewer faults are a proxy for better, and the sibling that agreement
 * needs is the program before any fault, so figures of orders that use it are a best case.
 */
import type { Judgement } from "../trace/heuristics.ts";
import { type Interval, meanInterval } from "./statistics.ts";

/** One run of a mutant. `prefix`: per test, the share of the right program's values it makes before it first differs. */
export interface MutantRun extends Judgement {
  prefix: number[];
}

/** All runs of the mutants of one problem. */
export interface ProblemRuns {
  problem: string;
  /** Why there are no runs. */
  dropped?: string;
  /** Line events each test of a mutant may have. */
  budget: number;
  /** Per chain, the numbers of its links in `runs`, fewest edits first. */
  chains: number[][];
  /** Each different program once. */
  runs: MutantRun[];
  /** By number of a failing run, the same program with 102 line events of padding: which make new values, and none. */
  padded: Record<number, { counting: MutantRun; quiet: MutantRun }>;
  /** By number of a run out of steps, the same program with three times the budget. */
  tripled: Record<number, MutantRun>;
}

/** An order to measure: above 0 prefers a, below b, 0 is a tie, null not comparable. */
export interface Comparator {
  name: string;
  compare(a: MutantRun, b: MutantRun): number | null;
  /** What decided, where the order can tell. */
  decidedBy?(a: MutantRun, b: MutantRun): string | null;
}

export interface Tally {
  pairs: number;
  agree: number;
  disagree: number;
  ties: number;
  incomparable: number;
  /** Share of agreement where it decides, with a 95 % bootstrap interval that draws whole problems; null: it never does. */
  precision: Interval | null;
}

export const STRATA = ["both crash", "both wrong", "one out of steps", "any out of steps"] as const;

export interface OrderFigures {
  order: string;
  /** Both failing, one with the faults of the other and more. */
  nested: Tally;
  strata: Record<typeof STRATA[number], Tally>;
  /** What each rule of the order decided among nested pairs. */
  byRule: Record<string, { decided: number; agree: number }>;
  /** One fault against three of another chain. */
  independent: Tally;
  /** Share of the nested pairs in which the worse program is preferred, as it is and padded by 102 line events. */
  worsePreferred: { plain: number; counting: number; quiet: number };
  /** Nested pairs with a program out of steps: how many there are, and how many change with three times the steps. */
  budget: { pairs: number; changed: number };
  /** Of all comparisons made both ways round, those where the two answers do not fit. */
  contradictions: number;
}

export interface MutantCounts {
  problems: number;
  dropped: Record<string, string>;
  programs: number;
  oneEdit: { programs: number; pass: number; wrong: number; crash: number; fuel: number; other: number };
  nestedPairs: number;
  independentPairs: number;
}

interface NestedPair {
  problem: string;
  runs: ProblemRuns;
  /** numbers of the better and of the worse run */
  better: number;
  worse: number;
}

export function benchOrder(comparator: Comparator, all: readonly ProblemRuns[], seed: number): OrderFigures {
  let contradictions = 0;
  const sign = (a: MutantRun, b: MutantRun): number | null => {
    const [there, back] = [comparator.compare(a, b), comparator.compare(b, a)].map((value) => checked(value));
    if ((there === null) !== (back === null) || there !== null && there + back! !== 0) contradictions++;
    return there;
  };
  const byRule: OrderFigures["byRule"] = {};
  const worse = { plain: 0, counting: 0, quiet: 0 };
  const budget = { pairs: 0, changed: 0 };
  const pairs = all.flatMap(nestedPairs);
  const verdicts = pairs.map(({ problem, runs, better, worse: other }) => {
    const [a, b] = [runs.runs[better], runs.runs[other]];
    const verdict = sign(a, b);
    if (verdict) {
      const rule = comparator.decidedBy?.(a, b) ?? comparator.name;
      const seen = byRule[rule] ??= { decided: 0, agree: 0 };
      seen.decided++;
      if (verdict > 0) seen.agree++;
    }
    if (verdict !== null && verdict < 0) worse.plain++;
    for (const kind of ["counting", "quiet"] as const) {
      const padded = sign(a, runs.padded[other][kind]);
      if (padded !== null && padded < 0) worse[kind]++;
    }
    if (isFuel(a) || isFuel(b)) {
      budget.pairs++;
      if (sign(runs.tripled[better] ?? a, runs.tripled[other] ?? b) !== verdict) budget.changed++;
    }
    return { problem, verdict, a, b };
  });
  const of = (stratum: typeof STRATA[number]) => tally(verdicts.filter(({ a, b }) => inStratum[stratum](a, b)), seed);
  const share = (count: number) => pairs.length > 0 ? count / pairs.length : 0;
  const independent = all.flatMap((runs) =>
    independentPairs(runs).map(([a, b]) => ({ problem: runs.problem, verdict: sign(runs.runs[a], runs.runs[b]) }))
  );
  return {
    order: comparator.name,
    nested: tally(verdicts, seed),
    strata: Object.fromEntries(STRATA.map((name) => [name, of(name)])) as OrderFigures["strata"],
    byRule,
    independent: tally(independent, seed),
    worsePreferred: { plain: share(worse.plain), counting: share(worse.counting), quiet: share(worse.quiet) },
    budget,
    contradictions,
  };

  function checked(value: number | null): number | null {
    if (value === null || value === undefined) return null;
    if (typeof value === "number" && !Number.isNaN(value)) return Math.sign(value) + 0; // + 0: -0 is 0
    throw new Error(`Cannot use order ${comparator.name}: compare() gave ${String(value)}, expected a number or null`);
  }
}

/** What the mutants are, whatever the order. */
export function mutantCounts(all: readonly ProblemRuns[]): MutantCounts {
  const oneEdit = { programs: 0, pass: 0, wrong: 0, crash: 0, fuel: 0, other: 0 };
  for (const { chains, runs } of all) {
    for (const [first] of chains) {
      if (first === undefined) continue;
      oneEdit.programs++;
      const end = ending(runs[first]);
      if (end === "PASS") oneEdit.pass++;
      else if (end === "WRONG") oneEdit.wrong++;
      else if (end === "EXC") oneEdit.crash++;
      else if (end === "FUEL") oneEdit.fuel++;
      else oneEdit.other++;
    }
  }
  const measured = all.filter(({ dropped }) => dropped === undefined);
  return {
    problems: measured.length,
    dropped: Object.fromEntries(all.flatMap(({ problem, dropped }) => dropped ? [[problem, dropped]] : [])),
    programs: all.reduce((sum, { runs }) => sum + runs.length, 0),
    oneEdit,
    nestedPairs: all.flatMap(nestedPairs).length,
    independentPairs: all.flatMap(independentPairs).length,
  };
}

/** All pairs of links of one chain in which both fail. */
function nestedPairs(runs: ProblemRuns): NestedPair[] {
  return runs.chains.flatMap((chain) => {
    const failing = chain.filter((link) => fails(runs.runs[link]));
    return failing.flatMap((better, place) =>
      failing.slice(place + 1).map((worse) => ({ problem: runs.problem, runs, better, worse }))
    );
  });
}

/** The first link of each chain and the third of the next three. */
function independentPairs({ chains, runs }: ProblemRuns): [number, number][] {
  const pairs = chains.flatMap(([first], place) =>
    [1, 2, 3].filter((step) => step < chains.length).map((step) =>
      [first, chains[(place + step) % chains.length][2]] as [number, number]
    )
  );
  return pairs.filter(([a, b]) => a !== undefined && b !== undefined && a !== b && fails(runs[a]) && fails(runs[b]));
}

function tally(pairs: readonly { problem: string; verdict: number | null }[], seed: number): Tally {
  const count = (wanted: number | null) => pairs.filter(({ verdict }) => verdict === wanted).length;
  const decided = pairs.filter(({ verdict }) => verdict === 1 || verdict === -1);
  return {
    pairs: pairs.length,
    agree: count(1),
    disagree: count(-1),
    ties: count(0),
    incomparable: count(null),
    precision: decided.length === 0 ? null : meanInterval(decided.map(({ verdict }) => verdict === 1 ? 1 : 0), {
      seed,
      draws: 2000,
      groups: decided.map(({ problem }) => problem),
    }),
  };
}

const inStratum: Record<typeof STRATA[number], (a: Judgement, b: Judgement) => boolean> = {
  "both crash": (a, b) => ending(a) === "EXC" && ending(b) === "EXC",
  "both wrong": (a, b) => ending(a) === "WRONG" && ending(b) === "WRONG",
  "one out of steps": (a, b) => isFuel(a) !== isFuel(b),
  "any out of steps": (a, b) => isFuel(a) || isFuel(b),
};

function isFuel(run: Judgement): boolean {
  return ending(run) === "FUEL";
}

function fails(run: Judgement): boolean {
  return !run.infra && ending(run) !== "PASS";
}

/** The first outcome that is no PASS; the stage of a program that does not run. */
function ending({ stage, outcomes, passed }: Judgement): string {
  if (stage !== "run") return stage;
  if (passed) return "PASS";
  return outcomes.find((outcome) => outcome !== "PASS") ?? "KILL"; // stopped after its last test
}
