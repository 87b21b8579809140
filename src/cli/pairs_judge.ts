/** Candidates as samples to form pairs from: judged once with value streams, kept in a file that later runs go on with. */
import { createPool, type Problem, type ProgramResult, type Sample, shortResult } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { inOrder } from "./in_order.ts";
import type { Progress } from "./progress.ts";
import { readProblems } from "./trace_candidates.ts";
import { openResults } from "./trace_output.ts";
import { type Candidate, readCandidates, survey } from "./trace_rows.ts";
import { addRow, liveText, newTally, summaryText } from "./trace_summary.ts";

export interface JudgeOptions {
  candidates: string;
  problems: string[];
  /** JSON lines, one a candidate in input order. */
  results: string;
  workers: number;
}

/** A candidate, the sample it is, and the data set it belongs to. */
export interface Judged {
  candidate: Candidate;
  problem: Problem;
  sample: Sample;
}

interface ResultRow {
  problem_id: string;
  count: number;
  verdict: ProgramResult["verdict"];
  passed: boolean;
  infra: boolean;
  result: ProgramResult;
}

/**
 * All candidates of a file, judged; null if interrupted. Answers to one problem in another form (a body, a program, a
 * program that reads stdin) are answers to another prompt: their problem id ends in `@program` or `@stdio-program`.
 */
export async function judgedCandidates(
  options: JudgeOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Judged[] | null> {
  const { problems, sources } = await readProblems(options.problems);
  const found = await survey(options.candidates, problems);
  const record = {
    use: "pairs",
    candidates: { path: options.candidates, sha256: found.sha256 },
    problems: sources,
  };
  const tally = newTally(found.rows);
  const rows: ResultRow[] = [];
  const see = (row: ResultRow) => {
    addRow(tally, row);
    rows.push(row);
  };
  const results = await openResults(options.results, record, (row) => see(row as ResultRow));
  const resumed = tally.resumed = tally.done;
  if (resumed > 0) progress.log(`going on with ${options.results}: ${resumed} of ${found.rows} candidates are judged`);
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: options.workers });
  try {
    if (resumed < found.rows) {
      await pool.script("def main(given):\n    return given", null); // without Python nothing can be judged
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1000;
      const run = async ({ problemId, count, job }: Candidate): Promise<ResultRow> => {
        const asked = { ...job, streams: true };
        let result = await pool.run(asked);
        if (result.infra) result = await pool.run(asked); // a second chance for our own machinery
        const { verdict, passed, infra } = result;
        return { problem_id: problemId, count, verdict, passed, infra, result: shortResult(result) };
      };
      // The traced replay of the deciding test says whether a program answers the same twice.
      const open = readCandidates(options.candidates, problems, "deciding", { from: resumed });
      const end = await inOrder(open, run, resumed, 2 * options.workers, signal, (row) => {
        see(row);
        progress.live(liveText(tally, seconds()));
        return results.add(JSON.stringify(row));
      });
      progress.log(summaryText(tally, seconds()));
      if (end === "interrupted") return null;
    }
  } finally {
    pool.close();
    results.close();
  }
  return await samplesOf(options.candidates, problems, rows);
}

async function samplesOf(path: string, problems: readonly Problem[], rows: readonly ResultRow[]): Promise<Judged[]> {
  const problemOf = new Map(problems.map((problem) => [problem.id, problem]));
  const counts = new Map<string, number>();
  const judged: Judged[] = [];
  for await (const candidate of readCandidates(path, problems, "none")) {
    const problem = problemOf.get(candidate.problemId)!;
    const suffix = candidate.codeMode === problem.codeMode ? "" : `@${candidate.codeMode}`;
    const problemId = problem.id + (problem.testKind === "stdio" ? "" : suffix);
    const index = counts.get(problemId) ?? 0;
    counts.set(problemId, index + 1);
    const sample: Sample = {
      problemId,
      index,
      completion: candidate.code,
      tokens: [],
      finished: true,
      count: candidate.count,
      result: rows[candidate.index].result,
    };
    judged.push({ candidate, problem, sample });
  }
  return judged;
}
