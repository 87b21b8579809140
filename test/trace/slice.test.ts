import { describe, expect, test } from "vitest";
import type { Outcome, ProgramResult, Trace } from "../../src/trace/schema.ts";
import { backwardSlice, flowTable, SLICE_DECAY } from "../../src/trace/slice.ts";
import { statementTable } from "../../src/trace/statements.ts";
import { executedStatements } from "../../src/trace/credit.ts";
import { asserts, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();

async function slice(program: string, call: string) {
  const entry = call.match(/^\w+/)![0];
  const limits = { stepsPerTest: 3000, traceEventsHead: 8000, traceEventsTail: 2000 };
  const result = await pool.run(asserts(program, entry, [`assert ${call}`], { trace: 0, limits })) as
    & ProgramResult
    & { trace: Trace };
  const table = await statementTable(pool, program);
  const flow = (await flowTable(pool, program, table))!;
  const outcome: Outcome = result.tests[0].outcome;
  const found = backwardSlice(table, flow, result.trace, outcome)!;
  const linesOf = (statements: readonly number[]) =>
    [...new Set(statements.flatMap((statement) => table.statements[statement].lines))].sort((a, b) => a - b);
  return {
    outcome,
    found,
    table,
    trace: result.trace,
    lines: linesOf(found.credit.flatMap((credit, statement) => credit > 0 ? [statement] : [])),
    criterion: linesOf(found.criterion),
    credit: (line: number) => found.credit[table.onLine.get(line)![0]],
  };
}

describe("a backward slice", () => {
  test("of a wrong value has what it was made of, and nothing that only ran beside it", async () => {
    const { outcome, lines, criterion, credit } = await slice(
      `def f(n):
    total = 1
    count = 0
    for i in range(n):
        count += 1
        total += i
    print(count)
    return total
`,
      "f(3) == 3",
    );
    expect(outcome).toBe("WRONG");
    expect(criterion).toEqual([8]);
    expect(lines).toEqual([2, 4, 6, 8]);
    // total += i ran three times, at distances 1, 2 and 3; total = 1 is 4 away.
    expect(credit(8)).toBe(1);
    expect(credit(6)).toBeCloseTo(SLICE_DECAY + SLICE_DECAY ** 2 + SLICE_DECAY ** 3, 12);
    expect(credit(2)).toBeCloseTo(SLICE_DECAY ** 4, 12);
  });

  test("has the conditions that let its statements run, and those that could have ended the call before", async () => {
    const { lines } = await slice(
      `def f(a, b):
    if b < 0:
        return 0
    low = a
    if a > b:
        low = b
        a = 0
    else:
        a = 1
    unused = a
    return low
`,
      "f(5, 2) == 5",
    );
    expect(lines).toEqual([2, 5, 6, 8, 11]); // 8 is the if's own else
  });

  test("of an exception has what the crashing line read, through calls and returns", async () => {
    const { outcome, lines, criterion } = await slice(
      `def middle(items, at):
    extra = len(items)
    return items[at]

def index(items):
    step = 1
    return len(items) + step

def f(items):
    seen = []
    at = index(items)
    seen.append(at)
    value = middle(items, at)
    return value
`,
      "f([1, 2]) == 2",
    );
    expect(outcome).toBe("EXC");
    expect(criterion).toEqual([3]);
    expect(lines).toEqual([3, 6, 7, 11, 13]);
  });

  test("of a run out of steps has what the loop's condition reads", async () => {
    const { outcome, lines, criterion } = await slice(
      `def f(n):
    steps = 0
    low = 0
    while low < n:
        steps += 1
        low = low * 2
    return steps
`,
      "f(3) == 2",
    );
    expect(outcome).toBe("FUEL");
    expect(criterion).toEqual([4]);
    expect(lines).toEqual([3, 4, 6]);
  });

  test("follows changes inside of containers, by another name and by a function called", async () => {
    const { lines } = await slice(
      `def put(box, value):
    note = value
    box.append(value)

def f(a):
    items = []
    other = items
    put(other, a)
    b = a + 1
    c = b + 1
    items[0] += b
    return items
`,
      "f(1) == [2]",
    );
    expect(lines).toEqual([3, 6, 7, 8, 9, 11, 12]);
  });

  test("leads from a handler to what raised, and through a recursion to its base", async () => {
    const handled = await slice(
      `def f(word):
    base = 10
    spare = 7
    try:
        value = int(word, base)
    except ValueError:
        value = -1
    return value
`,
      'f("x") == 0',
    );
    expect(handled.lines).toEqual([2, 4, 5, 6, 7, 8]);
    const deep = await slice(
      `def f(n):
    if n <= 0:
        return 1
    half = n // 2
    rest = n - 1
    return n * f(rest)
`,
      "f(2) == 3",
    );
    expect(deep.lines).toEqual([2, 3, 5, 6]);
  });

  test("is a part of what ran and holds its criterion, in every program of the trace tests", async () => {
    for (const [name, { program, entry, test }] of Object.entries(programs)) {
      const limits = { stepsPerTest: 2000, traceEventsHead: 8000, traceEventsTail: 2000 };
      const result = await pool.run(asserts(program, entry, [test], { trace: 0, limits }));
      const table = await statementTable(pool, program);
      const flow = await flowTable(pool, program, table);
      if (!flow || !result.trace || result.stage !== "run") continue;
      const found = backwardSlice(table, flow, result.trace, result.tests[0].outcome)!;
      const executed = executedStatements(table, result.trace);
      found.credit.forEach((credit, statement) => {
        if (credit > 0) expect(executed, `${name}: ${statement}`).toContain(statement);
      });
      expect(found.criterion.length, name).toBeGreaterThan(0);
      for (const statement of found.criterion) expect(found.credit[statement], name).toBeGreaterThanOrEqual(1);
    }
  });
});

test("reads and writes are those of a statement's own expressions", async () => {
  const program = `def f(a, *rest, key=b):
    x, (y[0], z.w) = [i + k for i in a if i], lambda u: u + v
    for n, m in a.items():
        x += (t := n)
    with open(a) as h, g():
        del x
    import os.path as p, re
    try:
        pass
    except (E, F) as e:
        raise e from None
    match a:
        case {"k": q, **r} if q > c:
            return q
`;
  const table = await statementTable(pool, program);
  const flow = (await flowTable(pool, program, table))!;
  const rows = flow.map(({ reads, writes, changes, parent }) => [reads, writes, changes, parent]);
  expect(rows).toEqual([
    [["b"], ["f"], [], -1],
    [["a", "k", "v", "y", "z"], ["x"], ["y", "z"], -1],
    [["a"], ["m", "n"], [], -1],
    [["n", "x"], ["t", "x"], [], 2],
    [["a", "g", "open"], ["h"], [], -1],
    [[], ["x"], [], 4],
    [[], ["p", "re"], [], -1],
    [[], [], [], -1],
    [[], [], [], 7],
    [["E", "F"], ["e"], [], 7],
    [["e"], [], [], 9],
    [["a"], [], [], -1],
    [["c", "q"], ["q", "r"], [], 11],
    [["q"], [], [], 12],
  ]);
});
