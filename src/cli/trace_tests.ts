/** From the words of `etalon trace FILE …` to the job that answers them. */
import { description, loadProblems, type Pool, type ProgramJob, programJob } from "../mod.ts";
import type { Problem, ProgramResult } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import parser from "./trace_tests.py" with { type: "text" };

export interface TestChoice {
  call?: string;
  expect?: string;
  tests?: string;
  stdin?: string;
  problem?: string;
  entry?: string;
}

export interface Question {
  job: ProgramJob;
  /** The problem in words: the head of the text form. */
  title: string;
  /** Set where nothing was expected, so that the program only has to come to its end: what it does with its value. */
  unjudged?: "returned" | "printed";
}

/** What FILE is asked. The job traces the deciding test. */
export async function readQuestion(pool: Pool, file: string, choice: TestChoice): Promise<Question> {
  const host = denoHost();
  const program = await host.readText(file);
  const { call, expect, tests, stdin } = choice;
  const job: ProgramJob = { id: file, program, entryPoint: "", testKind: "stdio", tests: [], trace: "deciding" };
  if (stdin !== undefined) {
    job.tests = [{ stdin: await readInput(stdin), stdout: expect ?? "" }];
    return { job, title: file, ...(expect === undefined ? { unjudged: "printed" } : {}) };
  }
  if (tests !== undefined && /\.jsonl?(\.gz)?$/.test(tests)) return await problemQuestion(file, program, tests, choice);
  const given = tests === undefined ? { call, expect: expect ?? "None" } : { tests: await host.readText(tests) };
  const stem = file.split("/").at(-1)!.replace(/\.py$/, "");
  const parsed = await pool.script(parser, { program, stem, entry: choice.entry ?? null, ...given }) as Parsed;
  if ("problem" in parsed) {
    const asked = `--call ${JSON.stringify(call)}${expect === undefined ? "" : ` --expect ${JSON.stringify(expect)}`}`;
    throw new Error(`${tests === undefined ? `Cannot trace ${asked}` : `Cannot read ${tests}`}: ${parsed.problem}`);
  }
  Object.assign(job, { testKind: parsed.kind, tests: parsed.tests, entryPoint: parsed.entry });
  const judged = tests !== undefined || expect !== undefined;
  return { job, title: file, ...(judged ? {} : { unjudged: "returned" }) };
}

/** What trace_tests.py makes of a call or of a file of tests. */
type Parsed = { kind: "assert-list" | "humaneval-check"; tests: string[]; entry: string } | { problem: string };

async function readInput(path: string): Promise<string> {
  if (path !== "-") return await denoHost().readText(path);
  return await new Response(Deno.stdin.readable).text();
}

/** A problem of a data set. A file that lacks the function's `def` is a completion of its prompt. */
async function problemQuestion(file: string, code: string, path: string, choice: TestChoice): Promise<Question> {
  const problem = pick(await loadProblems(await rowHost(path), path), path, choice.problem);
  const whole = new RegExp(`^(def|class|async def) +${problem.entryPoint}\\b`, "m").test(code);
  const job = programJob(whole ? { ...problem, codeMode: "program" } : problem, code, "deciding");
  if (choice.entry !== undefined) job.entryPoint = choice.entry;
  return { job: { ...job, id: file }, title: description(problem) };
}

/** A row over many lines, as .json files have it, is a list of one to the reader of data sets. */
async function rowHost(path: string): Promise<ReturnType<typeof denoHost>> {
  const host = denoHost();
  if (!path.endsWith(".json")) return host;
  const text = await host.readText(path);
  try {
    if (Array.isArray(JSON.parse(text))) return host;
  } catch {
    return host; // JSON lines, or broken: its reader says where
  }
  return { ...host, readBytes: () => Promise.resolve(new TextEncoder().encode(`[${text}]`)) };
}

function pick(problems: Problem[], path: string, id?: string): Problem {
  const found = id === undefined ? problems : problems.filter((problem) => problem.id === id);
  if (found.length === 1) return found[0];
  const known = problems.slice(0, 3).map((problem) => problem.id).join(", ") + (problems.length > 3 ? ", …" : "");
  const what = id === undefined ? "choose one with --problem" : `none is ${JSON.stringify(id)}`;
  throw new Error(`Cannot trace with ${path}: it holds ${problems.length} problems (${known}); ${what}`);
}

/** The result where nothing was expected: to come to the end is enough. The test was against None, or no output. */
export function withoutExpectation(result: ProgramResult, unjudged: "returned" | "printed"): ProgramResult {
  if (result.verdict !== "wrong_answer" && result.verdict !== "pass") return result;
  const nothing = unjudged === "returned" ? "None" : "''";
  const tests = result.tests.map(({ expected: _, actual = nothing, ...test }) => ({
    ...test,
    actual,
    outcome: "PASS" as const,
    verdict: "pass" as const,
  }));
  return { ...result, tests, verdict: "pass", passed: true, testsPassed: tests.length, steps: 0 };
}
