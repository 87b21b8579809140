import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseTraceText } from "../../src/trace/parse_text.ts";
import {
  pythonVersion,
  readTraceRecords,
  recordedTrace,
  traceRecord,
  writeTraceRecord,
} from "../../src/trace/record.ts";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { formatTrace, traceText } from "../../src/trace/serialize.ts";
import { parseTrace } from "../../src/trace/validate.ts";
import { runTraced, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();
const version = "3.14.2";
const results = new Map<string, ProgramResult>();

async function resultOf(name: string): Promise<ProgramResult> {
  if (!results.has(name)) results.set(name, await runTraced(pool, programs[name]));
  return results.get(name)!;
}

async function lineOf(name: string, text = false): Promise<string> {
  const result = await resultOf(name);
  const { program } = programs[name];
  const about = { problemId: `problem/${name}`, program, pythonVersion: version };
  return writeTraceRecord(traceRecord(result, text ? { ...about, text: traceText("p", program, result) } : about));
}

describe("records of traced programs", () => {
  test("written, read and written again are the same bytes, and hold the trace as it was", async () => {
    let file = "";
    for (const name of Object.keys(programs)) file += await lineOf(name, name.length % 2 === 0);
    const records = readTraceRecords(file, "t.jsonl", version);
    expect(records.map(writeTraceRecord).join("")).toBe(file);
    for (const [index, name] of Object.keys(programs).entries()) {
      expect(recordedTrace(records[index])).toEqual((await resultOf(name)).trace ?? null);
    }
  });

  test("say what was tested and what came of it", async () => {
    const read = async (name: string) => readTraceRecords(await lineOf(name), "t.jsonl", version)[0];
    const { trace: _, ...crash } = await read("propagated");
    const origin = { error_type: "IndexError", error_message: "list index out of range" };
    expect(crash).toEqual({
      schema_version: 1,
      python_version: version,
      id: "best",
      problem_id: "problem/propagated",
      program: programs.propagated.program,
      test: "best([[1, 2], [3]])",
      outcome: "EXC",
      verdict: "runtime_error",
      error: { type: "IndexError", message: "list index out of range", line: 2 },
      origin: { line_number: 2, ...origin },
    });
    expect(await read("divide")).toMatchObject({ outcome: "PASS", verdict: "pass", error: null, origin: null });
    expect(await read("syntax")).toMatchObject({
      test: null,
      outcome: "SKIP",
      verdict: "syntax_error",
      error: { type: "SyntaxError", line: 2 },
      trace: null,
    });
  });

  test("of another schema or another Python are refused, with both values", async () => {
    const line = await lineOf("divide");
    const read = (text: string) => () => readTraceRecords(text, "t.jsonl", version);
    expect(read(line + line.replace('"3.14.2"', '"3.13.1"'))).toThrow(
      'Cannot read t.jsonl: line 2: python_version is "3.13.1", not "3.14.2"',
    );
    expect(read(line.replace('"schema_version":1', '"schema_version":2,"new":0'))).toThrow(
      "Cannot read t.jsonl: line 1: schema_version is 2, not 1",
    );
    expect(read("7")).toThrow("Cannot read t.jsonl: line 1: schema_version is undefined, not 1");
  });

  test("with any field missing, of another type or unknown are refused, with its name", async () => {
    const line = await lineOf("divide", true);
    const wrong = (change: (record: Record<string, unknown>) => void) => {
      const record = JSON.parse(line);
      change(record);
      return () => readTraceRecords(`\n${JSON.stringify(record)}\n`, "t.jsonl", version);
    };
    for (const key of Object.keys(JSON.parse(line)).filter((key) => !key.endsWith("_version"))) {
      expect(wrong((record) => record[key] = 7), key).toThrow(`Cannot read t.jsonl: line 2: record.${key} is 7, not `);
      if (key !== "text") {
        expect(wrong((record) => delete record[key]), key).toThrow(`line 2: record.${key} is missing, not `);
      }
    }
    expect(wrong((record) => record.mark = 1)).toThrow('line 2: record has the unknown key "mark"');
    expect(wrong((record) => (record.trace as Record<string, unknown>).origin = null)).toThrow(
      'line 2: record.trace has the unknown key "origin"',
    );
    expect(() => readTraceRecords('{"a":', "t.jsonl", version)).toThrow(/^Cannot read t.jsonl: line 1: .*JSON/);
  });

  test("of an earlier day are still read, and their traces still make the same texts", () => {
    const file = readFileSync(new URL("../golden/traces.jsonl", import.meta.url), "utf8");
    const records = readTraceRecords(file, "traces.jsonl", version);
    expect(records.length).toBe(Object.keys(programs).length);
    expect(records.map(writeTraceRecord).join("")).toBe(file);
    for (const record of records) {
      const trace = recordedTrace(record);
      const made = formatTrace({
        problem: record.problem_id,
        program: record.program,
        test: record.test ?? "loading the program",
        events: trace?.events ?? [],
        stopped: trace?.truncated === "steps" ? trace.steps : null,
        error: trace ? null : record.error,
        outcome: record.outcome === "PASS" ? "PASS" : "FAIL",
      });
      expect(made).toBe(record.text);
      expect(formatTrace(parseTraceText(made))).toBe(made);
    }
  });

  test("name the Python of the pool", async () => {
    expect(await pythonVersion(pool)).toMatch(/^3\.14\.\d+$/);
  });
});

describe("a trace from outside", () => {
  test.each(Object.keys(programs))("as the engine makes it is accepted: %s", async (name) => {
    const { trace } = await resultOf(name);
    if (trace) expect(parseTrace(JSON.parse(JSON.stringify(trace)))).toEqual(trace);
    else expect(name).toBe("syntax");
  });

  test("with any key of any part missing, unknown or of another type is refused, with the path", async () => {
    const parts = (value: unknown, path: string): [string, Record<string, unknown>][] => {
      if (typeof value !== "object" || value === null) return [];
      const inner = Array.isArray(value)
        ? value.flatMap((item, index) => parts(item, `${path}[${index}]`))
        : Object.entries(value).filter(([key]) => key !== "variable_states").flatMap(([key, item]) =>
          parts(item, `${path}.${key}`)
        );
      return Array.isArray(value) ? inner : [[path, value as Record<string, unknown>], ...inner];
    };
    const optional = ["variable_states", "notes", "external"];
    let tried = 0;
    for (const name of ["propagated", "separators", "generator"]) {
      const trace = JSON.parse(JSON.stringify((await resultOf(name)).trace));
      for (const [path, part] of parts(trace, "trace")) {
        const refused = (change: () => void, message: string) => {
          const before = { ...part };
          change();
          expect(() => parseTrace(trace), path).toThrow(message);
          for (const key of Object.keys(part)) delete part[key];
          Object.assign(part, before);
          tried++;
        };
        for (const key of Object.keys(part)) {
          refused(() => part[key] = ["x"], `Cannot read the trace: ${path}.${key}`);
          if (!optional.includes(key)) refused(() => delete part[key], `Cannot read the trace: ${path}`);
        }
        refused(() => part.mark = 1, `Cannot read the trace: ${path} has the unknown key "mark"`);
      }
      expect(parseTrace(trace)).toEqual((await resultOf(name)).trace);
    }
    expect(tried).toBeGreaterThan(500);
  });

  test("whose steps do not rise, or whose lines or values are of another kind, is refused", async () => {
    const trace = (await resultOf("divide")).trace!;
    const with_ = (index: number, more: object) => ({
      ...trace,
      events: trace.events.map((event, at) => at === index ? { ...event, ...more } : event),
    });
    const at = "Cannot read the trace: trace.events";
    expect(() => parseTrace(with_(2, { step: 1 }))).toThrow(`${at}[2].step is 1, not more than the one before, 1`);
    expect(() => parseTrace(with_(1, { line_number: 1.5 }))).toThrow(`${at}[1].line_number is 1.5, not a line number`);
    expect(() => parseTrace(with_(1, { value: "1" }))).toThrow(`${at}[1].value is present on an event of type "line"`);
    expect(() => parseTrace(with_(1, { variable_states: { a: 1 } }))).toThrow(`${at}[1].variable_states["a"] is 1`);
    expect(() => parseTrace(null)).toThrow("Cannot read the trace: trace is null, not an object");
  });
});
