/** From judged samples to the pairs a reward model is trained and measured on. */
import type { Pair, Sample } from "../data/pairs.ts";
import type { Problem } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { outcomeOf } from "../eval/outcomes.ts";
import { type RewardLayout, rewardParts } from "./reward_input.ts";
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

/** Error: a pair of a problem or a sample that is not given. */
export function rewardPairs(
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  samples: readonly Sample[],
  pairs: readonly Pair[],
  layout: RewardLayout,
): LabelledPair[] {
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
  return pairs.map(({ problemId, chosen, rejected, margin }) => {
    const problem = problemOf.get(problemId);
    const [better, worse] = [chosen, rejected].map((index) => sampleOf.get(`${problemId}#${index}`));
    if (!problem || !better || !worse) {
      throw new Error(`Cannot make a reward pair: ${problemId}#${chosen} over #${rejected} is not among what is given`);
    }
    const parts = (sample: Sample) => rewardParts(tokenizer, problem, sample, layout);
    return { problemId, stratum: stratumOf(better, worse), margin, chosen: parts(better), rejected: parts(worse) };
  });
}
