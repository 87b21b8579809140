import { describe, expect, test } from "vitest";
import { loadProblems } from "../../src/data/datasets.ts";
import { description, type Problem, programJob, stdioForm, withSlowTests } from "../../src/data/problem.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";

const data = "../shared/data";
const host = denoHost();
const load = (name: string) => loadProblems(host, `${data}/${name}`);

describe("the normalised files", () => {
  test.each([
    ["humaneval", 123, "humaneval-check", "completion"],
    ["humanevalfix", 123, "humaneval-check", "completion"],
    ["mbpp", 730, "assert-list", "program"],
    ["mbpp-sanitized", 324, "assert-list", "program"],
    ["mbppplus", 292, "call-json", "program"],
    ["cruxeval", 600, "assert-list", "program"],
  ])("%s loads all %i rows as %s", async (name, rows, kind, mode) => {
    const problems = await load(`${name}.jsonl`);
    expect(problems.length).toBe(rows);
    expect(new Set(problems.map((p) => p.id)).size).toBe(rows);
    expect(new Set(problems.map((p) => p.testKind))).toEqual(new Set([kind]));
    expect(new Set(problems.map((p) => p.codeMode))).toEqual(new Set([mode]));
    expect(problems.every((p) => p.tests.length > 0 && p.canonicalSolution !== null)).toBe(true);
  });

  test("files of mixed kinds load too: humanevalplus, quixbugs, apps", async () => {
    expect(kinds(await load("humanevalplus.jsonl"))).toEqual({ "call-json": 122, "humaneval-check": 1 });
    const quixbugs = await load("quixbugs.jsonl");
    expect(kinds(quixbugs)).toEqual({ "call-json": 22, "assert-list": 8 });
    expect(quixbugs.every((p) => p.buggyCode)).toBe(true);
    const apps = await load("apps.jsonl");
    expect(kinds(apps)).toEqual({ "call-json": 45, stdio: 54 });
    expect(apps.filter((p) => p.testKind === "stdio").every((p) => p.entryPoint === "")).toBe(true);
    expect(apps.filter((p) => p.canonicalSolution === null).length).toBe(29);
  });

  test("the splits of MBPP stay apart", async () => {
    const splits: Record<string, number> = {};
    for (const { split } of await load("mbpp.jsonl")) splits[split] = (splits[split] ?? 0) + 1;
    expect(splits).toEqual({ prompt: 10, test: 378, validation: 70, train: 272 });
  });
});

describe("published formats give the rows the normalised files have", () => {
  const comparable = (
    { id, dataset, split, prompt, entryPoint, tests, testKind, codeMode, compare, ...rest }: Problem,
  ) => {
    const { canonicalSolution, meta } = rest;
    return { id, dataset, split, prompt, entryPoint, tests, testKind, codeMode, compare, canonicalSolution, meta };
  };

  test("HumanEval.jsonl.gz", async () => {
    const published = await load("original/HumanEval.jsonl.gz");
    expect(published.map(comparable)).toEqual((await load("humaneval.jsonl")).map(comparable));
  });

  test("mbpp.jsonl", async () => {
    const published = await load("original/mbpp.jsonl");
    expect(published.map(comparable)).toEqual((await load("mbpp.jsonl")).map(comparable));
  });

  test("the APPS folders, together and one alone", async () => {
    const normalised = new Map((await load("apps.jsonl")).map((problem) => [problem.id, comparable(problem)]));
    const published = await load("original/apps");
    expect(published.map((p) => p.id)).toEqual(["apps/train/2287", "apps/train/2404", "apps/train/4184"]);
    for (const problem of published) expect(comparable(problem)).toEqual(normalised.get(problem.id));
    expect(await load("original/apps/4184/")).toEqual([published[2]]);
  });

  test("cruxeval.jsonl", async () => {
    const rows = (await load("cruxeval.jsonl")).filter((_, index) => index % 50 === 0);
    const published = rows.map(({ id, canonicalSolution, meta }) =>
      JSON.stringify({
        id: id.replace("cruxeval/", "sample_"),
        code: canonicalSolution,
        ...meta,
        description: undefined,
      })
    );
    const loaded = await loadProblems(memoryHost({ "cruxeval.jsonl": published.join("\n") }), "cruxeval.jsonl");
    expect(loaded.length).toBe(12);
    expect(loaded.map(comparable)).toEqual(rows.map(comparable));
  });

  test("sanitized-mbpp.json is one JSON array with prompt and test_imports", async () => {
    const row = {
      source_file: "x.ipynb",
      task_id: 82,
      prompt: "Write a function to find the volume of a sphere.",
      code: "import math\ndef volume_sphere(r):\n  return (4/3)*math.pi*r*r*r",
      test_imports: ["import math"],
      test_list: ["assert math.isclose(volume_sphere(10), 4188.790204786391, rel_tol=0.001)"],
    };
    const [problem] = await loadProblems(
      memoryHost({ "sanitized-mbpp.json": JSON.stringify([row], null, 1) }),
      "sanitized-mbpp.json",
    );
    expect(problem.entryPoint).toBe("volume_sphere");
    expect([problem.id, problem.split]).toEqual(["mbpp-sanitized/82", "test"]);
    expect(programJob(problem, "code", "none").testSetup).toBe("import math");
  });
});

describe("prompts and jobs", () => {
  test("MBPP shows a base model the task and the first test in a docstring, and runs the code alone", async () => {
    const problem = (await load("mbpp.jsonl"))[1];
    expect(problem.prompt).toBe(
      '"""\nWrite a function to find the similar elements from the given two tuple lists.\n' +
        'assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)\n"""\n',
    );
    expect(description(problem)).toBe("Write a function to find the similar elements from the given two tuple lists.");
    const job = programJob(problem, "def similar_elements(a, b): ...", "deciding");
    expect(job.program).toBe("def similar_elements(a, b): ...");
    expect(job.tests.length).toBe(3);
  });

  test("HumanEval's prompt is the head of the program", async () => {
    const problem = (await load("humaneval.jsonl"))[0];
    expect(problem.prompt.startsWith("from typing import List\n\n\ndef separate_paren_groups(")).toBe(true);
    expect(description(problem)).toBe(problem.prompt);
    const job = programJob(problem, "    return []\n", 2);
    expect(job).toEqual({
      id: "humaneval/1",
      program: problem.prompt + "    return []\n",
      entryPoint: "separate_paren_groups",
      testKind: "humaneval-check",
      tests: problem.tests,
      helpers: problem.prompt,
      trace: 2,
    });
  });

  test("set-up code, the comparison and Solution methods reach the job", async () => {
    const node = (await load("mbpp.jsonl")).find((p) => p.id === "mbpp/927")!;
    expect(programJob(node, "", "none").testSetup).toContain("root = Node(1)");
    const method = (await load("apps.jsonl")).find((p) => p.id === "apps/train/2404")!;
    expect(programJob(method, "", "none")).toMatchObject({ isMethod: true, compare: { type: "deep-list" } });
    expect(method.prompt).toMatch(/^\nQUESTION:\n[^]+\nclass Solution:\n[^]+\nUse Call-Based format\nANSWER:\n$/);
    const stdio = (await load("apps.jsonl")).find((p) => p.id === "apps/train/2287")!;
    expect(stdio.prompt.endsWith("\nUse Standard Input format\nANSWER:\n")).toBe(true);
  });

  test("a call-based APPS problem has a form that reads stdin, without calls, methods and comparison", async () => {
    const apps = await load("apps.jsonl");
    const called = apps.filter((p) => p.testKind === "call-json" && Array.isArray(p.meta?.stdio_tests));
    expect(called.length).toBe(43);
    const job = programJob(stdioForm(called[0]), "print(input())", "none");
    expect(job).toEqual({
      id: called[0].id,
      program: "print(input())",
      entryPoint: "",
      testKind: "stdio",
      tests: called[0].meta!.stdio_tests,
      trace: "none",
    });
    const stdio = apps.find((p) => p.testKind === "stdio")!;
    expect(stdioForm(stdio)).toBe(stdio);
    const checked = (await load("humaneval.jsonl"))[0];
    expect(() => stdioForm(checked)).toThrow(
      "Cannot run humaneval/1 on stdin: its tests are of kind humaneval-check alone",
    );
  });

  test("very slow tests are added only when asked for, heavy problems bring their own budget", async () => {
    const quixbugs = new Map((await load("quixbugs.jsonl")).map((p) => [p.id, p]));
    const knapsack = quixbugs.get("quixbugs/knapsack")!;
    expect(withSlowTests(knapsack).tests.length).toBe(knapsack.tests.length + 1);
    expect(withSlowTests(quixbugs.get("quixbugs/bitcount")!)).toBe(quixbugs.get("quixbugs/bitcount"));
    expect(programJob(knapsack, "", "none").limits).toBeUndefined();
    const heavy = programJob(quixbugs.get("quixbugs/longest_common_subsequence")!, "", "none").limits!;
    expect(heavy.stepsPerTest).toBe(6_600_000);
    expect(heavy.wallMsPerProgram).toBeGreaterThan(30_000);
  });

  test("floats like 3.0 and integers beyond 2^53 reach Python as written", async () => {
    const row = normalised({
      test_kind: "call-json",
      tests: [{ args: [3.5, ["x"]], expected: 7 }, "HERE"],
    }).replace('"HERE"', '{"args":[[2.0,{"k":null}],true],"expected":12345678901234567890}');
    const [problem] = await loadProblems(memoryHost({ "x.jsonl": row }), "x.jsonl");
    expect(problem.tests).toEqual([
      { args: [3.5, ["x"]], expected: 7 },
      { args_repr: '[[2.0, {"k": None}], True]', expected_repr: "12345678901234567890" },
    ]);
    const plus = (await load("humanevalplus.jsonl")).filter((p) => p.testKind === "call-json");
    const written = (t: unknown) => "args_repr" in (t as object) || "expected_repr" in (t as object);
    expect(plus.filter((p) => p.tests.some(written)).length).toBeGreaterThanOrEqual(15);
  });
});

describe("errors name the file, the line and the field", () => {
  test.each<[string, string, string]>([
    ["a broken line", `${normalised({})}\n{"id":`, "Cannot read x.jsonl: line 2 is not JSON ("],
    ["a row that is no object", "7", "Cannot read x.jsonl: line 1 is not a JSON object"],
    [
      "an unknown format",
      '{"question":"?"}',
      "line 1 is in no known problem format: it has the fields question; expected",
    ],
    ["a missing field", normalised({ prompt: undefined }), 'line 1: field "prompt" is missing, expected text'],
    ["a wrong type", normalised({ entry_point: 7 }), 'line 1: field "entry_point" is 7, expected text'],
    [
      "a name Python cannot have",
      normalised({ entry_point: "a b" }),
      'field "entry_point" is "a b", expected a Python name',
    ],
    ["an unknown kind", normalised({ test_kind: "x" }), 'field "test_kind" is "x", expected one of humaneval-check'],
    ["no tests", normalised({ tests: [] }), 'line 1: field "tests" is empty'],
    ["a wrong test", normalised({ tests: ["assert f()", 3] }), 'field "tests", entry 2: expected text (assert-list)'],
    ["a wrong mode", normalised({ code_mode: "both" }), 'field "code_mode" is "both", expected one of completion'],
    ["a wrong comparison", normalised({ compare: { type: "near" } }), 'field "compare" is {"type":"near"}, expected'],
    [
      "an id used twice",
      `${normalised({})}\n\n${normalised({})}`,
      'line 3: id "t/1" was already used (Cannot read x.jsonl: line 1)',
    ],
    ["an empty file", "\n", "Cannot read x.jsonl: it holds no problem"],
    [
      "MBPP without a call",
      mbpp({ test_list: ["assert 1"] }),
      'field "test_list" calls no function that field "code" defines',
    ],
    ["an MBPP number", mbpp({ task_id: "7" }), 'field "task_id" is "7", expected an integer'],
    [
      "HumanEval without a prompt",
      '{"task_id":"HumanEval/1","test":"","entry_point":"f"}',
      'field "prompt" is missing',
    ],
  ])("%s", async (_name, text, message) => {
    const problems = loadProblems(memoryHost({ "x.jsonl": text }), "x.jsonl");
    await expect(problems).rejects.toThrow(/^Cannot read x\.jsonl: /);
    await expect(loadProblems(memoryHost({ "x.jsonl": text }), "x.jsonl")).rejects.toThrow(message);
  });

  test("a missing file, a folder without problems, gzip cut short", async () => {
    await expect(load("nothing.jsonl")).rejects.toThrow(`Cannot read ${data}/nothing.jsonl: no such file`);
    await expect(load("licences")).rejects.toThrow("it is a folder, and no question.txt (APPS) is in it");
    const cut = (await host.readBytes(`${data}/original/HumanEval.jsonl.gz`)).slice(0, 1000);
    await expect(loadProblems(memoryHost({ "h.gz": cut }), "h.gz")).rejects.toThrow(
      "Cannot read h.gz: Cannot unpack gzip",
    );
  });

  test("an APPS folder with inputs and outputs that differ in number", async () => {
    const files = { "a/1/question.txt": "?", "a/1/input_output.json": '{"inputs":["1"],"outputs":[]}' };
    await expect(loadProblems(memoryHost(files), "a")).rejects.toThrow(
      "Cannot read a/1/input_output.json: it has 1 inputs and 0 outputs",
    );
  });
});

function kinds(problems: Problem[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { testKind } of problems) counts[testKind] = (counts[testKind] ?? 0) + 1;
  return counts;
}

function normalised(changes: Record<string, unknown>): string {
  return JSON.stringify({
    id: "t/1",
    dataset: "t",
    split: "test",
    prompt: "Return 1.",
    entry_point: "f",
    canonical_solution: null,
    tests: ["assert f() == 1"],
    test_kind: "assert-list",
    ...changes,
  });
}

function mbpp(changes: Record<string, unknown>): string {
  return JSON.stringify({
    task_id: 7,
    text: "Do.",
    code: "def f():\n  return 1",
    test_list: ["assert f() == 1"],
    ...changes,
  });
}
