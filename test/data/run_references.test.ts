import { afterAll, describe, expect, test } from "vitest";
import { loadProblems } from "../../src/data/datasets.ts";
import { programJob } from "../../src/data/problem.ts";
import { denoHost } from "../../src/host/deno.ts";
import { type Answer, groupAgreement } from "../../src/trace/agreement.ts";
import { createPool } from "../../src/trace/pool.ts";

// Real rows through the real interpreter: what a loader gets wrong (set-up order, joining, numbers) fails here.
const host = denoHost();
const pool = createPool(() => host.spawnArena());
afterAll(() => pool.close());

describe("reference solutions pass their own tests", () => {
  const isWritten = (test: unknown) => /"(args|expected)_repr"/.test(JSON.stringify(test));

  test.each<[string, string, (id: string, tests: unknown[]) => boolean, number]>([
    ["HumanEval as published", "original/HumanEval.jsonl.gz", () => true, 4],
    ["MBPP as published, tasks with set-up code", "original/mbpp.jsonl", (id) => /\/(367|927)$/.test(id), 2],
    ["APPS as published", "original/apps", () => true, 3],
    ["HumanEval+ with numbers kept as written", "humanevalplus.jsonl", (_, tests) => tests.some(isWritten), 4],
    ["MBPP+ with numbers kept as written", "mbppplus.jsonl", (_, tests) => tests.some(isWritten), 4],
  ])("%s", async (_name, path, wanted, count) => {
    const problems = (await loadProblems(host, `../shared/data/${path}`)).filter(({ id, tests }) => wanted(id, tests));
    expect(problems.length).toBeGreaterThanOrEqual(count);
    for (const problem of problems.slice(0, count)) {
      const result = await pool.run(programJob(problem, problem.canonicalSolution!, "none"));
      expect([problem.id, result.verdict]).toEqual([problem.id, "pass"]);
      const broken = await pool.run(programJob(problem, "    pass\n", "none"));
      expect([problem.id, broken.passed]).toEqual([problem.id, false]);
    }
  });
});

describe("agreement of real value streams", () => {
  const sum = (names: [string, string, string], extra = "", result = names[1]) =>
    `def f(${names[0]}):\n    ${names[1]} = 0\n    for ${names[2]} in ${names[0]}:\n        ` +
    `${names[1]} += ${names[2]}\n${extra}    return ${result}\n`;

  async function answer(program: string): Promise<Answer> {
    const tests = ["assert f([1, 2, 3]) == 6", "assert f([]) == 0"];
    const job = { id: "sum", program, entryPoint: "f", testKind: "assert-list", tests, trace: "none", streams: true };
    return { code: program, result: await pool.run(job as Parameters<typeof pool.run>[0]) };
  }

  test("renaming changes nothing, padding with values lowers it, an early crash agrees with nothing", async () => {
    const passing = await answer(sum(["xs", "t", "x"]));
    const wrong = await answer(sum(["xs", "t", "x"], "", "t + 1"));
    const renamed = await answer(sum(["values", "total", "value"], "", "total + 1"));
    const padded = await answer(sum(["xs", "t", "x"], "    for q in range(30): pass\n", "t + 1"));
    const crash = await answer("def f(xs):\n    return xs.missing\n");
    expect([passing, wrong, renamed, padded, crash].map(({ result }) => result.verdict)).toEqual(
      ["pass", "wrong_answer", "wrong_answer", "wrong_answer", "runtime_error"],
    );
    const [own, near, same, less, none] = groupAgreement([passing, wrong, renamed, padded, crash]) as number[][];
    expect(own).toEqual([1, 1]);
    expect(near[0]).toBeGreaterThan(0.8);
    expect(near[0]).toBeLessThan(1);
    expect(same).toEqual(near);
    near.forEach((value, test) => expect(less[test]).toBeLessThan(value));
    expect(none).toEqual([0, 0]);
  });
});
