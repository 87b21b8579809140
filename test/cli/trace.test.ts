import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ended, startWith } from "./command.ts";

let folder: string;
const divide = "def divide(a, b):\n    return a / b\n";
const scale = `def half(n):
    if n % 2 == 0:
        return n // 2
    return n / 2


def scale(items):
    out = []
    for item in items:
        out.append(half(item))
    return out
`;

beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-trace-" });
  const files: Record<string, string> = {
    "divide.py": divide,
    "scale.py": scale,
    "asserts.py": `from divide import divide

four = 4
assert divide(10, four) == 2.5
assert divide(1, 2) == 2
if four:
    assert divide("a", 2) == 1
`,
    "imports.py": `import divide
from divide import divide as d, divide

assert d(4, 2) == 2
assert divide.divide(4, 4) == 1 and divide(2, 2) == 1
`,
    "check.py": `def check(candidate):
    assert candidate([4, 2]) == [2, 1]
    assert candidate([4, 3]) == [2, 1]
`,
    "sum.py": "total = sum(map(int, input().split()))\nprint(total)\n",
    "numbers.txt": "3 4\n",
    "body.py": "    return a + b\n",
    "row.json": JSON.stringify(
      {
        id: "own/1",
        dataset: "own",
        split: "test",
        prompt: 'def add(a, b):\n    """The sum."""\n',
        entry_point: "add",
        tests: ["def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, 2) == 4\n"],
        test_kind: "humaneval-check",
      },
      null,
      2,
    ),
    "escape.py": 'def f():\n    """\x1b[2J"""\n    raise ValueError("\x1b[2J")\n',
    "deep.py": "def down(n):\n    return down(n - 1) if n else 1 / n\n",
    "empty.py": "x = 1\n",
    "broken_tests.py": "assert f(1) == 1\nassert f(\n",
  };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

/** `trace <words>`, a word with a dot that names a file of the folder standing for its path. */
async function trace(...words: string[]) {
  return await traceWith({ NO_COLOR: "1" }, ...words);
}

async function traceWith(env: Record<string, string>, ...words: string[]) {
  const paths = words.map((word) => /^\w+\.(py|txt|json)$/.test(word) ? `${folder}/${word}` : word);
  const { code, stdout, stderr } = await ended(startWith(env, "trace", ...paths));
  const local = (text: string) => text.replaceAll(`${folder}/`, "");
  return { code, stdout: local(stdout), stderr: local(stderr) };
}

describe("in a pipe: the text form that models read", () => {
  test("a failing call", async () => {
    const { code, stdout, stderr } = await trace("divide.py", "--call", "divide(10, 0)");
    expect(stderr).toBe("");
    expect(stdout).toBe(
      `Problem: "divide.py"
Generated Code:
1: def divide(a, b):
2:     return a / b

Test Case: divide(10, 0)
Execution Trace:
[L1] call: a=10, b=0
[L2] line: a=10, b=0 | EXCEPTION: ZeroDivisionError("division by zero")
---
`,
    );
    expect(code).toBe(1);
  });

  test("tests may import the program by its file's name, in every way", async () => {
    const { code, stderr } = await trace("divide.py", "--tests", "imports.py");
    expect([code, stderr]).toEqual([
      0,
      " ✓ 1  d(4, 2)\n ✓ 2  divide(4, 4) == 1 and divide(2, 2) == 1\n2 of 2 tests passed\n",
    ]);
  });

  test("a call that runs out of its budget: which one is told beside the trace", async () => {
    const { code, stdout, stderr } = await trace("scale.py", "--call", "scale([1, 2, 3])", "--limit-steps", "5");
    expect([code, stderr]).toEqual([1, "step_limit: more than 5 steps\n"]);
    expect(stdout).toContain("Execution Trace:\n[L7] call: items=[1, 2, 3]\n");
  });

  test("tests in a file of asserts: the deciding one is traced, all are listed on stderr", async () => {
    const { code, stdout, stderr } = await trace("divide.py", "--tests", "asserts.py");
    expect(stderr).toBe(
      ` ✓ 1  divide(10, four)
 ✗ 2  divide(1, 2)   expected 2, got 0.5
 ✗ 3  divide('a', 2)   runtime_error: TypeError: unsupported operand type(s) for /: 'str' and 'int' (line 2)
1 of 3 tests passed
`,
    );
    expect(stdout).toBe(
      `Problem: "divide.py"
Generated Code:
1: def divide(a, b):
2:     return a / b

Test Case: divide(1, 2)
Execution Trace:
[L1] call: a=1, b=2
[L2] line: a=1, b=2 | Returning a / b
[L2] return: 0.5
Test Result: FAIL
---
`,
    );
    expect(code).toBe(1);
  });

  test("--test chooses another; a check(candidate) is told the function by --entry", async () => {
    const { code, stdout, stderr } = await trace("scale.py", "--tests", "check.py", "--test", "1", "--entry", "scale");
    expect(stdout).toContain("Test Case: scale([4, 2])");
    expect(stdout).toContain("Test Result: PASS");
    expect(stderr).toBe(
      " ✓ 1  scale([4, 2])\n ✗ 2  scale([4, 3])   expected [2, 1], got [2, 1.5]\n1 of 2 tests passed\n",
    );
    expect(code).toBe(1);
  });

  test("a problem's row as the tests, for the completion of its prompt", async () => {
    const { code, stdout, stderr } = await trace("body.py", "--tests", "row.json");
    expect(stderr).toBe(" ✓ 1  add(1, 2)\n ✓ 2  add(2, 2)\n2 of 2 tests passed\n");
    expect(stdout).toContain('1: def add(a, b):\n2:     """The sum."""\n3:     return a + b\n');
    expect(code).toBe(0);
  });

  test("a program that reads and prints", async () => {
    const { code, stdout } = await trace("sum.py", "--stdin", "numbers.txt");
    expect(stdout).toContain('[L1] line:\n[L2] line: total=7 | Printed "7\\n"\n');
    expect(code).toBe(0);
    const expecting = async (text: string) => (await trace("sum.py", "--stdin", "numbers.txt", "--expect", text)).code;
    expect([await expecting("7"), await expecting("8")]).toEqual([0, 1]);
  });

  test("a reader that closes early ends it quietly", async () => {
    const child = startWith({}, "trace", `${folder}/divide.py`, "--call", "divide(1, 2)");
    await child.stdout.cancel();
    const { code } = await child.status;
    expect(await new Response(child.stderr).text()).toBe("");
    expect(code).toBe(0);
  });
});

test("--compact: the same frame around the execution in few tokens", async () => {
  const words = ["scale.py", "--call", `scale(list(range(40)))`];
  const [full, compact] = await Promise.all([trace(...words), trace(...words, "--compact", "300")]);
  const head = full.stdout.slice(0, full.stdout.indexOf("[L7]"));
  expect(compact.stdout.slice(0, head.length)).toBe(head);
  expect(compact.stdout).toMatch(/\n---\n$/);
  expect(compact.stdout.length).toBeLessThan(full.stdout.length / 4);
  const { code, stderr } = await trace(...words, "--compact", "2");
  expect(stderr).toMatch(/^error: Cannot fit the trace into 2 tokens: /);
  expect(code).toBe(2);
});

describe("--json", () => {
  test("gives the verdict and the events of a call", async () => {
    const { code, stdout } = await trace("divide.py", "--call", "divide(10, 4)", "--expect", "2.5", "--json");
    const result = JSON.parse(stdout);
    expect(result.verdict).toBe("pass");
    const kinds = result.trace.events.map(({ event_type }: { event_type: string }) => event_type);
    expect(kinds).toEqual(["call", "line", "return"]);
    expect(code).toBe(0);
  });

  test("says of a call from which nothing was expected what it returned, and no wrong_answer", async () => {
    const { stdout } = await trace("divide.py", "--call", "divide(10, 4)", "--json");
    const { verdict, passed, tests } = JSON.parse(stdout);
    expect({ verdict, passed, tests }).toMatchObject({ verdict: "pass", passed: true, tests: [{ actual: "2.5" }] });
    expect(tests[0]).not.toHaveProperty("expected");
  });

  test("holds all tests", async () => {
    const { stdout, stderr } = await trace("divide.py", "--tests", "asserts.py", "--json");
    const { tests, traceTest } = JSON.parse(stdout);
    expect(tests.map(({ outcome }: { outcome: string }) => outcome)).toEqual(["PASS", "WRONG", "EXC"]);
    expect(traceTest).toBe(1);
    expect(stderr).toBe("");
  });
});

describe("with colours", () => {
  const wide = { FORCE_COLOR: "1", NO_COLOR: "1", COLUMNS: "110" };

  test("source, changed variables, conditions and values stand in columns", async () => {
    const { stdout } = await traceWith(wide, "scale.py", "--call", "scale([3])");
    expect(stdout).toContain("\x1b[33;1mout=[]");
    expect(stdout).toContain("n % 2 == 0 is \x1b[31mFalse\x1b[0m");
    // deno-lint-ignore no-control-regex
    const plain = stdout.replace(/\x1b\[[\d;]*m/g, "");
    expect(plain.slice(plain.indexOf("scale([3])"))).toBe(
      `scale([3])

    7  def scale(items):               call    items=[3]
    8      out = []                    line    items=[3]
    9      for item in items:          line    items=[3]  out=[]
   10          out.append(half(item))  line    items=[3]  out=[]  item=3
    1  def half(n):                      call    half  n=3
    2      if n % 2 == 0:                line    n=3   n % 2 == 0 is False
    4      return n / 2                  line    n=3
    4                                    return  1.5
    9      for item in items:          line    items=[3]  out=[1.5]  item=3
   11      return out                  line    items=[3]  out=[1.5]  item=3
   11                                  return  [1.5]

returned [1.5]
`,
    );
  });

  test("an error stands where it was raised; control characters of the program do not reach the terminal", async () => {
    const { code, stdout } = await traceWith(wide, "escape.py", "--call", "f()");
    expect(stdout).toContain("\x1b[31mValueError: \\x1b[2J\x1b[0m");
    expect(stdout).toContain("\x1b[31;1mFAIL\x1b[0m  runtime_error: ValueError: \\x1b[2J (line 3)");
    expect(stdout).not.toContain("\x1b[2J");
    expect(code).toBe(1);
  });

  test("an exception that passes many calls is shown at its first and last", async () => {
    const { stdout } = await traceWith({ ...wide, COLUMNS: "80" }, "deep.py", "--call", "down(9)");
    // deno-lint-ignore no-control-regex
    const plain = stdout.replace(/\x1b\[[\d;]*m/g, "");
    expect(plain.slice(plain.indexOf(" ✗ 2                  raise"))).toBe(
      ` ✗ 2                  raise   ZeroDivisionError: division by zero
   2                  raised  ZeroDivisionError: division by zero
      … through 7 more calls …
   2  raised  ZeroDivisionError: division by zero

FAIL  runtime_error: ZeroDivisionError: division by zero (line 2)
`,
    );
  });

  test("endless recursion does not fill the screen", async () => {
    const { code, stdout } = await traceWith(wide, "deep.py", "--call", "down(-1)");
    expect(stdout).toMatch(/… through \d+ more calls …/);
    expect(stdout.split("\n").length).toBeLessThan(250);
    expect(stdout).toContain("RecursionError: maximum recursion depth exceeded (line ");
    expect(code).toBe(1);
  });

  test("FORCE_COLOR=0 and NO_COLOR leave a pipe plain", async () => {
    for (const [name, value] of [["FORCE_COLOR", "0"], ["NO_COLOR", "1"]]) {
      const { stdout } = await traceWith({ [name]: value }, "divide.py", "--call", "divide(1, 2)");
      expect(stdout).not.toContain("\x1b");
      expect(stdout).toMatch(/^Problem: /);
    }
  });
});

describe("bad use: one line, exit code 2", () => {
  const cases: [words: string[], line: string][] = [
    [[], "Cannot trace: name a Python file, or a set with --candidates"],
    [["none.py", "--call", "f()"], "Cannot read none.py: no such file"],
    [["divide.py"], "Cannot trace divide.py: give it one of --call, --tests and --stdin"],
    [
      ["divide.py", "--call", "1 + 1"],
      'Cannot trace --call "1 + 1": it calls no function of the program; name one with --entry',
    ],
    [["divide.py", "--call", "divide(1"], "Cannot trace --call \"divide(1\": it is not Python ('(' was never closed)"],
    [
      ["divide.py", "--tests", "broken_tests.py"],
      "Cannot read broken_tests.py: line 2 is not Python ('(' was never closed)",
    ],
    [
      ["divide.py", "--tests", "empty.py"],
      "Cannot read empty.py: it has no assert outside functions, and no check(candidate)",
    ],
    [
      ["scale.py", "--tests", "check.py"],
      "Cannot read check.py: check(candidate) does not say which function it checks; name it with --entry",
    ],
    [["divide.py", "--tests", "asserts.py", "--test", "4"], "Cannot trace test 4: there are 3"],
    [["divide.py", "--call", "divide(1, 2)", "--test", "1"], "Cannot use --test with --call"],
    [["divide.py", "--call", "divide(1, 2)", "--out", "x"], "Cannot use --out without --candidates"],
    [["divide.py", "--cal", "f()"], "unknown option '--cal' (Did you mean --call?)"],
    [
      ["body.py", "--tests", "row.json", "--problem", "own/2"],
      'Cannot trace with row.json: it holds 1 problems (own/1); none is "own/2"',
    ],
  ];
  for (const [words, line] of cases) {
    test(`trace ${words.join(" ")}`, async () => {
      const { code, stdout, stderr } = await trace(...words);
      expect(stderr).toBe(`error: ${line}\n`);
      expect([code, stdout]).toEqual([2, ""]);
    });
  }
});
