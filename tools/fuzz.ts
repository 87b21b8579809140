/**
 * Runs thousands of damaged, random and hostile programs. Whatever they are, each must come back with a result of its own
 * within its limits, the interpreters must neither be lost nor grow, and a second run must say the same.
 *
 *   deno run -A tools/fuzz.ts --programs 10000 --seed 1     # started again, it goes on where it was stopped
 *
 * Prints a summary line, then the summary as JSON. Exit code 1 if anything went wrong.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseCandidates } from "../src/data/candidates.ts";
import { loadProblems } from "../src/data/datasets.ts";
import { denoHost } from "../src/host/deno.ts";
import { spawnArena } from "../src/host/deno_arena.ts";
import { createPool, type Pool } from "../src/trace/pool.ts";
import type { ProgramJob, ProgramResult } from "../src/trace/schema.ts";
import { traceText } from "../src/trace/serialize.ts";
import { type Corpus, fuzzJob, type Kind } from "./fuzz/programs.ts";
import { type Memory, memoryNow, memoryTrend } from "./fuzz/memory.ts";

export interface FuzzOptions {
  seed: number;
  programs: number;
  /** interpreters at once */
  size: number;
  /** every how many-th program is run twice */
  repeatEvery: number;
  /** file of the rows; without it nothing is kept */
  out?: string;
  onProgress?: (line: string) => void;
}

/** What is kept of one program. */
interface Row {
  index: number;
  kind: Kind;
  verdict: string;
  ms: number;
  twice: boolean;
  wrong: string[];
}

export interface FuzzSummary {
  seed: number;
  programs: number;
  verdicts: Record<string, number>;
  kinds: Record<string, number>;
  repeated: number;
  slowestMs: number;
  memory: ReturnType<typeof memoryTrend>;
  /** everything that must not happen: `17 tokens: ...` */
  wrong: string[];
}

// Over its limit a program may be late by the start of another interpreter, on a machine that does other things too; one
// that hangs is later than any grace.
const graceMs = 60_000;

export async function loadCorpus(folder: string): Promise<Corpus> {
  const host = denoHost();
  const packed = await host.readBytes(`${folder}/candidates.jsonl.gz`);
  const text = new TextDecoder().decode(await host.gunzip(packed));
  const names = ["humaneval", "mbpp", "apps"];
  const problems = (await Promise.all(names.map((name) => loadProblems(host, `${folder}/${name}.jsonl`)))).flat();
  return {
    candidates: parseCandidates(text, "candidates.jsonl.gz"),
    problems: new Map(problems.map((problem) => [problem.id, problem])),
  };
}

export async function fuzz(corpus: Corpus, options: FuzzOptions): Promise<FuzzSummary> {
  const { seed, programs, size, out } = options;
  const kept = out ? readKept(out) : [];
  const rows = new Map(kept.flatMap((line) => "index" in line ? [[line.index, line] as const] : []));
  const memory: Memory[] = kept.flatMap((line) => "largest" in line ? [line] : []);
  const keep = (line: Row | Memory) => out && writeFileSync(out, JSON.stringify(line) + "\n", { flag: "a" });
  const open = Array.from({ length: programs }, (_, index) => index).filter((index) => !rows.has(index));
  const total = open.length;
  const pool = createPool(spawnArena, { size });
  await pool.run({ ...simple, id: "first" }); // so that no program waits for an image to be made
  const started = performance.now();

  async function worker() {
    for (let index = open.shift(); index !== undefined; index = open.shift()) {
      const row = await judge(pool, seed, index, corpus, options.repeatEvery);
      rows.set(index, row);
      keep(row);
      const done = total - open.length;
      if (done % 25 === 0) {
        const now = memoryNow(rows.size);
        memory.push(now);
        keep(now);
      }
      if (done % 100 === 0 || open.length === 0) {
        const perSecond = done / (performance.now() - started) * 1000;
        const wrong = [...rows.values()].filter((row) => row.wrong.length > 0).length;
        options.onProgress?.(`${rows.size} of ${programs}, ${perSecond.toFixed(1)} a second, ${wrong} wrong`);
      }
    }
  }
  await Promise.all(Array.from({ length: size }, worker));
  const alive = await pool.run({ ...simple, id: "last" });
  pool.close();
  const summary = summarize(seed, [...rows.values()].filter(({ index }) => index < programs), memory);
  if (!alive.passed) summary.wrong.push(`the pool ended broken: ${JSON.stringify(alive.error ?? alive.tests)}`);
  return summary;
}

const simple: ProgramJob = {
  id: "",
  program: "def f(x):\n  return x\n",
  entryPoint: "f",
  testKind: "assert-list",
  tests: ["assert f(5) == 5"],
  trace: "none",
};

async function judge(pool: Pool, seed: number, index: number, corpus: Corpus, repeatEvery: number): Promise<Row> {
  const { kind, job } = fuzzJob(seed, index, corpus);
  const twice = index % repeatEvery === 0;
  const wrong: string[] = [];
  const start = performance.now();
  const result = await pool.run(job);
  const ms = Math.round(performance.now() - start);
  const noPython = result.infra && result.error?.message.startsWith("Cannot start Python");
  if (noPython) throw new Error(result.error!.message); // every other program would say the same
  wrong.push(...faults(job, result, ms));
  if (twice) {
    const again = await pool.run(job);
    const [first, second] = [said(result), said(again)];
    // Time alone is not the program's: one that was near its limit may be over it the next time, in its replay too.
    const timed = [result, again].some(({ elapsedMs }) => elapsedMs > 0.8 * job.limits!.wallMsPerProgram!);
    if (!timed && first !== second) wrong.push(`two runs differ: ${first} / ${second}`);
  }
  return { index, kind, verdict: result.verdict, ms, twice, wrong };
}

/** What is wrong with a result, whatever the program was. */
function faults(job: ProgramJob, result: ProgramResult, ms: number): string[] {
  const wrong: string[] = [];
  const { tests } = result;
  if (result.id !== job.id) wrong.push(`the result is ${result.id}'s`);
  if (result.infra) wrong.push(`infra: ${result.error?.message ?? tests.find(({ error }) => error)?.error?.message}`);
  if (ms > job.limits!.wallMsPerProgram! + graceMs) wrong.push(`came back after ${ms} ms`);
  const passes = tests.filter(({ outcome }) => outcome === "PASS").length;
  if (result.testsPassed !== passes || result.testsTotal !== tests.length) wrong.push("its counts are not its tests'");
  if (result.passed !== (result.verdict === "pass")) {
    wrong.push(`passed is ${result.passed}, verdict ${result.verdict}`);
  }
  if (result.passed && passes !== tests.length) wrong.push(`passed with ${passes} of ${tests.length}`);
  if ((result.trace?.events.length ?? 0) > 600) wrong.push(`a trace of ${result.trace!.events.length} events`);
  try {
    JSON.stringify(result);
    if (result.trace) traceText("fuzz", job.program, result);
  } catch (error) {
    wrong.push(`its text form failed: ${(error as Error).message}`);
  }
  return wrong;
}

/** What two runs have to agree on. */
function said({ stage, verdict, tests, trace, error }: ProgramResult): string {
  const each = tests.map((
    test,
  ) => [test.outcome, test.verdict, test.steps, test.actual, test.error?.line, test.values?.length]);
  return JSON.stringify([stage, verdict, error?.line, each, trace?.events.length, trace?.steps]);
}

function readKept(path: string): (Row | Memory)[] {
  mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  if (!existsSync(path)) return [];
  // The last line of a run that was stopped may be half a line; a whole one stays as it is.
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  writeFileSync(path, lines.map((line) => line + "\n").join(""));
  return lines.map((line) => JSON.parse(line));
}

function summarize(seed: number, rows: Row[], memory: Memory[]): FuzzSummary {
  const count = (keys: string[]) =>
    Object.fromEntries(
      Object.entries(Object.groupBy(keys, (key) => key)).map(([key, all]) => [key, all!.length]).sort(),
    );
  const trend = memoryTrend(memory);
  const wrong = rows.flatMap((row) => row.wrong.map((what) => `${row.index} ${row.kind}: ${what}`));
  if (!trend.flat) wrong.push(`memory grew: ${JSON.stringify(trend)}`);
  return {
    seed,
    programs: rows.length,
    verdicts: count(rows.map((row) => row.verdict)),
    kinds: count(rows.map((row) => row.kind)),
    repeated: rows.filter((row) => row.twice).length,
    slowestMs: Math.max(...rows.map((row) => row.ms)),
    memory: trend,
    wrong,
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      programs: { type: "string", default: "10000" },
      seed: { type: "string", default: "1" },
      size: { type: "string", default: "2" },
      data: { type: "string", default: "../shared/data" },
      out: { type: "string" },
    },
  });
  const seed = Number(values.seed);
  const summary = await fuzz(await loadCorpus(values.data), {
    seed,
    programs: Number(values.programs),
    size: Number(values.size),
    repeatEvery: 10,
    out: values.out ?? `runs/fuzz/seed-${seed}.jsonl`,
    onProgress: (line) => console.error(line),
  });
  console.log(
    `${summary.programs} programs, ${summary.repeated} twice, ${summary.wrong.length} wrong, memory ${
      summary.memory.flat ? "flat" : "grew"
    }`,
  );
  console.log(JSON.stringify(summary, null, 2));
  Deno.exit(summary.wrong.length > 0 ? 1 : 0);
}
