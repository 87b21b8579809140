/** `bench trace`: programs per second through the pool of Python interpreters, with and without a recorded trace, in turns. */
import { microProblems } from "../src/data/micro/micro.ts";
import { loadProblems } from "../src/data/datasets.ts";
import { type Problem, programJob } from "../src/data/problem.ts";
import { denoHost } from "../src/host/deno.ts";
import { createPool, type Pool } from "../src/trace/pool.ts";
import type { Row, Suite } from "./report.ts";
import { median } from "./units.ts";

const HUMANEVAL = new URL("../../shared/data/humaneval.jsonl", import.meta.url).pathname;

async function problems(pool: Pool, count: number): Promise<{ source: string; list: Problem[] }> {
  const host = denoHost();
  const published = await host.exists(HUMANEVAL);
  const all = published
    ? await loadProblems(host, HUMANEVAL)
    : await microProblems(pool, { seed: 1, count, split: "all" });
  const list = all.filter((problem) => problem.canonicalSolution !== null).slice(0, count);
  return { source: published ? "HumanEval" : "micro-Python", list };
}

/** Errors if a known solution does not pass: then the time means nothing. */
export async function benchTrace(count: number, size: number, rounds: number): Promise<Suite> {
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size });
  try {
    const started = performance.now();
    await pool.script("def main(x): return x", 1);
    const bootMs = performance.now() - started;
    const { source, list } = await problems(pool, count);
    await Promise.all(list.slice(0, size).map((problem) => run(pool, problem, "none"))); // all interpreters are up
    const samples = { none: [] as number[], deciding: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      for (const trace of ["none", "deciding"] as const) {
        const start = performance.now();
        const results = await Promise.all(list.map((problem) => run(pool, problem, trace)));
        samples[trace].push(performance.now() - start);
        const failed = results.find((result) => !result.passed);
        if (failed) {
          throw new Error(`Cannot time the tracer: the known solution of ${failed.id} gave ${failed.verdict}`);
        }
      }
    }
    const row = (name: string, ms: number) => ({ name, values: { ms, "programs/s": list.length / ms * 1000 } });
    const rows: Row[] = [
      { name: "first answer of a new interpreter", values: { ms: bootMs } },
      row("judged", median(samples.none)),
      row("judged and traced", median(samples.deciding)),
    ];
    return { name: "trace", workload: `${list.length} ${source} solutions, ${size} interpreter(s), wall clock`, rows };
  } finally {
    pool.close();
  }
}

function run(pool: Pool, problem: Problem, trace: "none" | "deciding") {
  return pool.run(programJob(problem, problem.canonicalSolution!, trace));
}
