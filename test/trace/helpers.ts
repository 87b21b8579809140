// Shared by the trace tests: one pool per test file, and jobs from normalised rows.

import { afterAll } from "vitest";
import { spawnArena } from "../../src/host/deno_arena.ts";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import type { Compare, ProgramJob, TestKind } from "../../src/trace/schema.ts";
import type { TracedProgram } from "./programs.ts";

/** A pool that ends with the test file. */
export function testPool(size = 1): Pool {
  const pool = createPool(spawnArena, { size });
  afterAll(() => pool.close());
  return pool;
}

/** A program with asserts as tests. */
export function asserts(
  program: string,
  entryPoint: string,
  tests: string[],
  more: Partial<ProgramJob> = {},
): ProgramJob {
  return { id: entryPoint, program, entryPoint, testKind: "assert-list", tests, trace: "none", ...more };
}

/** One of `programs`, run and traced. */
export function runTraced(pool: Pool, { program, entry, test }: TracedProgram, more: Partial<ProgramJob> = {}) {
  return pool.run(asserts(program, entry, [test], { trace: "deciding", limits: { stepsPerTest: 20_000 }, ...more }));
}

export interface Row {
  id: string;
  prompt: string;
  entry_point: string;
  canonical_solution: string | null;
  tests: unknown[];
  test_kind: TestKind;
  code_mode?: "completion" | "program";
  compare?: Compare;
  meta?: { pre_code?: string | null; test_setup?: string | null; is_method?: boolean };
}

export function rowJob(row: Row, code: string, trace: ProgramJob["trace"] = "none"): ProgramJob {
  return {
    id: row.id,
    program: row.code_mode === "completion" ? row.prompt + code : code,
    entryPoint: row.entry_point,
    testKind: row.test_kind,
    tests: row.tests,
    compare: row.compare,
    preCode: row.meta?.pre_code ?? undefined,
    testSetup: row.meta?.test_setup ?? undefined,
    isMethod: row.meta?.is_method ?? false,
    trace,
  };
}

export function parseRows<T>(text: string): T[] {
  return text.trim().split("\n").map((line) => JSON.parse(line) as T);
}

export const data = new URL("../../../shared/data/", import.meta.url);
