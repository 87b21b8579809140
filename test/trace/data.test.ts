import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { data, parseRows, type Row, rowJob, testPool } from "./helpers.ts";

const pool = testPool();
const rows = (name: string) => parseRows<Row>(readFileSync(new URL(name, data), "utf8"));

interface Candidate {
  problem_id: string;
  code: string;
  code_mode: string;
  result: string;
}

/** Our result in the words of the native measurement. */
function nativeWord(result: ProgramResult): string {
  if (result.passed) return "pass";
  const error = result.error ?? result.tests.find((test) => test.outcome !== "PASS")?.error;
  switch (result.verdict) {
    case "syntax_error":
      return "syntax";
    case "wrong_answer":
    case "assertion_error":
      return "assert";
    case "memory_limit": // natively memory had no cap, such a program grew until its time was up
    case "step_limit":
    case "timeout":
      return "timeout";
    default:
      return error?.type === "AssertionError" ? "assert" : `exc:${error?.type}`;
  }
}

describe("real problems", () => {
  test.each(["humaneval.jsonl", "mbpp.jsonl"])("the reference solutions of the first 30 of %s pass", async (name) => {
    for (const row of rows(name).slice(0, 30)) {
      const result = await pool.run(rowJob(row, row.canonical_solution!));
      expect(result.passed, `${row.id}: ${JSON.stringify(result)}`).toBe(true);
      expect(result.testsTotal).toBeGreaterThan(0);
    }
  });

  test("QuixBugs: the first 8 fixed programs pass, their buggy versions fail", async () => {
    const programs = rows("quixbugs.jsonl").slice(0, 8) as (Row & { buggy_code: string })[];
    for (const row of programs) {
      expect((await pool.run(rowJob(row, row.canonical_solution!))).passed, row.id).toBe(true);
      expect((await pool.run({ ...rowJob(row, row.buggy_code), limits: { stepsPerTest: 20_000 } })).passed, row.id)
        .toBe(false);
    }
  });
});

describe("real model outputs", () => {
  test("45 of them, spread over the file, come out as native CPython measured them", async () => {
    const problems = new Map(
      ["humaneval.jsonl", "mbpp.jsonl", "apps.jsonl"].flatMap((name) => rows(name).map((row) => [row.id, row])),
    );
    const text = gunzipSync(readFileSync(new URL("candidates.jsonl.gz", data))).toString("utf8");
    const usable = parseRows<Candidate>(text).filter((candidate) => {
      const row = problems.get(candidate.problem_id)!;
      return candidate.code_mode !== "stdio-program" || row.test_kind === "stdio";
    });
    const chosen = usable.filter((_, index) => index % Math.floor(usable.length / 45) === 3).slice(0, 45);
    const wrong: string[] = [];
    const words = new Set<string>();
    for (const candidate of chosen) {
      const row = { ...problems.get(candidate.problem_id)! };
      row.code_mode = candidate.code_mode === "completion" ? "completion" : "program";
      const result = await pool.run({ ...rowJob(row, candidate.code, "deciding"), limits: { wallMsPerProgram: 5000 } });
      const native = candidate.result.startsWith("syntax")
        ? "syntax"
        : candidate.result === "wrong-output"
        ? "assert"
        : candidate.result;
      words.add(native);
      if (nativeWord(result) !== native) wrong.push(`${candidate.problem_id}: ${native}, here ${nativeWord(result)}`);
      // Who had to be killed can't be replayed.
      if (result.stage === "run" && result.error?.type !== "timeout") {
        expect(result.trace, JSON.stringify(result)).toBeDefined();
      }
    }
    expect(words.size, "several kinds of outcome are among them").toBeGreaterThanOrEqual(5);
    expect(wrong).toEqual([]);
  });
});
