/** `etalon trace --candidates`: judges a whole set in parallel, and goes on where an earlier run stopped. */
import { createPool, type Limits, loadProblems, type Pool, type Problem, type ProgramResult, sha256 } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { inOrder } from "./in_order.ts";
import { interruptSignal } from "./interrupt.ts";
import { dataPath } from "./problems.ts";
import { terminalProgress } from "./progress.ts";
import type { TraceOptions } from "./trace.ts";
import { openPipe, openResults } from "./trace_output.ts";
import { type Candidate, readCandidates, survey } from "./trace_rows.ts";
import { addRow, liveText, newTally, summaryText } from "./trace_summary.ts";

/** One line of the output: which candidate, and all that its run showed. */
interface ResultRow extends ProgramResult {
  /** of the input */
  line: number;
  problem_id: string;
  model?: string;
  sample: number | string;
  count: number;
}

export async function runCandidates(path: string, options: TraceOptions, limits: Partial<Limits>): Promise<void> {
  const { out, workers, trace } = options;
  if (out === undefined && Deno.stdout.isTerminal()) {
    throw new Error("Cannot judge --candidates: name a file with --out, or pipe the results on");
  }
  const { problems, sources } = await readProblems(options.problems!);
  const found = await survey(path, problems);
  const tally = newTally(found.rows);
  const record = { candidates: { path, sha256: found.sha256 }, problems: sources, trace, limits };
  const results = out === undefined
    ? openPipe()
    : await openResults(out, record, (row) => addRow(tally, row as ResultRow));
  const resumed = tally.resumed = tally.done;
  if (resumed > found.rows) throw new Error(`Cannot go on with ${out}: it has more lines than ${path} has candidates`);
  const terminal = Deno.stderr.isTerminal();
  const progress = terminalProgress(terminal);
  if (resumed > 0) progress.log(`going on with ${out}: ${resumed} of ${found.rows} candidates are done`);

  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: workers });
  const signal = interruptSignal();
  signal.addEventListener("abort", () => progress.log("stopping when the running programs end; Ctrl-C again: at once"));
  try {
    // Without Python nothing can be judged: better said now than once per candidate.
    if (resumed < found.rows) await pool.script("def main(given):\n    return given", null);
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const rows = readCandidates(path, problems, trace, { from: resumed });
    const run = (candidate: Candidate) => judge(pool, candidate, limits);
    const end = await inOrder(rows, run, resumed, 2 * workers, signal, (row) => {
      addRow(tally, row);
      if (terminal) progress.live(liveText(tally, seconds()));
      return results.add(JSON.stringify(row));
    });
    if (end === "closed") return; // whoever read the results has seen enough
    progress.log(summaryText(tally, seconds()));
    if (end === "interrupted") {
      progress.log(out === undefined ? "stopped" : "stopped; the same command goes on from here");
      Deno.exitCode = 130;
    }
  } finally {
    pool.close();
    results.close();
  }
}

/** All problems of the files named, and what identifies each file. */
export async function readProblems(names: string[]): Promise<{ problems: Problem[]; sources: unknown[] }> {
  const host = denoHost();
  const problems: Problem[] = [];
  const sources: unknown[] = [];
  const owner = new Map<string, string>();
  for (const name of names) {
    const path = await dataPath(name);
    const read = await loadProblems(host, path);
    for (const { id } of read) {
      if (owner.has(id)) throw new Error(`Cannot read ${path}: id "${id}" was already used (${owner.get(id)})`);
      owner.set(id, path);
    }
    problems.push(...read);
    sources.push({ path, sha256: await sha256(JSON.stringify(read)) });
  }
  return { problems, sources };
}

async function judge(pool: Pool, candidate: Candidate, limits: Partial<Limits>): Promise<ResultRow> {
  const { line, problemId, model, sample, count } = candidate;
  const job = { ...candidate.job, limits: { ...candidate.job.limits, ...limits } }; // a user's limits come last
  let result = await pool.run(job);
  if (result.infra) result = await pool.run(job); // a second chance for our own machinery
  return { line, problem_id: problemId, model, sample, count, ...result };
}
