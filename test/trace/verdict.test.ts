import { describe, expect, test } from "vitest";
import { createPool } from "../../src/trace/pool.ts";
import { defaultLimits, type Outcome, type ProgramJob, type Stage, type Verdict } from "../../src/trace/schema.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();
const tests = ["assert f(5) == 5", "assert f(6) == 6"];

// [name, program, stage, verdict, outcomes]. Each is followed by an ordinary program that must not notice.
const programs: [string, string, Stage, Verdict, Outcome[]][] = [
  ["a correct program", "def f(x):\n  return x\n", "run", "pass", ["PASS", "PASS"]],
  ["a wrong answer", "def f(x):\n  return 5\n", "run", "wrong_answer", ["PASS", "WRONG"]],
  ["an assertion of its own", "def f(x):\n  assert x > 9\n", "run", "assertion_error", ["EXC", "EXC"]],
  ["an exception", "def f(x):\n  return x[0]\n", "run", "runtime_error", ["EXC", "EXC"]],
  ["a syntax error", "def f(x)\n  return x\n", "syntax", "syntax_error", ["SKIP", "SKIP"]],
  ["no entry point", "def g(x):\n  return x\n", "load", "missing_entry", ["SKIP", "SKIP"]],
  ["an error while loading", "import nothing_like_it\ndef f(x): return x\n", "load", "load_error", ["SKIP", "SKIP"]],
  ["a loop without end", "def f(x):\n  while True: pass\n", "run", "step_limit", ["FUEL", "FUEL"]],
  [
    "a loop that swallows every exception",
    "def f(x):\n  while True:\n    try:\n      while True:\n        x += 1\n    except BaseException:\n      pass\n" +
    "    finally:\n      x = 0\n",
    "run",
    "step_limit",
    ["FUEL", "FUEL"],
  ],
  [
    "a program that turns the counter off",
    "import sys\ndef f(x):\n  sys.settrace(None)\n  while True: x += 1\n",
    "run",
    "step_limit",
    ["FUEL", "FUEL"],
  ],
  ["recursion without end", "def f(x):\n  return f(x)\n", "run", "runtime_error", ["EXC", "EXC"]],
  ["sys.exit in a call", "import sys\ndef f(x):\n  sys.exit(0)\n", "run", "exit", ["EXC", "EXC"]],
  ["sys.exit while loading", "import sys\nsys.exit(0)\n", "load", "exit", ["SKIP", "SKIP"]],
  ["os._exit", "import os\ndef f(x):\n  if x == 6: os._exit(0)\n  return x\n", "run", "exit", ["PASS", "EXC"]],
  ["os.abort", "import os\ndef f(x):\n  os.abort()\n", "run", "crash", ["KILL", "SKIP"]],
  [
    "a stack that breaks the interpreter",
    "def f(x):\n  import sys\n  sys.setrecursionlimit(10**9)\n  class A:\n    def __getattr__(s, n):\n" +
    "      return getattr(s, n + 'a')\n  return A().x\n",
    "run",
    "crash",
    ["KILL", "SKIP"],
  ],
  [
    "a memory bomb",
    "def f(x):\n  a = []\n  while True:\n    a.append('x' * 10**7 + str(len(a)))\n",
    "run",
    "memory_limit",
    ["KILL", "KILL"],
  ],
  ["a flood of output", "def f(x):\n  while True:\n    print('x' * 1000)\n", "run", "output_limit", ["KILL", "KILL"]],
  ["a long sleep", "import time\ndef f(x):\n  time.sleep(1e6)\n  return x\n", "run", "pass", ["PASS", "PASS"]],
  ["input()", "def f(x):\n  return input()\n", "run", "runtime_error", ["EXC", "EXC"]],
  ["import js", "import js\ndef f(x): return x\n", "load", "load_error", ["SKIP", "SKIP"]],
  ["opening a file", "def f(x):\n  return open('/etc/passwd').read()\n", "run", "runtime_error", ["EXC", "EXC"]],
  [
    "an object that equals everything",
    "class E:\n  def __eq__(self, other): return True\ndef f(x):\n  return E()\n",
    "run",
    "sandbox_violation",
    ["EXC", "EXC"],
  ],
  [
    "patched builtins and modules",
    "import builtins, json, sys, os\nfor n in ('AssertionError', 'abs', 'len', 'bool', 'repr', 'type', 'isinstance'):\n" +
    "  setattr(builtins, n, lambda *a, **k: True)\njson.dumps = json.JSONEncoder.encode = lambda *a, **k: '{}'\n" +
    "os.write = os.open = lambda *a, **k: 0\ndef f(x):\n  return 7\n",
    "run",
    "wrong_answer",
    ["WRONG", "WRONG"],
  ],
];

const limits = { stepsPerTest: 100_000, stdoutBytes: 100_000 };

describe("verdicts of programs, harmless and hostile", () => {
  test.each(programs)("%s", async (_name, program, stage, verdict, outcomes) => {
    const result = await pool.run(asserts(program, "f", tests, { limits, trace: "deciding" }));
    const told = { stage: result.stage, verdict: result.verdict, outcomes: result.tests.map((test) => test.outcome) };
    expect(told, JSON.stringify(result.error)).toEqual({ stage, verdict, outcomes });
    expect(result.passed).toBe(verdict === "pass");
    expect(result.infra).toBe(false);
    const next = await pool.run(asserts("def f(x):\n  return abs(x)\n", "f", [...tests, "assert len([f(1)]) == 1"]));
    expect(next.passed, "the next program is unaffected").toBe(true);
  });

  test("a hang inside C code is killed at the wall limit and keeps the tests that were done", async () => {
    const program = "def f(x):\n  return x if x == 5 else sum(range(10**12))\n";
    const result = await pool.run(asserts(program, "f", tests, { limits: { wallMsPerProgram: 1500 } }));
    expect(result.verdict).toBe("timeout");
    expect(result.stage).toBe("run");
    expect(result.tests.map((test) => test.outcome)).toEqual(["PASS", "KILL"]);
    expect((await pool.run(asserts("def f(x):\n  return x\n", "f", tests))).passed).toBe(true);
  });

  test("the default budget ends in steps, not in time, even where every line is a long one", async () => {
    const program = "def f(x):\n  a = list(range(200))\n  while True:\n    x = sum(a)\n";
    // A tenth of both budgets: the same proportion in a tenth of the time.
    const { stepsPerTest, wallMsPerProgram } = defaultLimits;
    const tenth = { stepsPerTest: stepsPerTest / 10, wallMsPerProgram: wallMsPerProgram / 10 };
    const result = await pool.run(asserts(program, "f", tests, { limits: tenth }));
    expect(result.tests.map((test) => test.outcome)).toEqual(["FUEL", "FUEL"]);
  });

  test("a program that hangs only while it is traced keeps its verdict and has no trace", async () => {
    const program = "import sys\ndef f(x):\n  if sys.gettrace():\n    sum(range(10**12))\n  return x\n";
    const result = await pool.run(
      asserts(program, "f", tests, { trace: "deciding", limits: { wallMsPerProgram: 1500 } }),
    );
    expect([result.verdict, result.testsPassed, result.trace]).toEqual(["pass", 2, undefined]);
  });

  test("an interpreter that can't start is our fault, not the program's", async () => {
    const broken = createPool(() => Promise.reject(new Error("no interpreter today")));
    const result = await broken.run(asserts("def f(x): return x\n", "f", tests));
    expect(result).toMatchObject({ infra: true, verdict: "harness_error", passed: false });
    expect(result.error!.message).toBe("no interpreter today");
    await expect(broken.script("def main(x): return x", 1)).rejects.toThrow("no interpreter today");
  });
});

describe("kinds of tests", () => {
  const judge = (job: Partial<ProgramJob>) =>
    pool.run({ id: "k", program: "", entryPoint: "f", testKind: "call-json", tests: [], trace: "none", ...job });

  test("a HumanEval check counts each assert, goes on after a failure and drops assert True", async () => {
    const check = "def check(candidate):\n  assert True, 'always'\n  assert candidate(1) == 1, 'one'\n" +
      "  for i in range(3):\n    assert candidate(i) == i\n  assert abs(candidate(2) - 2) < 1e-6\n";
    const result = await judge({
      testKind: "humaneval-check",
      tests: [check],
      program: "def f(x):\n  return min(x, 1)\n",
      trace: "deciding",
    });
    expect(result.tests.map(({ source, outcome }) => [source, outcome])).toEqual([
      ["f(1)", "PASS"],
      ["f(i)", "WRONG"],
      ["abs(f(2) - 2) < 1e-6", "WRONG"],
    ]);
    expect(result.tests[1]).toMatchObject({ expected: "2", actual: "1", steps: 1 });
    expect([result.testsPassed, result.testsTotal, result.traceTest]).toEqual([1, 3, 1]);
    expect(result.trace!.events[0].variable_states, "the round that failed is traced").toEqual({ x: "2" });
  });

  test("a program can't call the remaining asserts off", async () => {
    const program = "def f(x):\n  if x == 1: return 1\n" +
      "  raise [c for c in BaseException.__subclasses__() if c.__name__ == 'StopTests'][0]\n";
    const statements = ["assert f(1) == 1", "y = f(2)", "assert y == 2"];
    const check = "def check(candidate):\n" +
      statements.map((line) => `  ${line.replace("f(", "candidate(")}\n`).join("");
    for (
      const kind of [{ testKind: "assert-list", tests: statements }, { testKind: "humaneval-check", tests: [check] }]
    ) {
      const result = await judge({ ...kind, program } as Partial<ProgramJob>);
      expect(result).toMatchObject({ verdict: "runtime_error", passed: false, infra: false });
    }
  });

  test("calls with JSON arguments follow the comparison rule of the row", async () => {
    const program = "def f(x):\n  return (v * 1.0000001 for v in x)\n";
    const run = (type: string, row: object) =>
      judge({ program, tests: [row], compare: { type } as ProgramJob["compare"] });
    expect((await run("deep-list", { args: [[]], expected: [] })).passed).toBe(true);
    expect((await run("exact", { args: [[]], expected: [] })).passed).toBe(false);
    const tuple = "def f(x):\n  return {x[0]: (1, 2)}\n";
    const row = { args_repr: "[(3,)]", expected_repr: "{3: (1, 2)}" };
    expect((await judge({ program: tuple, tests: [row] })).passed).toBe(true);
    const root = "def f(x, eps):\n  return x ** 0.5\n";
    expect(
      (await judge({ program: root, tests: [{ args: [2, 0.01], expected: 1.41 }], compare: { type: "last-arg-eps" } }))
        .passed,
    ).toBe(true);
    const method = "class Solution:\n  def f(self, x: List[int]):\n    return Counter(x)[1]\n";
    expect((await judge({ program: method, isMethod: true, tests: [{ args: [[1, 1]], expected: 2 }] })).passed).toBe(
      true,
    );
  });

  test("a program that reads and prints is compared by its output and traced as a module", async () => {
    const program =
      "import sys\nn = int(input())\nfor line in sys.stdin:\n  n += int(line)\nprint(n, 'sum')\nsys.exit()\n";
    const rows = [{ stdin: "1\n2\n3\n", stdout: "6 sum\n" }, { stdin: "1\n", stdout: "2 sum" }];
    const result = await judge({ testKind: "stdio", program, tests: rows, trace: "deciding" });
    expect(result.tests.map((test) => test.outcome)).toEqual(["PASS", "WRONG"]);
    expect(result.trace!.events[0]).toMatchObject({ event_type: "call", function: "<module>" });
    expect(result.trace!.events.find((event) => event.line_number === 5)!.notes).toEqual([{
      kind: "stdout",
      text: "1 sum\n",
    }]);
  });

  test("setup code runs before the tests, and a failing statement between asserts is charged to the next one", async () => {
    const check =
      "def check(candidate):\n  assert candidate(1) == 1\n  y = candidate(0)\n  assert y == 0\n  assert candidate(2) == 2\n";
    const program = "def f(x):\n  return K * x // x\n";
    const result = await judge({
      testKind: "humaneval-check",
      tests: [check],
      program,
      testSetup: "K = 1",
      trace: "deciding",
    });
    expect(result.tests.map((test) => test.outcome)).toEqual(["PASS", "EXC", "SKIP"]);
    expect(result.verdict).toBe("runtime_error");
    expect(result.trace!.origin).toMatchObject({ line_number: 2, error_type: "ZeroDivisionError" });
  });
});

describe("setup code of a row", () => {
  const setup = "root = Node(1)\nroot.left = Node(2)";
  const judge = (program: string) =>
    pool.run(asserts(program, "f", ["assert f(root) == 2"], { testSetup: setup, trace: "deciding", limits }));
  const f = "def f(n):\n  return 1 + f(n.left) if n else 0\n";

  test("builds on the program's classes", async () => {
    const node = "class Node:\n  def __init__(self, v):\n    self.v, self.left = v, None\n";
    expect(await judge(node + f)).toMatchObject({ verdict: "pass", infra: false });
  });

  // [what the program does, its text, verdict, error type, error line]
  test.each<[string, string, Verdict, string, number | null]>([
    ["has no such class", f, "load_error", "NameError", null],
    ["has one that takes no argument", "class Node:\n  pass\n" + f, "load_error", "TypeError", null],
    [
      "has one that raises",
      "class Node:\n  def __init__(self, v):\n    self.v = v[0]\n" + f,
      "load_error",
      "TypeError",
      3,
    ],
    [
      "has one that never ends",
      "class Node:\n  def __init__(self, v):\n    while True: pass\n" + f,
      "step_limit",
      "OutOfSteps",
      3,
    ],
    [
      "has one that exits",
      "class Node:\n  def __init__(self, v):\n    raise SystemExit\n" + f,
      "exit",
      "SystemExit",
      3,
    ],
  ])("fails the program that %s", async (_name, program, verdict, type, line) => {
    const result = await judge(program);
    expect(result).toMatchObject({ infra: false, passed: false, stage: "load", verdict, error: { type, line } });
    expect(result.tests.map((test) => test.outcome)).toEqual(["SKIP"]);
    if (line) expect(result.trace!.lines_covered, "the setup's calls are in the trace").toContain(line);
  });
});

describe("trusted scripts", () => {
  test("main gets the input and gives back JSON; an error comes with Python's text", async () => {
    expect(await pool.script("def main(x):\n  return {'twice': [v * 2 for v in x]}\n", [1, 2.5, "a"])).toEqual({
      twice: [2, 5, "aa"],
    });
    await expect(pool.script("def main(x):\n  return 1 / 0\n", null)).rejects.toThrow(
      "ZeroDivisionError: division by zero",
    );
  });
});
