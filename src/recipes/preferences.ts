/** From traced samples to preference pairs with their traces: what ETA-DPO trains on and what a person can read. */
import { feedbackTest, makePairs, type Pair, type PairCounts, type PairOptions, type Sample } from "../data/pairs.ts";
import { description, type Problem, programJob, programText } from "../data/problem.ts";
import type { OrderName } from "../trace/heuristics.ts";
import type { Pool } from "../trace/pool.ts";
import { traceText } from "../trace/serialize.ts";

/** A pair as a row of pairs.jsonl; prompt, chosen, rejected and margin are TRL's columns. */
export interface PairRow extends Pair {
  prompt: string;
  chosenText: string;
  rejectedText: string;
  /** The call both traces show, as text. */
  test: string;
  chosenTrace: string;
  rejectedTrace: string;
  chosenTests: { verdict: string; passed: number; total: number };
  rejectedTests: { verdict: string; passed: number; total: number };
}

/** Pairs under an order, each with both programs traced on the same test: the first that the loser fails. */
export async function tracedPairs(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  order: OrderName,
  options: Partial<PairOptions>,
): Promise<{ rows: PairRow[]; counts: PairCounts }> {
  const { pairs, counts } = makePairs(samples, order, options);
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
  const rows = await Promise.all(pairs.map(async (pair): Promise<PairRow> => {
    const problem = problemOf.get(pair.problemId)!;
    const [chosen, rejected] = [pair.chosen, pair.rejected].map((i) => sampleOf.get(`${pair.problemId}#${i}`)!);
    const test = feedbackTest(chosen.result, rejected.result) ?? 0;
    const traced = async ({ completion }: Sample) => {
      const result = await pool.run(programJob(problem, completion, test));
      return { result, text: traceText(description(problem), programText(problem, completion), result) };
    };
    const [better, worse] = await Promise.all([traced(chosen), traced(rejected)]);
    const tests = ({ result }: Sample) => ({
      verdict: result.verdict,
      passed: result.testsPassed,
      total: result.testsTotal,
    });
    return {
      ...pair,
      prompt: problem.prompt,
      chosenText: chosen.completion,
      rejectedText: rejected.completion,
      test: better.result.tests[test]?.source ?? "loading the program",
      chosenTrace: better.text,
      rejectedTrace: worse.text,
      chosenTests: tests(chosen),
      rejectedTests: tests(rejected),
    };
  }));
  return { rows, counts };
}
