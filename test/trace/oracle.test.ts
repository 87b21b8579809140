// What tests see of a program that runs in another interpreter than they do.

import { describe, expect, test } from "vitest";
import { spawnArena } from "../../src/host/deno_arena.ts";
import { createPool } from "../../src/trace/pool.ts";
import type { Arena } from "../../src/trace/schema.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();

async function outcomes(program: string, entry: string, tests: string[], more = {}) {
  const result = await pool.run(asserts(program, entry, tests, more));
  return result.tests.map((test) => test.outcome);
}

describe("values", () => {
  test.each([
    "None",
    "True",
    "-0.0",
    "1e300",
    "float('inf')",
    "2**5000",
    "'\\ud800 é 😀 \"\\\\'",
    "b'\\xff\\0'",
    "1+2j",
    "...",
    "(1, (2,), ())",
    "[[], [1, [2.0]]]",
    "{1, 'a', (2, 3)}",
    "frozenset({frozenset()})",
    "{(1, 2): [3], None: {}}",
    "range(3, 9, 2)",
    "collections.Counter('aab')",
    "collections.deque([1, 2])",
    "collections.OrderedDict(a=1, b=2)",
    "decimal.Decimal('1.10')",
    "fractions.Fraction(1, 3)",
    "datetime.date(2024, 2, 29)",
    "datetime.datetime(2024, 2, 29, 1, 2, 3, 4)",
    "datetime.timedelta(1, 2, 3)",
    "{'a': 1}.keys()",
  ])("%s goes out and comes back", async (value) => {
    const imports = "import collections, datetime, decimal, fractions\n";
    expect(
      await outcomes(
        `${imports}def f(x):\n    return x\ndef g():\n    return ${value}\n`,
        "f",
        [`${imports}assert f(${value}) == ${value}`, `assert g() == ${value}`, `assert type(f(0)) is int`],
      ),
    ).toEqual(["PASS", "PASS", "PASS"]);
  });

  test("a value that is not equal does not become so on the way", async () => {
    expect(
      await outcomes(
        "def f(x):\n    return x\n",
        "f",
        [
          "assert f((1, 2)) == [1, 2]",
          "assert f(float('nan')) == float('nan')",
          "assert f('1') == 1",
          "assert f([True]) == [2]",
        ],
      ),
    ).toEqual(["WRONG", "WRONG", "WRONG", "WRONG"]);
  });

  test("a class derived from a builtin one counts by what it holds", async () => {
    const program = "import collections, enum\nclass Name(str): pass\nP = collections.namedtuple('P', 'x y')\n" +
      "class Color(enum.IntEnum):\n    RED = 3\ndef f(kind):\n    return {'s': Name('a'), 'p': P(1, 2), 'e': Color.RED}[kind]\n";
    expect(await outcomes(program, "f", ["assert f('s') == 'a'", "assert f('p') == (1, 2)", "assert f('e') == 3"]))
      .toEqual(["PASS", "PASS", "PASS"]);
  });
});

describe("objects of the program", () => {
  const node = "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n" +
    "    def total(self):\n        return self.value + (self.next.total() if self.next else 0)\n";

  test("are made, changed and read by the tests, and are equal to themselves alone", async () => {
    const program =
      `${node}def f(node):\n    last = None\n    while node:\n        node.next, last, node = last, node, node.next\n    return last\n`;
    expect(
      await outcomes(program, "f", [
        "a = Node(1)\nb = Node(2, a)\nresult = f(b)\nassert result == a",
        "assert result.next == b and result.next.value == 2",
        "assert result.total() == 3",
        "result.value = 10\nassert a.total() == 12",
        "assert a == Node(10)",
        "assert [node.value for node in (a, b)] == [10, 2]",
      ]),
    ).toEqual(["PASS", "PASS", "PASS", "PASS", "WRONG", "PASS"]);
  });

  test("can be the thing under test", async () => {
    expect(await outcomes(node, "Node", ["assert Node(1, Node(2)).total() == 3", "assert Node(4).next is None"]))
      .toEqual(["PASS", "PASS"]);
  });

  test("of a class derived from a builtin one keep what that class adds", async () => {
    const program = "import collections, enum\nP = collections.namedtuple('P', 'x y')\nclass Color(enum.IntEnum):\n" +
      "    RED = 3\nclass Shout(str):\n    def loud(self):\n        return self.upper()\ndef f(kind):\n" +
      "    return {'p': P(1, 2), 'e': Color.RED, 's': Shout('a'), 'd': collections.defaultdict(list)}[kind]\n" +
      "def g(p):\n    return p.x + p.y\n";
    expect(
      await outcomes(program, "f", [
        "assert f('p').y == 2 and f('p') == (1, 2)",
        "assert g(f('p')) == 3",
        "assert f('e').name == 'RED' and f('e') + 1 == 4",
        "assert f('s').loud() == 'A'",
        "assert f('d')['new'] == []",
        "assert f('s').missing == 1",
      ]),
    ).toEqual(["PASS", "PASS", "PASS", "PASS", "PASS", "EXC"]);
  });

  test("are the same object each time, and compared with each other as their class says", async () => {
    const program = "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nROOT = P(0)\n" +
      "def f(x):\n    return P(x) if x else ROOT\n";
    expect(
      await outcomes(program, "f", [
        "assert f(0) is ROOT and f(0) is f(0)",
        "assert f(3) == P(3)",
        "assert f(3) == P(4)",
        "assert f(3) != None",
        "assert f(3) == 3",
      ]),
    ).toEqual(["PASS", "PASS", "WRONG", "PASS", "EXC"]);
  });

  test("may be lazy: what a generator gives, it gives while the test counts", async () => {
    const program = "def f(n):\n    while n:\n        yield n\n        n -= 1\n";
    const limits = { stepsPerTest: 5000 };
    expect(
      await outcomes(program, "f", ["assert list(f(3)) == [3, 2, 1]", "assert sum(f(4)) == 10", "assert f(1) == [1]"]),
    )
      .toEqual(["PASS", "PASS", "WRONG"]);
    expect(await outcomes(program, "f", ["assert list(f(-1)) == []", "assert list(f(1)) == [1]"], { limits }))
      .toEqual(["FUEL", "PASS"]);
  });
});

describe("tests", () => {
  test("may hand over functions and builtin types, and expect exceptions", async () => {
    const program = "def f(g, x):\n    return g(x)\ndef h():\n    raise KeyError('k')\n";
    expect(
      await outcomes(program, "f", [
        "assert f(lambda x: x * 2, 4) == 8",
        "assert f(str, 4) == '4'",
        "try:\n    h()\nexcept LookupError as error:\n    assert type(error) is KeyError\nelse:\n    assert False",
        "try:\n    h()\nexcept ValueError:\n    pass",
      ]),
    ).toEqual(["PASS", "PASS", "PASS", "EXC"]);
  });

  test("see what a call did to its arguments", async () => {
    const program =
      "def f(items, more=None):\n    items.sort()\n    if more is not None:\n        more['n'] = len(items)\n";
    expect(
      await outcomes(program, "f", [
        "a = [3, 1, 2]\nf(a)\nassert a == [1, 2, 3]",
        "d = {}\nf([2, 1], d)\nassert d == {'n': 2}",
        "pair = ([2, 1], 5)\nf(*pair[:1])\nassert pair[0] == [1, 2]",
      ]),
    ).toEqual(["PASS", "PASS", "PASS"]);
  });

  test("may stop in the middle of what is lazy, and hand over what is", async () => {
    const program = "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1\n" +
      "def g(numbers):\n    return next(numbers) + next(numbers)\n";
    expect(
      await outcomes(program, "f", [
        "import itertools\nassert list(itertools.islice(f(), 3)) == [0, 1, 2]",
        "it = f()\nassert (next(it), next(it)) == (0, 1)",
        "assert [pair for pair in zip('abc', f())] == [('a', 0), ('b', 1), ('c', 2)]",
        "assert g(iter([4, 5])) == 9",
      ]),
    ).toEqual(["PASS", "PASS", "PASS", "PASS"]);
  });

  test("may assign in an assert, and assert in a class", async () => {
    expect(
      await outcomes("def f(x):\n    return x + 1\n", "f", [
        "assert (y := f(1)) == 2\nassert y == 2",
        "class T:\n    n = 3\n    assert f(n) == 4",
        "class U:\n    n = 3\n    assert f(n) == 5",
      ]),
    ).toEqual(["PASS", "PASS", "WRONG"]);
  });

  test("hear of exceptions what the program gave them", async () => {
    const program = "def f(kind):\n    if kind == 'g':\n        raise ExceptionGroup('many', [ValueError(1)])\n" +
      "    raise KeyError('x') if kind == 'k' else ValueError('a', 2)\n";
    expect(
      await outcomes(program, "f", [
        "try:\n    f('k')\nexcept KeyError as error:\n    assert str(error) == \"'x'\"",
        "try:\n    f('v')\nexcept ValueError as error:\n    assert error.args == ('a', 2)",
        "assert f('g') == 1",
      ]),
    ).toEqual(["PASS", "PASS", "EXC"]);
  });

  test("that cannot be asked from outside blame no program", async () => {
    const result = await pool.run(asserts("def f(x):\n    return 1\n", "f", ["assert f(object()) == 1"]));
    expect(result).toMatchObject({ infra: true, verdict: "harness_error", passed: false });
    expect(result.error!.message).toContain("object");
  });

  test("leave nothing to the next problem's", async () => {
    await outcomes("def f():\n    return 1\n", "f", [
      "import math, decimal\nmath.floor = None\ndecimal.getcontext().prec = 3\nassert f() == 1",
    ]);
    expect(
      await outcomes("def f():\n    return 2.5\n", "f", [
        "import math, decimal\nassert math.floor(f()) == 2 and decimal.getcontext().prec == 28",
      ]),
    ).toEqual(["PASS"]);
  });

  test("compare printed numbers as numbers, exactly where they are whole", async () => {
    const stdio = { testKind: "stdio" as const };
    const judge = async (printed: string, stdout: string) => {
      const job = {
        ...asserts(`print(${JSON.stringify(printed)})\n`, "", []),
        ...stdio,
        tests: [{ stdin: "", stdout }],
      };
      return (await pool.run(job)).passed;
    };
    expect(await judge("1.0000001 x", "1.0 x\n")).toBe(true);
    expect(await judge("12345678901234567891", "12345678901234567890")).toBe(false);
    expect(await judge("1_0", "10")).toBe(false);
  });

  test("bring the functions of the row's prompt along, and a program cannot redefine them", async () => {
    const helpers = 'import math\n\ndef size(x):\n    return abs(x)\n\ndef f(x):\n    """Give back x."""\n';
    const program = "def size(x):\n    return 0\ndef f(x):\n    return x + 1\n";
    const check = { testKind: "humaneval-check" as const };
    const tests = ["def check(candidate):\n    assert size(candidate(2) - 2) < math.ulp(9)\n"];
    expect(await outcomes(program, "f", tests, { ...check, helpers })).toEqual(["WRONG"]);
    expect(await outcomes("def f(x):\n    return x\n", "f", tests, { ...check, helpers })).toEqual(["PASS"]);
  });

  test("count code that the program makes while it runs", async () => {
    const limits = { stepsPerTest: 5000, wallMsPerProgram: 20_000 };
    expect(await outcomes("def f(x):\n    exec('while True: pass')\n", "f", ["assert f(1) == 1"], { limits }))
      .toEqual(["FUEL"]);
  });

  test("in loops are one test each, and the first failure stays", async () => {
    const program = "def f(x):\n    if x == 3:\n        raise ValueError\n    return x if x != 1 else 0\n";
    const check = ["def check(candidate):\n    for x in range(5):\n        y = candidate(x)\n        assert y == x\n"];
    expect(await outcomes(program, "f", check, { testKind: "humaneval-check" })).toEqual(["WRONG"]);
  });
});

describe("a program that reads and prints", () => {
  test.each([
    ["input()", "print(int(input()) + int(input()))"],
    ["sys.stdin.buffer", "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))"],
    ["descriptor 0", "print(sum(map(int, open(0).read().split())))"],
    ["os.read", "import os\nprint(sum(map(int, os.read(0, 100).split())))"],
    [
      "bytes of a character one by one",
      "import sys\nfor b in '3'.encode():\n    sys.stdout.buffer.write(bytes([b]))\n",
    ],
    ["a wrapper of its own", "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint(3)"],
    ["what is left for the end", "import atexit\natexit.register(print, 3)"],
  ])("may do so by %s", async (_name, program) => {
    const tests = [{ stdin: "1\n2\n", stdout: "3\n" }];
    const result = await pool.run({ ...asserts(program, "", []), testKind: "stdio", tests });
    expect(result.tests[0]).toMatchObject({ outcome: "PASS" });
  });
});

describe("a replay", () => {
  test("shows a program that answers otherwise when it is asked again", async () => {
    const program = "import sys\ndef f(x):\n    return x if sys.gettrace() is None else -x\n";
    const traced = await pool.run(asserts(program, "f", ["assert f(1) == 1"], { trace: "deciding" }));
    expect(traced).toMatchObject({ passed: true, flaky: true });
    const steady = await pool.run(
      asserts("def f(x):\n    return x\n", "f", ["assert f(1) == 1"], { trace: "deciding" }),
    );
    expect(steady.flaky).toBeUndefined();
  });

  test("records all calls of the deciding test, and only those", async () => {
    const program = "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n\n";
    const tests = ["assert f(0) == 1", "assert f(0) + f(0) == 0", "assert f(0) == 4"];
    const result = await pool.run(asserts(program, "f", tests, { trace: "deciding" }));
    expect(result.traceTest).toBe(1);
    expect(result.trace!.events.filter((event) => event.event_type === "return").map((event) => event.value))
      .toEqual(["2", "3"]);
  });
});

describe("a pool", () => {
  test("does not give work to an interpreter that ended while it was idle", async () => {
    const arenas: Arena[] = [];
    const idle = createPool(async () => {
      const arena = await spawnArena();
      arenas.push(arena);
      return arena;
    }, { size: 1 });
    try {
      const fine = asserts("def f(x):\n    return x\n", "f", ["assert f(1) == 1"]);
      expect((await idle.run(fine)).passed).toBe(true);
      arenas[0].kill();
      expect((await idle.run(fine)).passed).toBe(true);
      expect(arenas.length).toBe(2);
    } finally {
      idle.close();
    }
  });

  test("has a spare interpreter for one that is killed, and loses no result", async () => {
    let started = 0;
    const spared = createPool(() => (started++, spawnArena()), { size: 1, limits: { wallMsPerProgram: 2000 } });
    try {
      const hang = asserts("def f(x):\n    return sum(range(10**12)) if x else x\n", "f", [
        "assert f(0) == 0",
        "assert f(1) == 1",
      ]);
      const fine = asserts("def f(x):\n    return x\n", "f", ["assert f(1) == 1"]);
      const results = await Promise.all([fine, hang, fine, fine, hang, fine].map((job) => spared.run(job)));
      expect(results.map((result) => result.verdict)).toEqual(["pass", "timeout", "pass", "pass", "timeout", "pass"]);
      expect(results[1].tests.map((test) => test.outcome)).toEqual(["PASS", "KILL"]);
      expect(started).toBe(3); // one to work, one to spare, and one more when the first was killed and others waited
    } finally {
      spared.close();
    }
  });

  test("an interpreter tells how it stands up to the known escapes", async () => {
    const arena = await spawnArena();
    try {
      const reply = await arena.request({ kind: "self-test" }, 120_000);
      expect(reply).toMatchObject({ kind: "value" });
      expect(reply.kind === "value" && reply.value).toBeGreaterThan(200);
    } finally {
      arena.kill();
    }
  });
});
