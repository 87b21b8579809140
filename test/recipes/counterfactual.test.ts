import { expect, test } from "vitest";
import type { Sample } from "../../src/data/pairs.ts";
import { type Problem, programJob, programText } from "../../src/data/problem.ts";
import { counterfactualRepairs, repairPairs, repairRows, siblingPairs } from "../../src/recipes/counterfactual.ts";
import { testPool } from "../trace/helpers.ts";

const pool = testPool(2);

const problem = (id: string, codeMode: Problem["codeMode"]): Problem => ({
  id,
  dataset: "micro",
  split: "train",
  prompt: codeMode === "completion" ? "def total(items, limit):\n" : "Add up to a limit.",
  entryPoint: "total",
  canonicalSolution: null,
  tests: ["assert total([], 5) == 0", "assert total([1, 2], 5) == 3", "assert total([4, 4], 5) == 5"],
  testKind: "assert-list",
  codeMode,
});
const problems = [problem("p/1", "completion"), problem("p/2", "program"), problem("p/3", "completion")];
const body = `    result = 0
    for item in items:
        result += item
    if result > limit:
        result = limit
    return result
`;
const other = "    return min(sum(items), limit)\n";
const codes = [
  body,
  other,
  body.replace("result > limit", "result < limit"),
  body.replace("result = 0", "result = 1").replace("result = limit", "result = 5"),
  body.replace("result > limit", "result < limit").replace("items:", "items:  # each"), // the same program as sample 2
  body.replace("return result", "return (result"),
  "    result = 0\n    while True:\n        result += 1\n    return result\n",
];

async function samplesOf(problem: Problem, some: readonly string[]): Promise<Sample[]> {
  return await Promise.all(some.map(async (code, index) => {
    const completion = problem.codeMode === "completion" ? code : `def total(items, limit):\n${code}`;
    const limits = { stepsPerTest: 5000 };
    const result = await pool.run({ ...programJob(problem, completion, "none"), limits });
    return { problemId: problem.id, index, completion, tokens: [], finished: true, result };
  }));
}

test("failing samples are repaired by the nearest passing one, each program once, and the same way every time", async () => {
  const samples = [
    ...await samplesOf(problems[0], codes),
    ...await samplesOf(problems[1], codes.slice(0, 3)),
    ...await samplesOf(problems[2], codes.slice(2, 4)), // nothing passes
  ];
  const seen: number[] = [];
  const options = { perProblem: 6 };
  const found = await counterfactualRepairs(pool, problems, samples, options, ({ done, total }) => {
    expect(total).toBe(5);
    seen.push(done);
  });
  expect(seen).toEqual([1, 2, 3, 4, 5]);
  expect(await counterfactualRepairs(pool, problems, samples, options)).toEqual(found);
  expect(found.map(({ problemId, loser }) => [problemId, loser])).toEqual([
    ["p/1", 2],
    ["p/1", 5],
    ["p/1", 3],
    ["p/1", 6],
    ["p/2", 2],
  ]);
  const of = (id: string, loser: number) => found.find((each) => each.problemId === id && each.loser === loser)!;
  expect(of("p/1", 2)).toMatchObject({ winner: 0, completion: body, lines: [[5, 1]] });
  expect(of("p/2", 2).lines).toEqual([[5, 1]]);
  expect(of("p/1", 3).repair.minimal).toEqual([0]); // the limit of all tests is 5
  expect(of("p/1", 6).winner).toBe(1);
  for (const { problemId, completion } of found) {
    const whose = problems.find(({ id }) => id === problemId)!;
    expect((await pool.run(programJob(whose, completion!, "none"))).passed).toBe(true);
  }

  const pairs = repairPairs(problems, samples, found);
  expect(pairs.map(({ problemId, rejected }) => [problemId, rejected])).toEqual(
    found.filter(({ repair }) => repair.minimal!.length === 1).map(({ problemId, loser }) => [problemId, loser]),
  );
  expect(pairs[0]).toMatchObject({ reason: "repair", margin: 1, chosenText: body, rejectedText: codes[2], hunks: 1 });
  const asked = problems.map((each) => ({ ...each, ask: "Write it." }));
  expect(new Set(repairPairs(asked, samples, found).map(({ prompt }) => prompt))).toEqual(new Set(["Write it."]));
  const rows = await repairRows(pool, problems, samples, found);
  expect(rows.length).toBe(found.length);
  expect(rows[0].buggy).toBe(programText(problems[0], codes[2]));
  expect(rows[0].fix).toBe(programText(problems[0], body));
  expect(rows[0].trace).toContain("Test Result: FAIL");
  expect(() => repairPairs(problems, [], found)).toThrow("Cannot use the repair of p/1#2: its sample is not there");
});

test("an unfinished sample is no sibling, and a flaky one is in no experiment", async () => {
  const samples = await samplesOf(problems[0], codes.slice(0, 3));
  expect(siblingPairs(samples).map(({ loser, winner }) => [loser.index, winner.index])).toEqual([[2, 0]]);
  const cut = samples.map((sample, i) => i === 0 ? { ...sample, finished: false } : sample);
  expect(siblingPairs(cut).map(({ winner }) => winner.index)).toEqual([1]);
  expect(siblingPairs(cut.map((sample) => ({ ...sample, result: { ...sample.result, flaky: true } })))).toEqual([]);
});
