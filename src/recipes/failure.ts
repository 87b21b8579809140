/** A failing sample as credit sees it: run on the test that shows the failure, beside a passing sibling if there is one. */
import { feedbackTest, type Sample } from "../data/pairs.ts";
import { type Problem, programJob, programText } from "../data/problem.ts";
import { errorLines, executedStatements, statementsOn, suspiciousness } from "../trace/credit.ts";
import { firstDivergence } from "../trace/divergence.ts";
import type { Pool } from "../trace/pool.ts";
import type { ProgramResult, Trace } from "../trace/schema.ts";
import { backwardSlice, flowTable } from "../trace/slice.ts";
import { type StatementTable, statementTable } from "../trace/statements.ts";

/** Slices need all events; the recorder itself stops after 5,000 lines. */
const WHOLE_TRACE = { traceEventsHead: 8000, traceEventsTail: 2000 };
/** Tests that Ochiai's formula looks at: each is a run of its own. */
const MOST_TESTS = 12;

export interface Failure {
  problem: Problem;
  code: string;
  program: string;
  table: StatementTable;
  /** Traced on `test`, if the program came to run. */
  result: ProgramResult;
  /** The test that shows the failure; null: none fails, or the program did not come to its tests. */
  test: number | null;
  /** The sibling's run of the same test; null without sibling. */
  sibling: Trace | null;
}

/** Runs a failing sample, and its passing sibling, traced on the first test that tells them apart. */
export async function traceFailure(
  pool: Pool,
  problem: Problem,
  loser: Pick<Sample, "completion" | "result">,
  winner: Pick<Sample, "completion" | "result"> | null,
): Promise<Failure> {
  const test = feedbackTest((winner ?? loser).result, loser.result);
  const program = programText(problem, loser.completion);
  const [table, result, other] = await Promise.all([
    statementTable(pool, program),
    wholeTrace(pool, problem, loser, test ?? 0),
    winner && test !== null ? wholeTrace(pool, problem, winner, test) : null,
  ]);
  return { problem, code: loser.completion, program, table, result, test, sibling: other?.trace ?? null };
}

/** The result with the trace of one test; a sample that brings it along is not run again. */
async function wholeTrace(
  pool: Pool,
  problem: Problem,
  { completion, result }: Pick<Sample, "completion" | "result">,
  test: number,
): Promise<ProgramResult> {
  if (result.stage === "syntax" || (result.trace && result.traceTest === test && result.trace.dropped === 0)) {
    return result;
  }
  const job = programJob(problem, completion, test);
  return await pool.run({ ...job, limits: { ...job.limits, ...WHOLE_TRACE, ...enoughSteps(result) } });
}

/** A budget under which a program that was run before does the same again, though an endless loop in it ends sooner. */
export function enoughSteps({ tests }: ProgramResult): { stepsPerTest: number } {
  const ended = tests.filter(({ outcome }) => outcome !== "FUEL" && outcome !== "KILL").map(({ steps }) => steps);
  return { stepsPerTest: Math.max(20_000, 1000 + Math.max(0, ...ended)) };
}

export const ACCUSERS = ["exec", "erring", "div", "slice", "ochiai"] as const;
export type Accuser = typeof ACCUSERS[number];

/**
 * Credit of every statement of the failing program: the most accused one has 1, all are 0 where there is nothing to go by. A
 * program that never came to run is accused at the line that its error names, by all but `ochiai`.
 */
export async function statementCredit(accuser: Accuser, pool: Pool, failure: Failure): Promise<number[]> {
  const { table, result, sibling, test, program } = failure;
  const { trace } = result;
  const flags = (found: Set<number>) => table.statements.map((_, statement) => found.has(statement) ? 1 : 0);
  if (accuser === "ochiai") return scaled(await ochiai(pool, failure) ?? flags(new Set()));
  if (!trace) return flags(statementsOn(table, [result.error?.line]));
  switch (accuser) {
    case "exec":
      return flags(executedStatements(table, trace));
    case "erring":
      return flags(statementsOn(table, errorLines(result)));
    case "div":
      return flags(statementsOn(table, [sibling && firstDivergence(trace, sibling)?.line]));
    case "slice": {
      const flow = await flowTable(pool, program, table);
      const outcome = result.tests.find(({ index }) => index === test)?.outcome ?? "EXC";
      return scaled((flow && backwardSlice(table, flow, trace, outcome)?.credit) ?? flags(new Set()));
    }
  }
}

/** Over the program's own tests, failing and passing ones alike; null without one of each. */
async function ochiai(pool: Pool, { problem, code, table, result }: Failure): Promise<number[] | null> {
  const failing = result.tests.filter(({ outcome }) => outcome !== "PASS" && outcome !== "SKIP");
  const passing = result.tests.filter(({ outcome }) => outcome === "PASS");
  const few = Math.ceil(MOST_TESTS / 2);
  const chosen = [
    ...failing.slice(0, Math.max(few, MOST_TESTS - passing.length)),
    ...passing.slice(0, Math.max(few, MOST_TESTS - failing.length)),
  ];
  if (failing.length === 0 || passing.length === 0) return null;
  const runs = await Promise.all(chosen.map(async ({ index, outcome }) => {
    const job = programJob(problem, code, index);
    const { trace } = await pool.run({ ...job, limits: { ...job.limits, ...enoughSteps(result) } });
    return trace ? [{ trace, passed: outcome === "PASS" }] : [];
  }));
  return suspiciousness(table, runs.flat());
}

/** With 1 as the largest. */
export function scaled(credit: readonly number[]): number[] {
  const most = Math.max(0, ...credit);
  return credit.map((value) => most > 0 ? value / most : 0);
}
