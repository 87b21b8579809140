/** One normalised row to one Problem, every field checked: a wrong one is named with its line. */
import type { Compare, TestKind } from "../trace/schema.ts";
import type { Problem } from "./problem.ts";
import { modelPrompt } from "./prompts.ts";

export type RawRow = Record<string, unknown>;

export interface RowReader {
  where: string;
  text(field: string): string;
  optionalText(field: string): string | null;
  list(field: string): unknown[];
  textList(field: string): string[];
}

const testKinds: readonly TestKind[] = ["humaneval-check", "assert-list", "call-json", "stdio"];
const compareTypes = ["exact", "approx", "set", "not-none", "deep-list", "last-arg-eps"];

/** Typed access to a row's fields; `where` starts every error. */
export function rowReader(row: RawRow, where: string): RowReader {
  const fail = (field: string, expected: string): never => {
    const value = row[field];
    const shown = value === undefined ? "missing" : (JSON.stringify(value) ?? "?").slice(0, 60);
    throw new Error(`${where}: field "${field}" is ${shown}, expected ${expected}`);
  };
  const reader: RowReader = {
    where,
    text: (field) => typeof row[field] === "string" ? row[field] : fail(field, "text"),
    optionalText: (field) => row[field] === null || row[field] === undefined ? null : reader.text(field),
    list: (field) => Array.isArray(row[field]) ? row[field] : fail(field, "a list"),
    textList: (field) => {
      const list = reader.list(field);
      return list.every((item) => typeof item === "string") ? list as string[] : fail(field, "a list of texts");
    },
  };
  return reader;
}

export function problemFromRow(row: RawRow, where: string): Problem {
  const read = rowReader(row, where);
  const testKind = oneOf(read, "test_kind", testKinds);
  const fallback = testKind === "humaneval-check" ? "completion" : "program";
  const codeMode = row.code_mode === undefined
    ? fallback
    : oneOf(read, "code_mode", ["completion", "program"] as const);
  const tests = checkTests(read, testKind);
  const entryPoint = testKind === "stdio" ? read.optionalText("entry_point") ?? "" : read.text("entry_point");
  if (testKind !== "stdio" && !/^[\p{L}_][\p{L}\p{N}_]*$/u.test(entryPoint)) {
    throw new Error(`${where}: field "entry_point" is ${JSON.stringify(entryPoint)}, expected a Python name`);
  }
  const meta = checkMeta(row, where);
  const dataset = read.text("dataset");
  const text = read.text("prompt");
  const prompt = modelPrompt({ prompt: text, codeMode, dataset, entryPoint, tests, meta });
  const problem: Problem = {
    id: read.text("id"),
    dataset,
    split: read.text("split"),
    prompt,
    entryPoint,
    canonicalSolution: read.optionalText("canonical_solution"),
    tests,
    testKind,
    codeMode,
    meta: prompt === text ? meta : { ...meta, description: text },
  };
  const compare = checkCompare(row.compare, where);
  if (compare) problem.compare = compare;
  const buggyCode = read.optionalText("buggy_code");
  if (buggyCode !== null) problem.buggyCode = buggyCode;
  const family = read.optionalText("family");
  if (family !== null) problem.family = family;
  return problem;
}

function oneOf<T extends string>(read: RowReader, field: string, allowed: readonly T[]): T {
  const value = read.text(field);
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw new Error(`${read.where}: field "${field}" is "${value}", expected one of ${allowed.join(", ")}`);
}

function checkTests(read: RowReader, kind: TestKind): unknown[] {
  const tests = read.list("tests");
  if (tests.length === 0) throw new Error(`${read.where}: field "tests" is empty`);
  tests.forEach((test, index) => {
    const expected = missingPart(test, kind);
    if (expected) throw new Error(`${read.where}: field "tests", entry ${index + 1}: expected ${expected} (${kind})`);
  });
  return tests;
}

/** What a test of this kind lacks, or null. */
function missingPart(test: unknown, kind: TestKind): string | null {
  if (kind === "humaneval-check" || kind === "assert-list") return typeof test === "string" ? null : "text";
  if (typeof test !== "object" || test === null) return "an object";
  const fields = test as Record<string, unknown>;
  if (kind === "stdio") {
    return typeof fields.stdin === "string" && typeof fields.stdout === "string" ? null : "stdin and stdout as text";
  }
  if (!Array.isArray(fields.args) && typeof fields.args_repr !== "string") return "args or args_repr";
  return "expected" in fields || typeof fields.expected_repr === "string" ? null : "expected or expected_repr";
}

function checkMeta(row: RawRow, where: string): Record<string, unknown> {
  const meta = row.meta ?? {};
  if (typeof meta === "object" && !Array.isArray(meta)) return meta as Record<string, unknown>;
  throw new Error(`${where}: field "meta" is ${JSON.stringify(meta).slice(0, 60)}, expected an object`);
}

function checkCompare(compare: unknown, where: string): Compare | undefined {
  if (compare === undefined || compare === null) return undefined;
  const type = (compare as { type?: unknown }).type;
  if (typeof type === "string" && compareTypes.includes(type)) return compare as Compare;
  throw new Error(
    `${where}: field "compare" is ${JSON.stringify(compare).slice(0, 60)}, expected a type of ${
      compareTypes.join(", ")
    }`,
  );
}
