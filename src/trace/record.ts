/**
 * Traced programs as a data set: one JSON object a line, each with the version of its schema and of the Python that ran
 * it. Traces of two Python versions differ (comprehensions, positions, messages) and are never mixed: a reader names the
 * version it wants, and any other is an error.
 */
import type { ErrorInfo, Outcome, ProgramResult, Trace, Verdict } from "./schema.ts";
import { count, lineNumber, nullable, object, oneOf, origin, string, traceWithoutOrigin } from "./validate.ts";

export const traceSchemaVersion = 1;

export interface TraceRecord {
  schema_version: typeof traceSchemaVersion;
  /** of the interpreter that ran the program, for example `3.14.2` */
  python_version: string;
  id: string;
  problem_id: string;
  program: string;
  /** source of the traced test; null: the program did not come to its tests */
  test: string | null;
  /** of the traced test, SKIP where there is none */
  outcome: Outcome;
  verdict: Verdict;
  /** what ended the traced test or the load */
  error: ErrorInfo | null;
  /** the causal line of an exception; also of one that the program handled, in which case `error` is null */
  origin: Trace["origin"];
  /** null: the program does not compile, or was killed before it could be traced */
  trace: Omit<Trace, "origin"> | null;
  /** the text form, if the data set holds it */
  text?: string;
}

const record = object({
  schema_version: count,
  python_version: string,
  id: string,
  problem_id: string,
  program: string,
  test: nullable(string),
  outcome: oneOf("PASS", "WRONG", "EXC", "FUEL", "KILL", "SKIP"),
  verdict: oneOf(
    ...["pass", "wrong_answer", "assertion_error", "runtime_error", "syntax_error", "missing_entry", "load_error"],
    ...["step_limit", "timeout", "memory_limit", "output_limit", "exit", "crash", "sandbox_violation", "harness_error"],
  ),
  error: nullable(object({ type: string, message: string, line: nullable(lineNumber) })),
  origin,
  trace: nullable(traceWithoutOrigin),
}, { text: string });

/** The record of one result. Where no test was traced, the first failing one speaks for the program. */
export function traceRecord(
  result: ProgramResult,
  about: { problemId: string; program: string; pythonVersion: string; text?: string },
): TraceRecord {
  const test = result.stage === "run"
    ? result.tests[result.traceTest ?? result.tests.findIndex(({ outcome }) => outcome !== "PASS")]
    : undefined;
  const { origin, ...rest } = result.trace ?? { origin: null };
  return {
    schema_version: traceSchemaVersion,
    python_version: about.pythonVersion,
    id: result.id,
    problem_id: about.problemId,
    program: about.program,
    test: test?.source ?? null,
    outcome: test?.outcome ?? (result.passed ? "PASS" : "SKIP"),
    verdict: test?.verdict ?? result.verdict,
    error: test?.error ?? result.error ?? null,
    origin,
    trace: result.trace ? rest as Omit<Trace, "origin"> : null,
    ...(about.text === undefined ? {} : { text: about.text }),
  };
}

/** The trace of a record as schema.ts has it. */
export function recordedTrace(record: TraceRecord): Trace | null {
  return record.trace && { ...record.trace, origin: record.origin };
}

/** One line, ended by a newline. Two records of one run are the same bytes. */
export function writeTraceRecord(record: TraceRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/**
 * The records of a JSON Lines text; empty lines are allowed. Errors, with `name` and the line's number: it is not JSON,
 * a field is not what it should be, a key is unknown, or
 * `Cannot read traces.jsonl: line 3: python_version is "3.13.1", not "3.14.2"` (and the same for `schema_version`).
 */
export function readTraceRecords(text: string, name: string, pythonVersion: string): TraceRecord[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      const value = JSON.parse(line);
      // The versions come first: under another one the fields may well be others.
      const versions = { schema_version: traceSchemaVersion, python_version: pythonVersion };
      for (const [field, wanted] of Object.entries(versions)) {
        const found = value?.[field];
        if (found !== wanted) throw new Error(`${field} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
      }
      record(value, "record");
      return [value as TraceRecord];
    } catch (error) {
      throw new Error(`Cannot read ${name}: line ${index + 1}: ${(error as Error).message}`);
    }
  });
}

/** The version of Python in a pool's interpreters, for example `3.14.2`. */
export async function pythonVersion(
  pool: { script(source: string, input: unknown): Promise<unknown> },
): Promise<string> {
  return await pool.script(
    "import sys\ndef main(_):\n    return '.'.join(map(str, sys.version_info[:3]))",
    null,
  ) as string;
}
