/** From judged samples to the pairs a reward model is trained and measured on. */
import { feedbackTest, type Pair, type Sample } from "../data/pairs.ts";
import { type Problem, programJob } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { outcomeOf } from "../eval/outcomes.ts";
import type { Pool } from "../trace/pool.ts";
import type { ProgramResult } from "../trace/schema.ts";
import { type RewardLayout, type RewardParts, rewardParts } from "./reward_input.ts";
import type { RewardPair } from "./reward_model.ts";

/** Kinds of pairs. Only the two of failing programs say whether a model has learnt more than to read the outcome. */
export const STRATA = ["pass/fail", "fail/fail same class", "fail/fail different class"] as const;
export type Stratum = typeof STRATA[number];

export interface LabelledPair extends RewardPair {
  problemId: string;
  stratum: Stratum;
}

/** The class of a failure is its outcome: wrong answer, crash, out of a limit, not loaded, no Python. */
export function stratumOf(chosen: Sample, rejected: Sample): Stratum {
  const [better, worse] = [outcomeOf(chosen), outcomeOf(rejected)];
  if (better === "pass") return "pass/fail";
  return better === worse ? "fail/fail same class" : "fail/fail different class";
}

/** The run of a pair's program whose trace is shown. */
export type Shown = (pair: Pair, sample: Sample) => ProgramResult;

/** Every program on its own deciding test: what there is when a single program is to be scored. */
export const ownTest: Shown = (_pair, { result }) => result;

/**
 * Both programs of a pair on the same test, the first that the worse one fails: each is run again. Which test decided a program
 * tells whether it passed (the first one of all, or the first it fails); this way the traces differ by what the programs do.
 */
export async function sameTest(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  pairs: readonly Pair[],
): Promise<Shown> {
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = samplesByName(samples);
  const testOf = new Map(pairs.map((pair) => {
    const [better, worse] = [pair.chosen, pair.rejected].map((index) => sampleOf.get(`${pair.problemId}#${index}`)!);
    return [pair, feedbackTest(better.result, worse.result) ?? 0];
  }));
  const key = (pair: Pair, index: number) => `${pair.problemId}#${index}@${testOf.get(pair)}`;
  const runs = new Map<string, Promise<ProgramResult>>();
  for (const pair of pairs) {
    for (const index of [pair.chosen, pair.rejected]) {
      const { completion } = sampleOf.get(`${pair.problemId}#${index}`)!;
      const job = () => programJob(problemOf.get(pair.problemId)!, completion, testOf.get(pair)!);
      if (!runs.has(key(pair, index))) runs.set(key(pair, index), pool.run(job()));
    }
  }
  const done = new Map(await Promise.all([...runs].map(async ([name, run]) => [name, await run] as const)));
  return (pair, sample) => done.get(key(pair, sample.index))!;
}

const samplesByName = (samples: readonly Sample[]) =>
  new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));

/** Error: a pair of a problem or a sample that is not given. */
export function rewardPairs(
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  samples: readonly Sample[],
  pairs: readonly Pair[],
  layout: RewardLayout,
  shown: Shown = ownTest,
): LabelledPair[] {
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = samplesByName(samples);
  const known = new Map<ProgramResult, RewardParts>(); // a sample is in several pairs
  return pairs.map((pair) => {
    const { problemId, chosen, rejected, margin } = pair;
    const problem = problemOf.get(problemId);
    const [better, worse] = [chosen, rejected].map((index) => sampleOf.get(`${problemId}#${index}`));
    if (!problem || !better || !worse) {
      throw new Error(`Cannot make a reward pair: ${problemId}#${chosen} over #${rejected} is not among what is given`);
    }
    const parts = (sample: Sample) => {
      const result = shown(pair, sample);
      const found = known.get(result) ??
        rewardParts(tokenizer, problem, { completion: sample.completion, result }, layout);
      known.set(result, found);
      return found;
    };
    return { problemId, stratum: stratumOf(better, worse), margin, chosen: parts(better), rejected: parts(worse) };
  });
}
