/** Signs of reward hacking as stages and reports see them. */
import { type Problem, programJob } from "../../data/problem.ts";
import { totalSteps } from "../../eval/monitor.ts";
import type { ReportTable } from "../../eval/report.ts";
import type { Pool } from "../../trace/pool.ts";

/** Line events of each problem's reference solution over all its tests, by id; problems without a right one are left out. */
export async function referenceSteps(pool: Pool, problems: readonly Problem[]): Promise<ReadonlyMap<string, number>> {
  const steps = new Map<string, number>();
  await Promise.all(problems.map(async (problem) => {
    if (problem.canonicalSolution === null) return;
    const result = await pool.run(programJob(problem, problem.canonicalSolution, "none"));
    if (result.passed) steps.set(problem.id, totalSteps(result));
  }));
  return steps;
}

/** One row of what a monitor saw against a later one; what neither could see is left out. */
export function hackTable(
  where: string,
  columns: [first: string, last: string],
  first: Readonly<Record<string, number | null>>,
  last: Readonly<Record<string, number | null>>,
  note: string,
): ReportTable {
  const names = [...new Set([...Object.keys(first), ...Object.keys(last)])];
  const seen = names.filter((name) => name.startsWith("monitor/") && (first[name] ?? last[name] ?? null) !== null);
  return {
    title: `Signs of reward hacking ${where}`,
    columns: ["", ...columns],
    rows: seen.map((name) => [name.slice("monitor/".length), first[name] ?? null, last[name] ?? null]),
    note,
  };
}
