import { describe, expect, test } from "vitest";
import type { Sample } from "../../src/data/pairs.ts";
import { type Problem, programJob } from "../../src/data/problem.ts";
import { findBugs, repairProblems, repairRows } from "../../src/recipes/repair.ts";
import { testPool } from "../trace/helpers.ts";

const problem: Problem = {
  id: "add",
  dataset: "test",
  split: "train",
  prompt: 'def add(a, b):\n    """Sum of a and b."""\n',
  entryPoint: "add",
  canonicalSolution: "    return a + b\n",
  tests: ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
  testKind: "assert-list",
  codeMode: "completion",
};
const other: Problem = {
  ...problem,
  id: "first",
  prompt: "def first(xs):\n",
  tests: ["assert first([5]) == 5"],
  entryPoint: "first",
};
const pool = testPool(2);
const options = { traceTokens: 200, count: (text: string) => text.length / 4 };

async function sample(of: Problem, index: number, completion: string, finished = true): Promise<Sample> {
  const result = await pool.run(programJob(of, completion, "deciding"));
  return { problemId: of.id, index, completion, tokens: [], finished, result };
}

async function bugs() {
  const samples = await Promise.all([
    sample(problem, 0, "    return a + b\n"),
    sample(problem, 1, "    return a - b\n", false),
    sample(problem, 2, "    c = a * b\n    return c\n"),
    sample(problem, 3, "    c = a*b\n    return c\n"),
    sample(problem, 4, "    return a\n"),
    sample(other, 0, "    return xs[1]\n"),
  ]);
  return await findBugs(pool, [problem, other], samples, 1);
}

describe("repair", () => {
  test("takes the first failing program of a problem that ended by itself", async () => {
    expect((await bugs()).map(({ problem, code }) => [problem.id, code])).toEqual([
      ["add", "    c = a * b\n    return c\n"],
      ["first", "    return xs[1]\n"],
    ]);
  });

  test("views differ in what they show of the run alone, and all end where the program begins again", async () => {
    const found = await bugs();
    const asks = (["none", "test", "trace", "shuffled"] as const).map((view) =>
      repairProblems(found, view, [], options).map(({ ask }) => ask!)
    );
    const [none, shown, traced, placebo] = asks;
    expect(none[0]).toBe(
      '# Task\n# def add(a, b):\n#     """Sum of a and b."""\n# Program\ndef add(a, b):\n    """Sum of a and b."""\n' +
        '    c = a * b\n    return c\n# Corrected program\ndef add(a, b):\n    """Sum of a and b."""\n',
    );
    expect(shown[0]).toBe(none[0].replace("# Corrected", "# add(1, 2) returned 2, expected 3\n# Corrected"));
    expect(shown[1]).toContain("# first([5]) ended with IndexError: list index out of range\n");
    const trace = traced[0].slice(traced[0].indexOf("# Trace"), traced[0].indexOf("# Corrected"));
    expect(trace).toContain("# [L3] c=2\n");
    expect(traced[0].replace(trace, "")).toBe(shown[0]);
    // With two bugs each gets the other's trace.
    expect(placebo[1]).toContain(trace);
    expect(placebo[1].replace(trace, "")).toBe(shown[1]);
  });

  test("an answer is judged as one to the original problem", async () => {
    const [repair] = repairProblems(await bugs(), "trace", [], options);
    expect(repair.id).toBe("add!0");
    expect((await pool.run(programJob(repair, "    return a + b\n", "none"))).passed).toBe(true);
    expect((await pool.run(programJob(repair, "    return a\n", "none"))).passed).toBe(false);
  });

  test("solved repairs stand in front, in the same form", async () => {
    const found = await bugs();
    const rows = repairRows(found, ["    return a + b\n", "    return xs[0]\n"], "test", options);
    const [, ask] = repairProblems(found, "test", rows.slice(0, 1), options).map(({ ask }) => ask!);
    expect(ask.startsWith(rows[0].prompt + "    return a + b\n\n# Task\n")).toBe(true);
    expect(ask.endsWith(rows[1].prompt)).toBe(true);
  });

  test("one bug alone has no placebo", async () => {
    const [only] = await bugs();
    expect(() => repairProblems([only], "shuffled", [], options)).toThrow("there is only one bug");
  });
});
