// A spread sample of the real data. The whole of it is judged by tools/reference_sweep.ts and tools/candidate_study.ts.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { budget } from "../../src/data/budgets.ts";
import { candidateJob, parseCandidates } from "../../src/data/candidates.ts";
import { loadProblems } from "../../src/data/datasets.ts";
import { type Problem, programJob } from "../../src/data/problem.ts";
import { measuredClass, resultClass } from "../../src/eval/measured.ts";
import { denoHost } from "../../src/host/deno.ts";
import { failingReferences } from "./data_exceptions.ts";
import { testPool } from "./helpers.ts";

const host = denoHost();
const pool = testPool();
const load = (name: string) => loadProblems(host, `../shared/data/${name}.jsonl`);
const golden = (name: string) => JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8"));

/** `count` of them, evenly spread, the first one left of the middle of each part. */
function spread<T>(list: T[], count: number): T[] {
  if (list.length <= count) return list;
  return Array.from({ length: count }, (_, i) => list[Math.floor((i + 0.4) * list.length / count)]);
}

const runnable = (problem: Problem) =>
  problem.canonicalSolution !== null && !budget(problem.id) && !(problem.id in failingReferences);

describe("real problems", () => {
  test.each([
    ["humaneval", 12],
    ["humanevalplus", 10],
    ["humanevalfix", 12],
    ["mbpp", 20],
    ["mbpp-sanitized", 10],
    ["mbppplus", 12],
    ["quixbugs", 30],
    ["apps", 12],
    ["cruxeval", 20],
  ])("%s: references pass, buggy versions fail", async (name, count) => {
    for (const problem of spread((await load(name)).filter(runnable), count)) {
      const fixed = await pool.run(programJob(problem, problem.canonicalSolution!, "none"));
      expect(fixed.passed, `${problem.id}: ${JSON.stringify(fixed)}`).toBe(true);
      expect(fixed.testsPassed).toBe(fixed.testsTotal);
      expect(fixed.testsTotal).toBeGreaterThan(0);
      if (problem.buggyCode === undefined) continue;
      const buggy = await pool.run({
        ...programJob(problem, problem.buggyCode, "none"),
        limits: { stepsPerTest: 50_000 },
      });
      expect(buggy.passed, problem.id).toBe(false);
    }
  });

  test("tests that need more than the entry point: classes, set-up objects, helpers, functions as arguments", async () => {
    const ids = [
      "humaneval/32", // the prompt's poly()
      "humaneval/33", // the entry point under both its names
      "humanevalfix/32",
      "mbpp/367", // trees of the program's own Node, made by the set-up
      "mbpp/927",
      "mbpp/601", // a list of the program's own Pair
      "mbpp/533", // types as arguments
      "mbpp/596", // the program's import
      "mbpp/88", // a Counter as result
      "cruxeval/258", // a global of the program
      "cruxeval/344", // a lambda as argument
      "cruxeval/364",
      "cruxeval/522", // a range
    ];
    const files = await Promise.all(["humaneval", "humanevalfix", "mbpp", "cruxeval"].map(load));
    const problems = new Map(files.flat().map((problem) => [problem.id, problem]));
    for (const id of ids) {
      const problem = problems.get(id)!;
      const result = await pool.run(programJob(problem, problem.canonicalSolution!, "none"));
      expect(result.passed, `${id}: ${JSON.stringify(result)}`).toBe(true);
      const broken = problem.canonicalSolution!.replaceAll(/return .*/g, "return None").replaceAll(
        "    ans",
        "    bad",
      );
      expect((await pool.run(programJob(problem, broken, "none"))).passed, id).toBe(false);
    }
  });

  test("the committed sweep has nothing unexplained, and its exceptions are the listed ones", () => {
    const { programs, exceptions } = golden("reference_sweep.json");
    expect(programs).toBe(2568);
    expect(exceptions.map(({ key }: { key: string }) => key)).toEqual(
      Object.keys(failingReferences).map((id) => `${id}#fixed`),
    );
  });
});

describe("real model outputs", () => {
  test("a spread sample comes out as native CPython measured it", async () => {
    const packed = await host.gunzip(await host.readBytes("../shared/data/candidates.jsonl.gz"));
    const candidates = parseCandidates(new TextDecoder().decode(packed), "candidates.jsonl.gz");
    const files = await Promise.all(["humaneval", "mbpp", "apps"].map(load));
    const problems = new Map(files.flat().map((problem) => [problem.id, problem]));
    const { reasons } = golden("candidate_disagreements.json");
    const listed = new Set(
      reasons.flatMap(({ rows }: { rows: { key: string }[] }) => rows.map(({ key }) => key)),
    );
    const wrong: string[] = [];
    const classes = new Set<string>();
    const usual = candidates.filter(({ key, problemId }) => !listed.has(key) && !budget(problemId));
    for (const candidate of spread(usual, 300)) {
      const job = candidateJob(problems.get(candidate.problemId)!, candidate, "deciding");
      const result = await pool.run({ ...job, limits: { wallMsPerProgram: 10_000 } });
      const [measured, here] = [measuredClass(candidate.measured!), resultClass(result)];
      classes.add(measured);
      if (measured !== here) wrong.push(`${candidate.key}: ${measured}, here ${here}`);
      // Who had to be killed can't be replayed.
      if (result.stage === "run" && result.error?.type !== "timeout") {
        expect(result.trace, JSON.stringify(result)).toBeDefined();
      }
    }
    expect(classes.size, "many kinds of outcome are among them").toBeGreaterThanOrEqual(8);
    expect(wrong).toEqual([]);
  });

  test("the committed study agrees in at least 99.5 %, and every disagreement has a reason", () => {
    const { programs, agree, reasons, unexplained } = golden("candidate_disagreements.json");
    expect(programs).toBe(12_129);
    expect(agree / programs).toBeGreaterThanOrEqual(0.995);
    expect(unexplained).toEqual([]);
    const listed = reasons.reduce((sum: number, { rows }: { rows: unknown[] }) => sum + rows.length, 0);
    expect(agree + listed).toBe(programs);
  });
});
