/**
 * RFT, rejection-sampling fine-tuning (Yuan et al. 2023, "Scaling Relationship on Learning Mathematical Reasoning with Large
 * Language Models"): what to feed SFT with after sampling and judging, as functions that select.
 *
 *   L = -(1/M) sum over tokens of log p(token | before),  over the model's own samples that pass all tests
 *
 * It is the control for every method that learns from the same samples: it shows what imitation of successes gives alone.
 *
 * Differences to the paper: 1. "passes all tests" takes the place of "right final answer", and programs that differ in
 * comments, blank lines and spacing alone are one, in place of equal lists of equations; 2. training goes on from the weights
 * that sampled, not from the base; 3. of more distinct programs than wanted the first sampled ones are kept; 4. a completion
 * that was cut off is never learnt, as it would teach not to stop.
 */
import type { Sample } from "../data/pairs.ts";
import { askedText, type Problem } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { normalisedCode } from "../trace/code_tokens.ts";
import { positionsOf, type Sequence } from "./batches.ts";
import { promptTokens, tokenizeRow } from "./sequences.ts";

/**
 * Finished samples that pass, at most `perProblem` distinct ones of a problem, in the order of their numbers. Runs that the
 * machinery spoiled and programs that passed once and failed once do not count.
 */
export function passingSamples(samples: readonly Sample[], perProblem: number): Sample[] {
  if (!(perProblem >= 1)) throw new Error(`Cannot select samples: ${perProblem} of each problem, 1 is the least`);
  const kept: Sample[] = [];
  for (const group of groupBy(samples, ({ problemId }) => problemId)) {
    const judged = group.filter(({ result }) => !result.infra).sort((a, b) => a.index - b.index);
    const programs = groupBy(judged, ({ completion }) => normalisedCode(completion))
      .filter((copies) => copies.every(({ result }) => result.passed && !result.flaky))
      .flatMap((copies) => copies.find(({ finished }) => finished) ?? []);
    kept.push(...programs.sort((a, b) => a.index - b.index).slice(0, perProblem));
  }
  return kept;
}

/** Problems of which no sample is worth learning: those on which pass or fail is silent. */
export function silentProblems(problems: readonly Problem[], samples: readonly Sample[]): Problem[] {
  const solved = new Set(passingSamples(samples, 1).map(({ problemId }) => problemId));
  return problems.filter(({ id }) => !solved.has(id));
}

/** Samples as the tokens that were sampled, behind their prompts. Error: a sample of no problem given. */
export function sampleSequences(
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  samples: readonly Sample[],
): Sequence[] {
  const prompts = new Map(problems.map((problem) => [problem.id, promptTokens(tokenizer, askedText(problem))]));
  return samples.map(({ problemId, tokens }) => {
    const prompt = prompts.get(problemId);
    if (!prompt) throw new Error(`Cannot join a sample to its prompt: there is no problem ${problemId}`);
    return { tokens: [...prompt, ...tokens], promptLength: prompt.length };
  });
}

export interface Selected {
  sequences: Sequence[];
  /** Of them: own samples, and reference solutions. */
  own: number;
  references: number;
  /** Reference solutions that are missing, or longer than the model has positions. */
  left: { missing: number; tooLong: number };
}

/** SFT on the reference solutions of problems, at most `longest` positions each. */
export function referenceRows(tokenizer: Tokenizer, problems: readonly Problem[], longest: number): Selected {
  const rows = problems.flatMap((problem) => {
    const { canonicalSolution: completion } = problem;
    return completion === null ? [] : [tokenizeRow(tokenizer, { prompt: askedText(problem), completion })];
  });
  const sequences = rows.filter((row) => positionsOf(row) <= longest);
  const left = { missing: problems.length - rows.length, tooLong: rows.length - sequences.length };
  return { sequences, own: 0, references: sequences.length, left };
}

/**
 * The data of RFT: own passing samples; with `silent`, which needs reference solutions, those of the prompts that have none.
 * The second is the control for feedback that uses a reference solution where pass or fail says nothing.
 */
export function rftRows(
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  samples: readonly Sample[],
  options: { perProblem: number; silent: boolean; longest: number },
): Selected {
  const own = sampleSequences(tokenizer, problems, passingSamples(samples, options.perProblem));
  const silent = options.silent ? silentProblems(problems, samples) : [];
  const added = referenceRows(tokenizer, silent, options.longest);
  return { ...added, sequences: [...own, ...added.sequences], own: own.length };
}

/**
 * Steps of SFT that cost what `steps` of a preference loss cost, where both pass the same number of sequences a step
 * (2 x pairs): as many positions forward and backward, padding aside. What references cost (a third of one pass over all
 * pairs) is not counted, and sampling and execution are the same for both.
 */
export function matchedSteps(
  steps: number,
  pairs: readonly { chosen: Sequence; rejected: Sequence }[],
  sequences: readonly Sequence[],
): number {
  if (pairs.length === 0 || sequences.length === 0) {
    throw new Error(`Cannot match steps: ${pairs.length} pairs and ${sequences.length} sequences`);
  }
  const mean = (all: readonly Sequence[]) => all.reduce((sum, each) => sum + positionsOf(each), 0) / all.length;
  const paired = mean(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  return Math.max(1, Math.round(steps * paired / mean(sequences)));
}

/** Lists of what has the same key, in the order of their first members. */
function groupBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups.values()];
}
