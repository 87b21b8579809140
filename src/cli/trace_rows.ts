/** The rows of `--candidates`, read as a stream, and the problem each belongs to. */
import { createHash } from "node:crypto";
import { type Problem, type ProgramJob, programJob, stdioForm } from "../mod.ts";
import { readLines } from "./trace_lines.ts";

export interface Candidate {
  /** Number among all candidates of the file, from 0. */
  index: number;
  /** 1-based line of the file. */
  line: number;
  problemId: string;
  model?: string;
  /** As in the row; else its number among the rows of its problem and model. */
  sample: number | string;
  /** How many identical samples the row stands for. */
  count: number;
  /** The answer as written, and how it is to be run: after the prompt, alone, or alone on stdin. */
  code: string;
  codeMode: "completion" | "program" | "stdio-program";
  job: ProgramJob;
}

/** What a first reading finds, before anything runs: a mistake in the last row is no news for the end of the night. */
export interface Survey {
  rows: number;
  problems: number;
  /** Of the file's bytes. */
  sha256: string;
}

export async function survey(path: string, problems: readonly Problem[]): Promise<Survey> {
  const hash = createHash("sha256");
  const met = new Set<string>();
  let rows = 0;
  for await (const { problemId } of readCandidates(path, problems, "none", { see: (bytes) => hash.update(bytes) })) {
    met.add(problemId);
    rows++;
  }
  if (rows === 0) throw new Error(`Cannot read ${path}: it holds no candidate`);
  return { rows, problems: met.size, sha256: hash.digest("hex") };
}

/**
 * All candidates, or those `from` a number on. Errors name file, line and field:
 * `Cannot read x.jsonl: line 3: field "code" is 7, expected text`.
 */
export async function* readCandidates(
  path: string,
  problems: readonly Problem[],
  trace: ProgramJob["trace"],
  options: { from?: number; see?: (bytes: Uint8Array) => void } = {},
): AsyncGenerator<Candidate> {
  const find = problemFinder(problems);
  const samples = new Map<string, number>();
  let index = 0;
  for await (const { line, text } of readLines(path, options.see)) {
    if (text.trim() === "") continue;
    const where = `Cannot read ${path}: line ${line}`;
    const row = parseRow(line === 1 ? text.replace(/^\uFEFF/, "") : text, where);
    const [idField, id] = firstOf(row, ["problem_id", "task_id", "id"], where); // a row may have an id of its own too
    const problem = find(id);
    if (!problem) throw new Error(`${where}: field "${idField}" is ${shown(id)}, which is none of the problems given`);
    const [codeField, code, another] = firstOf(row, ["code", "completion", "solution", "program"], where);
    if (another) {
      throw new Error(`${where}: fields "${codeField}" and "${another}" are both there, expected one of them`);
    }
    if (typeof code !== "string") throw new Error(`${where}: field "${codeField}" is ${shown(code)}, expected text`);
    const codeMode = row.code_mode ?? (/^(solution|program)$/.test(codeField) ? "program" : problem.codeMode);
    const model = optional(row, "model", isText, "text", where);
    const series = model === undefined ? problem.id : `${problem.id}#${model}`;
    const number = samples.get(series) ?? 0;
    samples.set(series, number + 1);
    const sample = optional(row, "sample", isNumberOrText, "a number or text", where) ?? number;
    const count = optional(row, "count", isCount, "a whole number from 1", where) ?? 1;
    const job = { ...programJob(inForm(problem, codeMode, where), code, trace), id: `${series}#${sample}` };
    if (index >= (options.from ?? 0)) {
      const mode = codeMode as Candidate["codeMode"]; // inForm() has checked it
      yield { index, line, problemId: problem.id, model, sample, count, code, codeMode: mode, job };
    }
    index++;
  }
}

function parseRow(text: string, where: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where} is not JSON (${(error as Error).message})`);
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) throw new Error(`${where} is not a JSON object`);
  return row as Record<string, unknown>;
}

/** The first of these fields that the row has, its value, and the name of a second one if that is there too. */
function firstOf(row: Record<string, unknown>, names: string[], where: string): [string, unknown, string?] {
  const [found, another] = names.filter((name) => row[name] !== undefined && row[name] !== null);
  if (found) return [found, row[found], another];
  throw new Error(`${where}: field "${names[0]}" is missing, expected one of ${names.join(", ")}`);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isNumberOrText = (value: unknown): value is number | string =>
  typeof value === "number" || typeof value === "string";
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && value as number >= 1;

function optional<T>(
  row: Record<string, unknown>,
  field: string,
  accepts: (value: unknown) => value is T,
  expected: string,
  where: string,
): T | undefined {
  const value = row[field];
  if (value === undefined || value === null) return undefined;
  if (accepts(value)) return value;
  throw new Error(`${where}: field "${field}" is ${shown(value)}, expected ${expected}`);
}

/** The problem as the row answers it. */
function inForm(problem: Problem, codeMode: unknown, where: string): Problem {
  if (codeMode === "completion" || codeMode === "program") return { ...problem, codeMode };
  if (codeMode !== "stdio-program") {
    throw new Error(
      `${where}: field "code_mode" is ${shown(codeMode)}, expected completion, program or stdio-program`,
    );
  }
  try {
    return stdioForm(problem);
  } catch (error) {
    throw new Error(`${where}: field "code_mode": ${(error as Error).message}`);
  }
}

/** By id in any case (`HumanEval/3` is humaneval/3), or by bare number where one data set is given (MBPP's task_id). */
function problemFinder(problems: readonly Problem[]): (id: unknown) => Problem | undefined {
  const byId = new Map(problems.map((problem) => [problem.id.toLowerCase(), problem]));
  const datasets = new Set(problems.map((problem) => problem.dataset));
  const [only] = datasets;
  return (id) => {
    if (typeof id === "string") return byId.get(id.toLowerCase());
    return typeof id === "number" && datasets.size === 1 ? byId.get(`${only}/${id}`) : undefined;
  };
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "missing").slice(0, 60);
}
