/**
 * The rows of a store as others read them, and back: problems in the normalised form that every command takes, samples as
 * (prompt, code, trace, result), pairs under TRL's names. What comes in is checked field by field.
 */
import type { Sample } from "../data/pairs.ts";
import { askedText, description, type Problem, programText } from "../data/problem.ts";
import { problemFromRow, type RawRow, rowReader } from "../data/row.ts";
import type { ColumnType } from "../files/parquet.ts";
import type { PairRow } from "../recipes/preferences.ts";
import { traceSchemaVersion } from "../trace/record.ts";
import type { ProgramResult } from "../trace/schema.ts";
import type { Sampling, StoredSample, Versions } from "./store.ts";

export const FORMS = ["samples", "pairs", "sft", "problems"] as const;
export type Form = typeof FORMS[number];

/** Columns in order, with their type in Parquet. */
export const COLUMNS: Record<Form, Record<string, ColumnType>> = {
  problems: {
    ...{ id: "STRING", dataset: "STRING", split: "STRING", prompt: "STRING", entry_point: "STRING" },
    ...{ canonical_solution: "STRING", tests: "JSON", test_kind: "STRING", code_mode: "STRING", compare: "JSON" },
    ...{
      family: "STRING",
      buggy_code: "STRING",
      meta: "JSON",
      license: "STRING",
      model_prompt: "STRING",
      ask: "STRING",
    },
  },
  samples: {
    ...{ set: "STRING", problem_id: "STRING", dataset: "STRING", index: "INT32", prompt: "STRING", code: "STRING" },
    ...{ completion: "STRING", tokens: "JSON", finished: "BOOLEAN", verdict: "STRING", passed: "BOOLEAN" },
    ...{ tests_passed: "INT32", tests_total: "INT32", trace: "JSON", result: "JSON", program_key: "STRING" },
    ...{ duplicate_of: "INT32", logprob: "DOUBLE", agreement: "JSON", extra: "JSON", sampling: "JSON" },
    ...{ trace_schema: "INT32", python_version: "STRING", tracer: "STRING" },
  },
  pairs: {
    ...{ set: "STRING", prompt: "STRING", chosen: "STRING", rejected: "STRING", margin: "DOUBLE", reason: "STRING" },
    ...{ problem_id: "STRING", chosen_index: "INT32", rejected_index: "INT32", test: "STRING", chosen_trace: "STRING" },
    ...{ rejected_trace: "STRING", chosen_tests: "JSON", rejected_tests: "JSON", extra: "JSON" },
  },
  sft: { prompt: "STRING", completion: "STRING", problem_id: "STRING", set: "STRING", index: "INT32" },
};

export function problemRow(problem: Problem, license: string): RawRow {
  return {
    ...{ id: problem.id, dataset: problem.dataset, split: problem.split, prompt: description(problem) },
    ...{ entry_point: problem.entryPoint, canonical_solution: problem.canonicalSolution, tests: problem.tests },
    ...{ test_kind: problem.testKind, code_mode: problem.codeMode, compare: problem.compare, family: problem.family },
    ...{ buggy_code: problem.buggyCode, meta: problem.meta, license, model_prompt: problem.prompt, ask: problem.ask },
  };
}

/** `where` starts every error. */
export function problemOf(row: RawRow, where: string): Problem {
  const { meta: _meta, ...problem } = problemFromRow(row, where);
  const read = rowReader(row, where);
  const ask = read.optionalText("ask");
  return {
    ...problem,
    prompt: read.optionalText("model_prompt") ?? problem.prompt,
    ...ask === null ? {} : { ask },
    ...row.meta == null ? {} : { meta: row.meta as Record<string, unknown> },
  };
}

export interface SampleContext {
  set: string;
  problem: Problem;
  sampling: Sampling | null;
  versions: Versions | null;
}

export function sampleRow(sample: StoredSample, { set, problem, sampling, versions }: SampleContext): RawRow {
  const { problemId, index, completion, tokens, finished, result, agreement, programKey, ...others } = sample;
  const { duplicateOf, logprob, ...extra } = others;
  const { trace, ...rest } = result;
  return {
    ...{ set, problem_id: problemId, dataset: problem.dataset, index, prompt: askedText(problem) },
    ...{ code: programText(problem, completion), completion, tokens, finished, verdict: result.verdict },
    ...{ passed: result.passed, tests_passed: result.testsPassed, tests_total: result.testsTotal },
    ...{ trace, result: rest, program_key: programKey, duplicate_of: duplicateOf, logprob, agreement },
    ...{ extra: Object.keys(extra).length > 0 ? extra : undefined, sampling, trace_schema: traceSchemaVersion },
    ...{ python_version: versions?.python, tracer: versions?.tracer },
  };
}

export interface ReadSample {
  set: string;
  sample: StoredSample;
  sampling: Sampling | null;
  versions: Versions | null;
}

export function sampleOf(row: RawRow, where: string): ReadSample {
  const read = reader(row, where);
  const version = read.optional("trace_schema", "number");
  if (version !== undefined && version !== traceSchemaVersion) {
    throw new Error(`${where}: field "trace_schema" is ${version}, this program's is ${traceSchemaVersion}`);
  }
  const tokens = read.list("tokens");
  const wrong = tokens.find((token) => !Number.isInteger(token) || (token as number) < 0);
  if (wrong !== undefined) {
    throw new Error(`${where}: field "tokens" holds ${JSON.stringify(wrong)}, expected token ids`);
  }
  const result = read.object("result");
  for (const [field, kind] of RESULT_FIELDS) {
    if (isKind[kind](result[field])) continue;
    throw new Error(`${where}: field "result": "${field}" is ${shown(result[field])}, expected a ${kind}`);
  }
  const trace = row.trace == null ? {} : { trace: read.object("trace") };
  const sample: StoredSample = {
    ...read.optional("extra", "object") as Partial<Sample>,
    problemId: read.text("problem_id"),
    index: read.whole("index"),
    completion: read.text("completion"),
    tokens: tokens as number[],
    finished: read.flag("finished"),
    result: { ...result, ...trace } as unknown as ProgramResult,
  };
  const agreement = row.agreement == null ? null : read.list("agreement") as number[];
  const programKey = read.optional("program_key", "string");
  const logprob = read.optional("logprob", "number");
  if (agreement) sample.agreement = agreement;
  if (programKey !== undefined) sample.programKey = programKey as string;
  if (logprob !== undefined) sample.logprob = logprob as number;
  const python = read.optional("python_version", "string") as string | undefined;
  const tracer = read.optional("tracer", "string") as string | undefined;
  return {
    set: read.text("set"),
    sample,
    sampling: (read.optional("sampling", "object") ?? null) as Sampling | null,
    versions: python !== undefined && tracer !== undefined ? { python, tracer } : null,
  };
}

/** Without these a result is none; the rest was checked by whoever made it. */
const RESULT_FIELDS = [["id", "string"], ["verdict", "string"], ["passed", "boolean"], [
  "elapsedMs",
  "number",
]] as const;

export function pairRow(row: PairRow, set: string): RawRow {
  const { problemId, chosen, rejected, reason, margin, prompt, chosenText, rejectedText, test, ...others } = row;
  const { chosenTrace, rejectedTrace, chosenTests, rejectedTests, ...extra } = others;
  return {
    ...{ set, prompt, chosen: chosenText, rejected: rejectedText, margin, reason, problem_id: problemId },
    ...{
      chosen_index: chosen,
      rejected_index: rejected,
      test,
      chosen_trace: chosenTrace,
      rejected_trace: rejectedTrace,
    },
    ...{ chosen_tests: chosenTests, rejected_tests: rejectedTests },
    extra: Object.keys(extra).length > 0 ? extra : undefined,
  };
}

export function pairOf(row: RawRow, where: string): { set: string; pair: PairRow } {
  const read = reader(row, where);
  const pair = {
    ...read.optional("extra", "object") as Partial<PairRow>,
    problemId: read.text("problem_id"),
    chosen: read.whole("chosen_index"),
    rejected: read.whole("rejected_index"),
    reason: read.text("reason") as PairRow["reason"],
    margin: read.number("margin"),
    prompt: read.text("prompt"),
    chosenText: read.text("chosen"),
    rejectedText: read.text("rejected"),
    test: read.text("test"),
    chosenTrace: read.text("chosen_trace"),
    rejectedTrace: read.text("rejected_trace"),
    chosenTests: read.object("chosen_tests") as PairRow["chosenTests"],
    rejectedTests: read.object("rejected_tests") as PairRow["rejectedTests"],
  };
  return { set: read.text("set"), pair };
}

const isKind = {
  number: (value: unknown) => typeof value === "number",
  string: (value: unknown) => typeof value === "string",
  boolean: (value: unknown) => typeof value === "boolean",
  object: (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value),
};

function shown(value: unknown): string {
  return value === undefined ? "missing" : (JSON.stringify(value) ?? "?").slice(0, 60);
}

/** rowReader and the kinds of field it has no use for. */
function reader(row: RawRow, where: string) {
  const must = <T>(field: string, expected: string, holds: (value: unknown) => boolean): T => {
    if (holds(row[field])) return row[field] as T;
    throw new Error(`${where}: field "${field}" is ${shown(row[field])}, expected ${expected}`);
  };
  return {
    ...rowReader(row, where),
    number: (field: string) => must<number>(field, "a number", Number.isFinite),
    whole: (field: string) =>
      must<number>(field, "a number from 0 on", (x) => Number.isInteger(x) && (x as number) >= 0),
    flag: (field: string) => must<boolean>(field, "true or false", (value) => typeof value === "boolean"),
    object: (field: string) => must<Record<string, unknown>>(field, "an object", isKind.object),
    optional: (field: string, kind: "number" | "string" | "object"): unknown => {
      if (row[field] == null) return undefined;
      return must(field, `a ${kind} or nothing`, isKind[kind]);
    },
  };
}
