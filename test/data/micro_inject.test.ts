import { afterAll, describe, expect, test } from "vitest";
import { loadProblems } from "../../src/data/datasets.ts";
import { allMutants, type Fault, injectBugs, microProblems } from "../../src/data/micro/micro.ts";
import { programJob } from "../../src/data/problem.ts";
import { denoHost } from "../../src/host/deno.ts";
import { createPool } from "../../src/trace/pool.ts";

const host = denoHost();
const pool = createPool(() => host.spawnArena(), { size: 2 });
afterAll(() => pool.close());

const SOURCE = `def f(xs, n):
    """Keep "for x in xs" and 1 < 2 in here."""
    total = 0  # ü
    if not xs:
        return n
    for i in range(len(xs)):
        if xs[i] > n and (xs[i] % 2) == 1:
            total += max(xs[i], n)
    return total
`;

/** Lines that differ between two texts once equal lines at both ends are dropped: [first, last] of the original. */
function changedLines(before: string, after: string): [number, number] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  return [head + 1, Math.max(head + 1, a.length - tail)];
}

async function mutantsOf(fault: Fault): Promise<string[]> {
  return (await allMutants(pool, [SOURCE], [fault]))[0].map(({ code, line }) => {
    const [first, last] = changedLines(SOURCE, code);
    expect({ code, near: line >= first && line <= last }).toEqual({ code, near: true });
    return code.split("\n").slice(first - 1, last).map((row) => row.trim()).join(" / ");
  });
}

describe("the bug injector's classes, on one function", () => {
  test("off_by_one moves a constant, a boundary or an index by one, never a first value", async () => {
    const mutants = await mutantsOf("off_by_one");
    expect(mutants).toContain("if xs[i] >= n and (xs[i] % 2) == 1:");
    expect(mutants).toContain("if xs[i + 1] > n and (xs[i] % 2) == 1:");
    expect(mutants).toContain("for i in range(len(xs) - 1):");
    expect(mutants).toContain("if xs[i] > n and (xs[i] % 3) == 1:");
    expect(mutants.filter((row) => row.startsWith("total = "))).toEqual([]);
  });

  test("wrong_operator exchanges arithmetic, comparison and logic, across brackets too", async () => {
    const mutants = await mutantsOf("wrong_operator");
    expect(mutants).toContain("if xs[i] < n and (xs[i] % 2) == 1:");
    expect(mutants).toContain("if xs[i] > n or (xs[i] % 2) == 1:");
    expect(mutants).toContain("if xs[i] > n and (xs[i] % 2) != 1:");
    expect(mutants).toContain("if xs[i] > n and (xs[i] // 2) == 1:");
    expect(mutants).toContain("total -= max(xs[i], n)");
    expect(mutants).toContain("if xs:");
  });

  test("wrong_variable, wrong_initial and wrong_call put something else in its place", async () => {
    expect(await mutantsOf("wrong_variable")).toContain("return n");
    expect(await mutantsOf("wrong_initial")).toEqual(["total = 1  # ü", "total = -1  # ü"]);
    const calls = await mutantsOf("wrong_call");
    expect(calls).toContain("total += min(xs[i], n)");
    expect(calls).toContain("total += max(n, xs[i])");
    expect(calls).toContain("for i in range(sum(xs)):");
  });

  test("missing_return drops a return or moves it into the loop, missing_base_case drops a guard", async () => {
    const returns = (await allMutants(pool, [SOURCE], ["missing_return"]))[0].map(({ code }) => code);
    expect(returns).toContain(SOURCE.replace("    return total\n", ""));
    expect(returns).toContain(SOURCE.replace("    return total\n", "    total\n"));
    expect(returns).toContain(SOURCE.replace("    return total\n", "        return total\n"));
    const guards = (await allMutants(pool, [SOURCE], ["missing_base_case"]))[0].map(({ code }) => code);
    expect(guards).toEqual([SOURCE.replace("    if not xs:\n        return n\n", "")]);
  });

  test("recursive functions lose their base case or their progress", async () => {
    const source = "def f(n):\n    if n < 2:\n        return 1\n    return n * f(n - 1)\n";
    const short = "def f(n):\n    return 1 if n < 2 else n * f(n - 1)\n";
    const [long, oneLine] = await allMutants(pool, [source, short]);
    const codes = long.map(({ fault, code }) => `${fault}: ${code}`);
    expect(codes).toContain("missing_base_case: def f(n):\n    return n * f(n - 1)\n");
    expect(codes).toContain(`wrong_call: ${source.replace("f(n - 1)", "f(n)")}`);
    expect(oneLine.filter(({ fault }) => fault === "missing_base_case").map(({ code }) => code)).toEqual([
      "def f(n):\n    return n * f(n - 1)\n",
    ]);
  });

  test("docstrings stay as they are in every mutant", async () => {
    const [mutants] = await allMutants(pool, [SOURCE]);
    expect(mutants.length).toBeGreaterThan(60);
    for (const { code } of mutants) expect(code.split("\n").slice(0, 2)).toEqual(SOURCE.split("\n").slice(0, 2));
  });
});

describe("mutants of micro problems", () => {
  test("broken ones do not compile, semantic ones do and nearly all fail a test", async () => {
    const problems = await microProblems(pool, { seed: 21, count: 115, split: "all" });
    let semantic = 0;
    let killed = 0;
    const some = problems.filter((_, i) => i % 12 === 0);
    const sources = some.map((problem) => problem.prompt + problem.canonicalSolution);
    const mutantsOf = await allMutants(pool, sources);
    for (const [i, problem] of some.entries()) {
      for (const { code, fault } of mutantsOf[i]) {
        expect(code.startsWith(problem.prompt)).toBe(true);
        const { stage, error, passed } = await pool.run({ ...programJob(problem, "", "none"), program: code });
        if (fault === "broken_indentation" || fault === "broken_syntax") {
          expect({ code, stage }).toEqual({ code, stage: "syntax" });
          expect({ code, type: error?.type }).toEqual({
            code,
            type: fault === "broken_syntax" ? "SyntaxError" : "IndentationError",
          });
        } else {
          expect(stage).not.toBe("syntax");
          semantic++;
          if (!passed) killed++;
        }
      }
    }
    expect(semantic).toBeGreaterThan(100);
    // The others change nothing a test could see, such as the swapped arguments of max.
    expect(killed / semantic).toBeGreaterThan(0.9);
  });
});

describe("the injector on HumanEval solutions", () => {
  test("plants one fault of the class asked for, and leaves all other lines alone", async () => {
    const problems = (await loadProblems(host, "../shared/data/humaneval.jsonl")).slice(0, 40);
    const faults: Fault[][] = [["off_by_one", "wrong_operator", "wrong_variable"], ["broken_syntax"]];
    const requests = problems.flatMap((problem) => {
      const source = problem.prompt + problem.canonicalSolution;
      return faults.map((wanted) => ({ source, seed: 5, faults: wanted }));
    });
    const mutants = await injectBugs(pool, requests);
    expect(await injectBugs(pool, requests)).toEqual(mutants);
    let planted = 0;
    for (const [i, mutant] of mutants.entries()) {
      if (!mutant) continue;
      planted++;
      expect(requests[i].faults).toContain(mutant.fault);
      const [first, last] = changedLines(requests[i].source, mutant.code);
      expect(mutant.line).toBeGreaterThanOrEqual(first);
      expect(mutant.line).toBeLessThanOrEqual(last);
      expect(last - first).toBeLessThanOrEqual(1);
    }
    expect(planted).toBeGreaterThan(70);
  });

  test("a text without a function, or without a place for the class, gives null", async () => {
    const source = "def f():\n    return 7\n";
    expect(
      await injectBugs(pool, [{ source: "x = 1\n", seed: 1 }, { source, seed: 1, faults: ["missing_base_case"] }]),
    ).toEqual([null, null]);
  });
});
