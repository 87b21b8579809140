/** Judges many programs on a few interpreters, result by result into a JSON-lines file that a second run goes on from. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { spawnArena } from "../src/host/deno_arena.ts";
import { createPool } from "../src/trace/pool.ts";
import type { Limits, ProgramJob, ProgramResult } from "../src/trace/schema.ts";

export interface Options {
  /** where the rows go, one a line in the order they come */
  out: string;
  /** go on with what `out` holds; without it the file must not exist */
  resume: boolean;
  /** interpreters at once */
  size: number;
  limits?: Partial<Limits>;
}

/** A row of `out`; the key is the job's id. */
export interface Judged {
  key: string;
}

/** The rows of all jobs, in the jobs' order, old and new. `row` makes what is kept of a result. */
export async function judgeAll<Row extends Judged>(
  jobs: ProgramJob[],
  row: (result: ProgramResult, job: ProgramJob) => Row,
  { out, resume, size, limits }: Options,
): Promise<Row[]> {
  if (existsSync(out) && !resume) throw new Error(`${out} exists: go on with --resume, or remove it`);
  mkdirSync(dirname(out), { recursive: true });
  const rows = new Map(readRows<Row>(out).map((known) => [known.key, known]));
  // Written whole again: a run that was stopped may have left half a line.
  writeFileSync(out, [...rows.values()].map((known) => JSON.stringify(known) + "\n").join(""));
  const open = jobs.filter((job) => !rows.has(job.id));
  const pool = createPool(spawnArena, { size, limits });
  const started = performance.now();
  let done = 0;

  async function worker() {
    for (let job = open.shift(); job; job = open.shift()) {
      const result = await pool.run(job);
      // It says nothing about the program, and a second run shall try again.
      if (result.infra) throw new Error(`Cannot judge ${job.id}: ${result.error?.message}`);
      const judged = row(result, job);
      rows.set(judged.key, judged);
      writeFileSync(out, JSON.stringify(judged) + "\n", { flag: "a" });
      if (++done % 100 === 0 || open.length === 0) {
        const perSecond = done / ((performance.now() - started) / 1000);
        const left = Math.round(open.length / perSecond);
        console.error(`${rows.size} of ${jobs.length}, ${perSecond.toFixed(1)} a second, ${left} s left`);
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: size }, worker));
  } finally {
    pool.close();
  }
  return jobs.map((job) => rows.get(job.id)!);
}

/** The whole lines of such a file. */
export function readRows<Row>(path: string): Row[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").split("\n").flatMap((line) => {
    try {
      return line ? [JSON.parse(line) as Row] : [];
    } catch {
      return [];
    }
  });
}
