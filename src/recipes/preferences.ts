/** From traced samples to preference pairs with their traces: what ETA-DPO trains on and what a person can read. */
import { feedbackTest, makePairs, type Pair, type PairCounts, type PairOptions, type Sample } from "../data/pairs.ts";
import { askedText, description, type Problem, programJob, programText } from "../data/problem.ts";
import type { Order, OrderName } from "../trace/heuristics.ts";
import type { Pool } from "../trace/pool.ts";
import { traceText } from "../trace/serialize.ts";

/** A pair as a row of pairs.jsonl. */
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

/** What one sample does on one test. */
export interface TestTrace {
  /** The call, as text. */
  test: string;
  /** The trace, as text. */
  text: string;
}

/** Pairs under an order, each with both programs traced on the same test: the first that the loser fails. */
export async function tracedPairs(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  order: OrderName | Order,
  options: Partial<PairOptions>,
): Promise<{ rows: PairRow[]; counts: PairCounts }> {
  const { pairs, counts } = makePairs(samples, order, options);
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
  const rows = await Promise.all(pairs.map((pair): Promise<PairRow> => {
    const problem = problemOf.get(pair.problemId)!;
    const [chosen, rejected] = [pair.chosen, pair.rejected].map((i) => sampleOf.get(`${pair.problemId}#${i}`)!);
    return pairRow(pair, askedText(problem), chosen, rejected, async ({ completion }, test) => {
      const result = await pool.run(programJob(problem, completion, test));
      const text = traceText(description(problem), programText(problem, completion), result);
      return { test: result.tests[test]?.source ?? "loading the program", text };
    });
  }));
  return { rows, counts };
}

/** The row of one pair, from both samples' traces of its feedback test. */
export async function pairRow(
  pair: Pair,
  prompt: string,
  chosen: Sample,
  rejected: Sample,
  traced: (sample: Sample, test: number) => Promise<TestTrace>,
): Promise<PairRow> {
  const test = feedbackTest(chosen.result, rejected.result) ?? 0;
  const [better, worse] = await Promise.all([traced(chosen, test), traced(rejected, test)]);
  const tests = ({ result }: Sample) => ({
    verdict: result.verdict,
    passed: result.testsPassed,
    total: result.testsTotal,
  });
  return {
    ...pair,
    prompt,
    chosenText: chosen.completion,
    rejectedText: rejected.completion,
    test: better.test,
    chosenTrace: better.text,
    rejectedTrace: worse.text,
    chosenTests: tests(chosen),
    rejectedTests: tests(rejected),
  };
}

/** A row in TRL's form: its preference trainers read `prompt`, `chosen`, `rejected` and `margin` and leave the rest. */
export function trlRow(row: PairRow, order: string): Record<string, string | number> {
  return {
    prompt: row.prompt,
    chosen: row.chosenText,
    rejected: row.rejectedText,
    margin: row.margin,
    ...(row.labelSmoothing === undefined ? {} : { label_smoothing: row.labelSmoothing }),
    reason: row.reason,
    order,
    problem_id: row.problemId,
    chosen_sample: row.chosen,
    rejected_sample: row.rejected,
    test: row.test,
    chosen_trace: row.chosenTrace,
    rejected_trace: row.rejectedTrace,
  };
}
