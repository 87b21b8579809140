/** Why one program fails where another passes: what the trace accuses, and which lines the experiment shows to be the cause. */
import { type Problem, programJob, programText } from "../data/problem.ts";
import { errorLines, executedStatements, statementsOn } from "../trace/credit.ts";
import { causalLines, repair } from "../trace/counterfactual.ts";
import { type Divergence, firstDivergence } from "../trace/divergence.ts";
import { splitLines } from "../trace/line_diff.ts";
import type { Pool } from "../trace/pool.ts";
import type { ProgramResult } from "../trace/schema.ts";
import { cachedJudge, COUNTERFACTUAL } from "./counterfactual.ts";
import { statementCredit, traceFailure } from "./failure.ts";

export interface ExplainedLine {
  /** 1-based, of the failing program. */
  number: number;
  text: string;
  executed: boolean;
  /** It raised the exception that ended the run. */
  erring: boolean;
  /** It made the first value that the sibling did not make. */
  diverging: boolean;
  /** Part in the backward slice, relative to the largest, 0 to 1. */
  slice: number;
  /** Part in the failure by experiment; the sum over lines is 1, or 0. */
  cause: number;
}

export interface Explanation {
  /** Of the failing program, traced on the test that shows the failure. */
  result: ProgramResult;
  siblingPassed: boolean;
  /** Index of that test among the result's tests; null: the program did not come to its tests. */
  test: number | null;
  divergence: Divergence | null;
  lines: ExplainedLine[];
  /** Lines `start` to `end` (1-based, inclusive; empty if end is before start) against the sibling's, and the gain in tests passed. */
  hunks: { start: number; end: number; lines: string[]; gain: number | null }[];
  /** Hunks (from 0) of a smallest set that repairs the program; null: none was found. */
  minimal: number[] | null;
  repaired: string | null;
}

/** Error: `Cannot explain why p/1 fails: it passes`. */
export async function explainFailure(
  pool: Pool,
  problem: Problem,
  code: string,
  siblingCode: string,
): Promise<Explanation> {
  const [own, other] = await Promise.all([code, siblingCode].map(async (completion, index) => {
    const result = await pool.run(programJob(problem, completion, "deciding"));
    return { completion, result, problemId: problem.id, index, tokens: [], finished: true };
  }));
  for (const { result } of [own, other]) {
    if (result.infra) throw new Error(`Cannot explain why ${problem.id} fails: ${result.error?.message}`);
  }
  if (own.result.passed) throw new Error(`Cannot explain why ${problem.id} fails: it passes`);
  const failure = await traceFailure(pool, problem, own, other);
  const { table, program, test, sibling } = failure;
  const { trace } = failure.result;
  const judge = cachedJudge(pool, problem, [own, other]);
  const found = await repair(judge, program, programText(problem, siblingCode), {
    most: COUNTERFACTUAL.maxHunks,
    trials: COUNTERFACTUAL.maxTrials,
  });
  const texts = splitLines(program.trimEnd());
  const causes = causalLines(found, texts.length);
  const slice = await statementCredit("slice", pool, failure);
  const divergence = trace && sibling ? firstDivergence(trace, sibling) : null;
  const executed = executedStatements(table, trace);
  const erring = statementsOn(table, errorLines(failure.result));
  const diverging = statementsOn(table, [divergence?.line]);
  const lines = texts.map((text, index): ExplainedLine => {
    const statements = table.onLine.get(index + 1) ?? [];
    const some = (set: Set<number>) => statements.some((statement) => set.has(statement));
    return {
      number: index + 1,
      text,
      executed: some(executed),
      erring: some(erring),
      diverging: some(diverging),
      slice: Math.max(0, ...statements.map((statement) => slice[statement])),
      cause: causes.get(index + 1) ?? 0,
    };
  });
  return {
    result: failure.result,
    siblingPassed: other.result.passed,
    test,
    divergence,
    lines,
    hunks: found.hunks.map(({ start, end, lines }, index) => ({
      start: start + 1,
      end,
      lines,
      gain: found.gains[index],
    })),
    minimal: found.minimal,
    repaired: found.repaired,
  };
}
