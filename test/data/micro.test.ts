import { createHash } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { microCorpus, microFamilies, microProblems, testedCorpus } from "../../src/data/micro/micro.ts";
import { MICRO_SOURCE } from "../../src/data/micro/source.ts";
import { programJob } from "../../src/data/problem.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { createPool } from "../../src/trace/pool.ts";

const host = denoHost();
const pool = createPool(() => host.spawnArena(), { size: 2 });
afterAll(() => pool.close());

const CATEGORIES = ["arithmetic", "conditionals", "dicts", "lists", "loops", "recursion", "strings"];
const SYNTAX = ["broken_indentation", "broken_syntax"];
const MOST_TOKENS = 112; // of a context of 128

const distinct = <T>(values: T[]) => [...new Set(values)];

describe("families", () => {
  test("there are at least 60, about a quarter held out, every category on both sides", async () => {
    const families = await microFamilies(pool);
    expect(distinct(families.map((family) => family.name)).length).toBe(families.length);
    expect(families.length).toBeGreaterThanOrEqual(60);
    const heldout = families.filter((family) => family.split === "heldout");
    const train = families.filter((family) => family.split === "train");
    expect(heldout.length + train.length).toBe(families.length);
    expect(heldout.length / families.length).toBeGreaterThan(0.2);
    expect(heldout.length / families.length).toBeLessThan(0.3);
    for (const side of [train, heldout]) {
      expect(distinct(side.map((family) => family.category)).sort()).toEqual(CATEGORIES);
    }
  });
});

describe("problems", () => {
  test("every family's problems have at least 5 tests, which every reference solution passes and a stub does not", async () => {
    const families = await microFamilies(pool);
    const problems = await microProblems(pool, { seed: 3, count: families.length, split: "all" });
    expect(distinct(problems.map((problem) => problem.family)).length).toBe(families.length);
    for (const problem of problems) {
      expect(problem.tests.length).toBeGreaterThanOrEqual(5);
      expect(distinct(problem.tests).length).toBe(problem.tests.length);
      const solutions = problem.meta!.solutions as string[];
      expect(solutions.length).toBeGreaterThanOrEqual(2);
      expect(solutions[0]).toBe(problem.canonicalSolution);
      for (const solution of solutions) {
        expect(solution).toMatch(/^ {4}\S[^]*\n$/);
        const { verdict, testsPassed } = await pool.run(programJob(problem, solution, "none"));
        expect({ problem: problem.id, solution, verdict, testsPassed }).toEqual({
          problem: problem.id,
          solution,
          verdict: "pass",
          testsPassed: problem.tests.length,
        });
      }
      for (const stub of ["return None", "return 0", "return True"]) {
        const { passed } = await pool.run(programJob(problem, `    ${stub}\n`, "none"));
        expect({ problem: problem.id, stub, passed }).toEqual({ problem: problem.id, stub, passed: false });
      }
    }
  });

  test("a prompt is a signature, one sentence and one example, and the example is the first test", async () => {
    for (const problem of await microProblems(pool, { seed: 4, count: 120, split: "all" })) {
      const shape = /^def (\w+)\((.+)\):\n {4}"""Return .+\.\n {4}>>> (.+)\n {4}(.+)\n {4}"""\n$/.exec(problem.prompt);
      expect(shape, problem.prompt).not.toBeNull();
      const [, name, , call, value] = shape!;
      expect(name).toBe(problem.entryPoint);
      expect([`assert ${call} == ${value}`, `assert ${call} is ${value}`]).toContain(problem.tests[0]);
    }
  });

  test("train and held-out problems come from different families, and no prompt is shared with a corpus", async () => {
    const train = await microProblems(pool, { seed: 5, count: 100, split: "train" });
    const heldout = await microProblems(pool, { seed: 5, count: 100, split: "heldout" });
    const families = new Map((await microFamilies(pool)).map((family) => [family.name, family.split]));
    expect(train.every((problem) => problem.split === "train" && families.get(problem.family!) === "train")).toBe(true);
    expect(heldout.every((problem) => families.get(problem.family!) === "heldout")).toBe(true);
    const prompts = new Set([...train, ...heldout].map((problem) => problem.prompt));
    expect(prompts.size).toBe(200);
    const corpus = await microCorpus(pool, { seed: 5, count: 500 });
    expect(corpus.filter((row) => prompts.has(row.prompt))).toEqual([]);
  });

  test("a seed gives the same problems every time, a longer list begins with the shorter one", async () => {
    const short = await microProblems(pool, { seed: 6, count: 20, split: "heldout" });
    const long = await microProblems(pool, { seed: 6, count: 300, split: "heldout" });
    expect(long.slice(0, 20)).toEqual(short);
    expect(distinct(long.map((problem) => problem.prompt)).length).toBe(300);
    const other = await microProblems(pool, { seed: 7, count: 20, split: "heldout" });
    expect(other.filter((problem) => short.some((same) => same.prompt === problem.prompt)).length).toBeLessThan(5);
  });

  test("a count or seed that is no whole number is refused", async () => {
    await expect(microProblems(pool, { seed: 1, count: 2.5, split: "all" })).rejects.toThrow("count is 2.5");
    await expect(microCorpus(pool, { seed: -1, count: 2 })).rejects.toThrow("seed is -1");
    await expect(microCorpus(pool, { seed: 1, count: 2, bugRate: 0.7, syntaxRate: 0.6 })).rejects.toThrow(
      "bugRate 0.7",
    );
  });
});

describe("the corpus", () => {
  test("rows are right or faulty exactly as they say, judged by the harness that judges a model's programs", async () => {
    const rows = await testedCorpus(pool, { seed: 8, count: 230 });
    for (const row of rows) {
      const result = await pool.run({
        id: row.family,
        program: row.prompt + row.completion,
        entryPoint: row.name,
        testKind: "assert-list",
        tests: row.tests,
        trace: "none",
      });
      const expected = row.fault === null ? "pass" : SYNTAX.includes(row.fault) ? "syntax" : "fail";
      const measured = result.passed ? "pass" : result.stage === "syntax" ? "syntax" : "fail";
      expect({ ...row, measured }).toEqual({ ...row, measured: expected });
    }
  });

  test("shares of faults are those asked for, every class occurs, and all fit into 112 tokens", async () => {
    const rows = await microCorpus(pool, { seed: 9, count: 1000 });
    const share = (wanted: (fault: string | null) => boolean) => rows.filter((row) => wanted(row.fault)).length / 1000;
    expect(share((fault) => fault !== null && !SYNTAX.includes(fault))).toBeCloseTo(0.45, 1);
    expect(share((fault) => fault !== null && SYNTAX.includes(fault))).toBeCloseTo(0.08, 1);
    expect(distinct(rows.map((row) => String(row.fault))).length).toBe(10);
    const tokenizer = await loadTokenizer(host, "models/micro");
    for (const row of rows) {
      const length = tokenizer.encode(row.prompt).length + tokenizer.encode(row.completion).length + 1;
      expect({ row, fits: length <= MOST_TOKENS }).toEqual({ row, fits: true });
    }
    const clean = await microCorpus(pool, { seed: 9, count: 100, bugRate: 0, syntaxRate: 0 });
    expect(distinct(clean.map((row) => row.fault))).toEqual([null]);
  });

  test("no single mutant of a problem is as likely as a right solution", async () => {
    const script = `${MICRO_SOURCE}

def main(request):
    report = []
    for family in FAMILIES[::9]:
        draw, problem, seen = Draw(13), None, {}
        while not problem:
            problem = make_problem(family, draw)
        for _ in range(100):
            code = inject(problem["prompt"] + draw.pick(problem["styles"]), draw)["code"]
            seen[code] = seen.get(code, 0) + 1
        report.append([family["name"], len(problem["styles"]), max(seen.values()) / 100])
    return report
`;
    for (const [family, styles, commonest] of await pool.script(script, null) as [string, number, number][]) {
      const [right, mutant] = [0.47 / styles, 0.45 * commonest];
      expect({ family, right, mutant, ahead: right > mutant }).toEqual({ family, right, mutant, ahead: true });
    }
  });

  test("the bytes are those CPython 3.11 makes", async () => {
    const rows = await microCorpus(pool, { seed: 11, count: 400 });
    const problems = await microProblems(pool, { seed: 11, count: 120, split: "all" });
    const digest = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
    // Made with: deno run -A tools/micro_corpus.ts --python python3.11; changes whenever a family or the injector does.
    expect([digest(rows), digest(problems)]).toEqual(["3fdc3a1bc6570e83", "6eed178b2697416c"]);
  });

  test("a mutant that never ends is stopped by its step budget", async () => {
    const loop = "def f(n):\n    while n > 0:\n        n += 1\n    return n\n";
    const same = "def f(n):\n    return n\n";
    const runs = [
      { code: loop, tests: ["assert f(0) == 0", "assert f(1) == 1"] },
      { code: "def f(n):\n    return f(n)\n", tests: ["assert f(0) == 0"] },
      { code: same, tests: ["assert f(0) == 0", "assert f(1) == 2"] },
      { code: same, tests: ["assert f(0) == 0"] },
    ];
    expect(await pool.script(MICRO_SOURCE, runs.map((run) => ({ op: "run", ...run })))).toEqual([
      [1, "steps"],
      [0, "error"],
      [1, "wrong"],
      null,
    ]);
  });
});
