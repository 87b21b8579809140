// The programs whose traces are compared with a native CPython's, and the form in which traces are compared.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Trace, TraceEvent } from "../../src/trace/schema.ts";

export interface NativeGolden {
  /** version of the CPython that made it */
  python: string;
  /** [program, call, digests of the events, of what every version records of them, and of the value-change stream] */
  programs: [string, string, string, string, string][];
  /** all events of some of the programs, to show where a difference is */
  events: Record<string, string[]>;
}

/** Programs that do differ between native CPython and WebAssembly, and why. */
export const explained: Record<string, string> = {
  "candidate 6058": "its result has the order of a set of strings: hashes have 64 bits natively, 32 in WebAssembly",
};

const data = new URL("../../../shared/data/", import.meta.url);

interface Row {
  id: string;
  prompt: string;
  entry_point: string;
  canonical_solution: string;
  buggy_code?: string;
  tests: unknown[];
  test_kind: string;
  code_mode?: string;
  meta?: { pre_code?: string | null; test_setup?: string | null };
}
interface Candidate {
  problem_id: string;
  dataset: string;
  code_mode: string;
  code: string;
  result: string;
}
export interface NativeProgram {
  src: string;
  row: Row;
}

function rows<T>(file: string): T[] {
  const bytes = readFileSync(new URL(file, data));
  const text = file.endsWith(".gz") ? gunzipSync(bytes).toString() : bytes.toString();
  return text.trim().split("\n").map((line) => JSON.parse(line) as T);
}

/** Every program that may be compared, by name: `humaneval/1 canonical`, `quixbugs/gcd buggy`, `candidate 17`. */
export function nativePrograms(): Map<string, NativeProgram> {
  const programs = new Map<string, NativeProgram>();
  const problems = new Map<string, Row>();
  for (const file of ["humaneval.jsonl", "mbpp.jsonl", "quixbugs.jsonl"]) {
    for (const row of rows<Row>(file)) {
      if (row.meta?.pre_code || row.meta?.test_setup) continue;
      problems.set(row.id, row);
      const code = row.buggy_code ?? row.canonical_solution;
      const src = row.code_mode === "completion" ? row.prompt + code : code;
      programs.set(`${row.id} ${row.buggy_code ? "buggy" : "canonical"}`, { src, row });
    }
  }
  rows<Candidate>("candidates.jsonl.gz").forEach(({ problem_id, code_mode, code, result }, index) => {
    const row = problems.get(problem_id);
    if (!row || result === "pass" || result.startsWith("syntax")) return;
    programs.set(`candidate ${index}`, { src: code_mode === "completion" ? row.prompt + code : code, row });
  });
  return programs;
}

/** One line per event, with everything that is recorded of it. */
export function comparable(trace: Trace): string[] {
  return [
    ...trace.events.map((event) => {
      const error = event.error_info;
      return JSON.stringify([
        ...[event.step, event.event_type, event.line_number, event.function, event.frame, event.depth],
        Object.entries(event.variable_states ?? {}),
        event.value ?? null,
        (event.notes ?? []).map((note) => [note.kind, note.text, note.kind === "condition" && note.value]),
        error && [error.error_type, error.error_message, error.origin, error.handled, libraryFile(event)],
        error && error.traceback.map((frame) => [frame.line_number, frame.function]),
      ]);
    }),
    JSON.stringify([trace.dropped, trace.truncated, trace.steps, trace.frames, trace.max_depth, trace.origin]),
  ];
}

/** What older versions record as well: no notes, since conditions are inferred before 3.14, and no messages. */
export function everyVersion(lines: readonly string[]): string[] {
  return lines.slice(0, -1).map((line) => {
    const [_step, kind, number, name, _frame, _depth, states, value, _notes, error] = JSON.parse(line);
    return JSON.stringify([kind, number, name, states, value, error && [error[0], error[2], error[3]]]);
  });
}

/** Without the line: the library's differs from one patch release to the next. */
function libraryFile({ error_info }: TraceEvent): string | null {
  return error_info?.external?.replace(/:\d+$/, "") ?? null;
}

export function digest(lines: readonly string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}
