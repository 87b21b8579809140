/**
 * Data from experiments on failing samples: each gets hunks of a passing sample of the same problem, one at a time, and is tested
 * again. What repairs it makes pairs that differ in one place, though the model sampled no such winner, and repairs to learn from.
 *
 * Such pairs have a tiny edit distance: nearly all of their tokens cancel in a preference loss, so train them with the SFT term
 * on winners (Pal et al. 2024, "Smaug: Fixing Failure Modes of Preference Optimisation with DPO-Positive").
 */
import type { Pair, Sample } from "../data/pairs.ts";
import { askedText, description, type Problem, programJob, programText } from "../data/problem.ts";
import { codeTokens, editDistance, normalisedCode } from "../trace/code_tokens.ts";
import { causalLines, type Judge, type Repair, repair } from "../trace/counterfactual.ts";
import { splitLines } from "../trace/line_diff.ts";
import type { Pool } from "../trace/pool.ts";
import { traceText } from "../trace/serialize.ts";
import { enoughSteps } from "./failure.ts";

export interface CounterfactualOptions {
  /** Hunks of one experiment; neighbours join where there are more. */
  maxHunks: number;
  /** Programs a search for a set of several hunks may run. */
  maxTrials: number;
  /** Failing samples of a problem, those nearest to a passing one first. */
  perProblem: number;
}

export const COUNTERFACTUAL: CounterfactualOptions = { maxHunks: 8, maxTrials: 24, perProblem: 4 };

export interface Counterfactual {
  problemId: string;
  /** Sample.index of the failing sample and of the passing one whose hunks it got. */
  loser: number;
  winner: number;
  repair: Repair;
  /** Line of the loser's program (1-based) and its part in the failure; the sum is 1, or there are none. */
  lines: [number, number][];
  /** The loser's completion with a smallest repairing set of hunks; null: nothing repaired it. */
  completion: string | null;
}

export interface CounterfactualProgress {
  done: number;
  total: number;
}

/**
 * Experiments on the failing samples of all problems that have a finished passing one. The same samples give the same result. A
 * caller that wants to resume calls problem by problem and keeps what came back.
 */
export async function counterfactualRepairs(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  options: Partial<CounterfactualOptions> = {},
  progress: (state: CounterfactualProgress) => void = () => {},
): Promise<Counterfactual[]> {
  const { maxHunks, maxTrials, perProblem } = { ...COUNTERFACTUAL, ...options };
  const tasks = problems.flatMap((problem) => {
    const group = samples.filter(({ problemId }) => problemId === problem.id);
    const judge = cachedJudge(pool, problem, group);
    return siblingPairs(group).slice(0, perProblem).map(({ loser, winner }) => ({ problem, loser, winner, judge }));
  });
  let done = 0;
  return await Promise.all(tasks.map(async ({ problem, loser, winner, judge }) => {
    const result = await repairSample(judge, problem, loser, winner, { maxHunks, maxTrials });
    progress({ done: ++done, total: tasks.length });
    return result;
  }));
}

/** One experiment: the failing sample with hunks of the passing one. */
export async function repairSample(
  judge: Judge,
  problem: Problem,
  loser: Sample,
  winner: Sample,
  { maxHunks, maxTrials }: Pick<CounterfactualOptions, "maxHunks" | "maxTrials"> = COUNTERFACTUAL,
): Promise<Counterfactual> {
  const program = programText(problem, loser.completion);
  const passing = programText(problem, winner.completion);
  const found = await repair(judge, program, passing, { most: maxHunks, trials: maxTrials });
  const head = problem.codeMode === "completion" ? problem.prompt : "";
  const { repaired } = found;
  return {
    problemId: problem.id,
    loser: loser.index,
    winner: winner.index,
    repair: found,
    lines: [...causalLines(found, splitLines(program.trimEnd()).length)],
    completion: repaired?.startsWith(head) ? repaired.slice(head.length) : null,
  };
}

/**
 * Judges programs of one problem, each text once. A run out of steps is one out of ten times what the passing samples need (at least
 * 2,000): a hunk in the wrong place often makes a loop endless.
 */
export function cachedJudge(pool: Pool, problem: Problem, group: readonly Sample[]): Judge {
  const known = new Map<string, ReturnType<Judge>>();
  const steps = group.filter(({ result }) => result.passed).flatMap(({ result }) =>
    result.tests.map((test) => test.steps)
  );
  return (program) => {
    const found = known.get(program);
    if (found) return found;
    const job = programJob(problem, "", "none");
    const stepsPerTest = Math.max(2000, 10 * Math.max(0, ...steps) + 1000);
    const result = pool.run({ ...job, program, limits: { stepsPerTest, ...job.limits } });
    known.set(program, result);
    return result;
  };
}

/** Every distinct failing sample with the passing one of smallest token edit distance, the nearest first. */
export function siblingPairs(group: readonly Sample[]): { loser: Sample; winner: Sample; distance: number }[] {
  const distinct = (some: readonly Sample[]) =>
    [
      ...new Map([...some].reverse().map((sample) => [normalisedCode(sample.completion), sample])).values(),
    ].sort((a, b) => a.index - b.index);
  const usable = group.filter(({ result }) => !result.infra && !result.flaky);
  const passing = distinct(usable.filter(({ result, finished }) => result.passed && finished));
  if (passing.length === 0) return [];
  const winners = passing.map((sample) => ({ sample, tokens: codeTokens(sample.completion) }));
  return distinct(usable.filter(({ result }) => !result.passed)).map((loser) => {
    const tokens = codeTokens(loser.completion);
    const [nearest] = winners
      .map(({ sample, tokens: other }) => ({ sample, distance: editDistance(tokens, other) }))
      .sort((a, b) => a.distance - b.distance || a.sample.index - b.sample.index);
    return { loser, winner: nearest.sample, distance: nearest.distance };
  }).sort((a, b) => a.distance - b.distance || a.loser.index - b.loser.index);
}

/** A pair whose winner no model sampled: the loser, repaired. */
export interface RepairPair extends Omit<Pair, "chosen"> {
  prompt: string;
  chosenText: string;
  rejectedText: string;
  /** How many hunks it took. */
  hunks: number;
}

/** Minimal pairs of all experiments that repaired their program with at most `maxHunks` hunks; equal ones once. */
export function repairPairs(
  problems: readonly Problem[],
  samples: readonly Sample[],
  found: readonly Counterfactual[],
  maxHunks = 1,
): RepairPair[] {
  const seen = new Set<string>();
  return repaired(problems, samples, found).flatMap(({ problem, loser, completion, hunks }) => {
    const key = JSON.stringify([problem.id, normalisedCode(completion), normalisedCode(loser.completion)]);
    if (hunks > maxHunks || seen.has(key)) return [];
    seen.add(key);
    return [{
      problemId: problem.id,
      rejected: loser.index,
      reason: "repair" as const,
      margin: 1,
      prompt: askedText(problem),
      chosenText: completion,
      rejectedText: loser.completion,
      hunks,
    }];
  });
}

/** A bug, what running it shows, and its smallest known repair. */
export interface RepairRow {
  problemId: string;
  task: string;
  buggy: string;
  /** Text form of the first failing test's trace, outcome included. */
  trace: string;
  fix: string;
}

/** Repairs to learn from, whatever number of hunks they took. */
export async function repairRows(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  found: readonly Counterfactual[],
): Promise<RepairRow[]> {
  return await Promise.all(
    repaired(problems, samples, found).map(async ({ problem, loser, completion }) => {
      const program = programText(problem, loser.completion);
      const job = programJob(problem, loser.completion, "deciding");
      const limits = { ...job.limits, ...enoughSteps(loser.result) };
      const result = loser.result.trace ? loser.result : await pool.run({ ...job, limits });
      return {
        problemId: problem.id,
        task: description(problem),
        buggy: program,
        trace: traceText(description(problem), program, result),
        fix: programText(problem, completion),
      };
    }),
  );
}

function repaired(problems: readonly Problem[], samples: readonly Sample[], found: readonly Counterfactual[]) {
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
  return found.flatMap(({ problemId, loser: index, completion, repair }) => {
    const [problem, loser] = [problemOf.get(problemId), sampleOf.get(`${problemId}#${index}`)];
    if (!problem || !loser) throw new Error(`Cannot use the repair of ${problemId}#${index}: its sample is not there`);
    return completion === null ? [] : [{ problem, loser, completion, hunks: repair.minimal!.length }];
  });
}
