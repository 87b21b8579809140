/** Samples of one model on one set of problems, summed up; and two such sums compared. */
import { crashTypes, isSolved, type OutcomeMix, outcomeMix, outcomeOf, type Scored } from "./outcomes.ts";
import { meanPassAtK, passAtK } from "./passk.ts";
import { type Interval, meanInterval, pairedInterval, quantile } from "./statistics.ts";

export interface ProblemScore {
  id: string;
  family?: string;
  /** Samples that count (not spoiled by the machinery) and those of them that pass. */
  n: number;
  c: number;
}

export interface Evaluation {
  problems: number;
  samplesPerProblem: number;
  /** By k as text: value and 95 % bootstrap interval over problems, in [0, 1]. */
  passAt: Record<string, Interval>;
  outcomes: OutcomeMix;
  /** Exception types behind `outcomes.crash`, most frequent first. */
  crashes: Record<string, number>;
  byFamily: Record<string, { problems: number; passAt1: number }>;
  /** Share of completions that ended by themselves, mean length in tokens, share of texts that differ. */
  completions: { finished: number; meanTokens: number; distinct: number };
  /**
   * Line events over all tests of a program, for programs that ran and hit no limit. They should not grow: padding
   * and busy loops show here first. Null if there is none.
   */
  steps: { median: number; p95: number } | null;
  perProblem: ProblemScore[];
}

export interface SummaryOptions {
  ks: readonly number[];
  seed: number;
  /** Family of each problem id, where problems come in families. */
  families?: ReadonlyMap<string, string>;
}

/**
 * Sums up all samples of a model. Samples that the machinery spoiled are left out of pass@k; a problem that has then
 * fewer than k left makes pass@k impossible, which is an error naming the problem.
 */
export function summarize(samples: readonly Scored[], { ks, seed, families }: SummaryOptions): Evaluation {
  if (samples.length === 0) throw new Error("Cannot sum up no samples");
  const scores = new Map<string, ProblemScore & { drawn: number }>();
  for (const sample of samples) {
    const family = families?.get(sample.problemId);
    const score = scores.get(sample.problemId) ??
      { id: sample.problemId, ...(family === undefined ? {} : { family }), n: 0, c: 0, drawn: 0 };
    score.drawn++;
    if (outcomeOf(sample) !== "infra") score.n++;
    if (isSolved(sample)) score.c++;
    scores.set(sample.problemId, score);
  }
  const perProblem = [...scores.values()].map(({ drawn: _, ...score }) => score);
  const passAt: Record<string, Interval> = {};
  for (const k of ks) {
    const values = perProblem.map((score) => namedPassAtK(score, k));
    passAt[k] = meanInterval(values, { seed });
  }
  return {
    problems: perProblem.length,
    samplesPerProblem: Math.max(...[...scores.values()].map((score) => score.drawn)),
    passAt,
    outcomes: outcomeMix(samples),
    crashes: crashTypes(samples),
    byFamily: byFamily(perProblem),
    completions: {
      finished: samples.filter((sample) => sample.finished).length / samples.length,
      meanTokens: samples.reduce((sum, { tokens }) => sum + tokens.length, 0) / samples.length,
      distinct: new Set(samples.map(({ problemId, completion }) => `${problemId}\n${completion}`)).size /
        samples.length,
    },
    steps: stepCounts(samples),
    perProblem,
  };
}

/**
 * What can be measured of several evaluations of the same problems where the machinery spoiled some samples: a problem
 * with none left anywhere is dropped, and k goes up to the fewest samples that any other problem has left.
 */
export function measurable(
  evaluations: readonly (readonly Scored[])[],
  ks: readonly number[],
): { ks: number[]; dropped: string[]; spoiled: number } {
  const left = new Map<string, number[]>();
  let spoiled = 0;
  evaluations.forEach((samples, i) => {
    for (const sample of samples) {
      const counts = left.get(sample.problemId) ?? evaluations.map(() => 0);
      if (outcomeOf(sample) === "infra") spoiled++;
      else counts[i]++;
      left.set(sample.problemId, counts);
    }
  });
  const fewest = [...left].map(([id, counts]) => [id, Math.min(...counts)] as const);
  const dropped = fewest.filter(([, count]) => count === 0).map(([id]) => id);
  const kept = fewest.map(([, count]) => count).filter((count) => count > 0);
  const most = kept.length > 0 ? Math.min(...kept) : 0;
  return { ks: ks.filter((k) => k <= most), dropped, spoiled };
}

export interface Comparison {
  /** By k as text: mean change of pass@k, 95 % paired bootstrap interval over problems. */
  passAt: Record<string, Interval>;
  /** The same for pass@1 drawing whole families, where there are at least two: the wider, more honest one. */
  passAt1OverFamilies?: Interval;
}

/** The change from one evaluation to another of the very same problems; error if they differ. */
export function compareEvaluations(before: Evaluation, after: Evaluation, seed: number): Comparison {
  const later = new Map(after.perProblem.map((score) => [score.id, score]));
  const lost = before.perProblem.find(({ id }) => !later.has(id));
  if (lost || before.problems !== after.problems) {
    throw new Error(
      `Cannot compare: ${before.problems} problems before, ${after.problems} after` +
        (lost ? `, "${lost.id}" is missing after` : ""),
    );
  }
  const values = (k: number) =>
    [
      before.perProblem.map((score) => namedPassAtK(score, k)),
      before.perProblem.map((score) => namedPassAtK(later.get(score.id)!, k)),
    ] as const;
  const passAt: Record<string, Interval> = {};
  for (const k of Object.keys(before.passAt)) {
    if (k in after.passAt) passAt[k] = pairedInterval(...values(Number(k)), { seed });
  }
  const groups = before.perProblem.map((score) => score.family ?? score.id);
  const families = new Set(groups).size;
  if (families < 2 || families === groups.length) return { passAt };
  return { passAt, passAt1OverFamilies: pairedInterval(...values(1), { seed, groups }) };
}

function namedPassAtK({ id, n, c }: ProblemScore, k: number): number {
  if (n < k) throw new Error(`Cannot compute pass@${k}: problem ${id} has ${n} samples that count`);
  return passAtK(n, c, k);
}

function byFamily(scores: readonly ProblemScore[]): Evaluation["byFamily"] {
  const groups = new Map<string, ProblemScore[]>();
  for (const score of scores) {
    if (score.family === undefined) continue;
    groups.set(score.family, [...groups.get(score.family) ?? [], score]);
  }
  return Object.fromEntries(
    [...groups].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([family, group]) => [family, { problems: group.length, passAt1: meanPassAtK(group, 1) }]),
  );
}

function stepCounts(samples: readonly Scored[]): Evaluation["steps"] {
  const counts = samples
    .filter((sample) => sample.result.stage === "run" && !["limit", "infra"].includes(outcomeOf(sample)))
    .map(({ result }) => result.tests.reduce((sum, test) => sum + test.steps, 0))
    .sort((a, b) => a - b);
  return counts.length ? { median: quantile(counts, 0.5), p95: quantile(counts, 0.95) } : null;
}
