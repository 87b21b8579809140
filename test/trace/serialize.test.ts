import { describe, expect, test } from "vitest";
import { parseTraceText } from "../../src/trace/parse_text.ts";
import { uniformStream } from "../../src/model/philox.ts";
import type { TraceEvent } from "../../src/trace/schema.ts";
import { formatTrace, toldUnwinding, traceText } from "../../src/trace/serialize.ts";
import { asserts, runTraced, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();
const divide = `def divide(a, b):
  if b == 0:
    return float('inf')
  result = a / b
  return result
`;

async function textOf(program: string, entry: string, call: string): Promise<string> {
  const result = await pool.run(asserts(program, entry, [`assert ${call}`], { trace: "deciding" }));
  expect(result.infra, result.error?.message).toBe(false);
  const text = traceText("p", program, result);
  return text.slice(text.indexOf("Execution Trace:\n") + 17);
}

describe("the text form of a trace", () => {
  test("the method's divide(10, 0) example comes out to the letter", async () => {
    const result = await pool.run(
      asserts(divide, "divide", ["assert divide(10, 0) == float('inf')"], { trace: "deciding" }),
    );
    expect(traceText("Divide two numbers.", divide, result)).toBe(`Problem: "Divide two numbers."
Generated Code:
1: def divide(a, b):
2:   if b == 0:
3:     return float('inf')
4:   result = a / b
5:   return result

Test Case: divide(10, 0)
Execution Trace:
[L1] call: a=10, b=0
[L2] line: a=10, b=0 | Condition (b == 0) is True
[L3] line: a=10, b=0 | Returning float('inf')
[L3] return: 'inf'
Test Result: PASS
---
`);
  });

  test("an exception joins the line that raised it, and propagates with a line per frame", async () => {
    const program = "def g(x):\n  return [1][x]\ndef f(x):\n  y = g(x)\n  return y\n";
    expect(await textOf(program, "f", "f(5) == 1")).toBe(`[L3] call: x=5
[L4] line: x=5
  [L1] call g: x=5
  [L2] line: x=5 | EXCEPTION: IndexError("list index out of range")
[L4] exception: IndexError("list index out of range") propagated
Test Result: FAIL
---
`);
  });

  test("a caught exception, a short circuit, a chained comparison and a generator are told as they happened", async () => {
    const program = `def f(a, b):
  if a and not b or 0 < a < 3:
    try:
      b.append(1)
    except AttributeError:
      b = None if a else [2]
  def g():
    yield a
  return list(g())
`;
    expect(await textOf(program, "f", "f(1, 5) == [1]")).toBe(`[L1] call: a=1, b=5
[L2] line: a=1, b=5 | Condition (a and not b or 0 < a < 3) is True
[L3] line: a=1, b=5
[L4] line: a=1, b=5 | EXCEPTION: AttributeError("'int' object has no attribute 'append'")
[L5] line: a=1, b=5
[L6] line: a=1, b=5 | Condition (a) is True
[L7] line: a=1, b=None
[L9] line: a=1, b=None, g=<function g> | Returning list(g())
  [L7] call f.<locals>.g: a=1
  [L8] line: a=1 | Yielding a
  [L8] yield: 1
  [L8] resume f.<locals>.g: a=1
  [L8] return: None
[L9] return: [1]
Test Result: PASS
---
`);
  });

  test("a long run keeps its head and its tail and says what is left out", async () => {
    const program = "def f(n):\n  s = 0\n  for i in range(n):\n    s += i\n  return s\n";
    const result = await pool.run(asserts(program, "f", ["assert f(1000) == 499500"], { trace: "deciding" }));
    const lines = traceText("p", program, result).split("\n");
    expect(result.trace!.events.length).toBe(600);
    expect(result.trace!.dropped).toBe(1405);
    expect(lines).toContain("... 1405 events omitted ...");
    expect(lines.slice(-4)).toEqual(["[L5] return: 499500", "Test Result: PASS", "---", ""]);
  });

  test("an error that a finally clause or a bare raise passes on is told where it leaves the frame", async () => {
    expect(await shown("reraised")).toBe(`[L1] call: table={'a': 1}, key='b'
[L2] line: table={'a': 1}, key='b'
[L3] line: table={'a': 1}, key='b' | EXCEPTION: KeyError("'b'")
[L4] line: table={'a': 1}, key='b'
[L5] line: table={'a': 1}, key='b'
[L6] line: table={'a': 1}, key='none'
[L8] line: table={'a': 1}, key='none'
[L8] exception: KeyError("'b'") propagated
Test Result: FAIL
---
`);
  });

  test("a generator is called, yields and resumes", async () => {
    expect((await shown("generator")).split("\n").slice(2, 15).join("\n")).toBe(
      `[L9] line: items=[1, 2, 5, 9], out=[]
  [L1] call pairs: items=[1, 2, 5, 9]
  [L2] line: items=[1, 2, 5, 9]
  [L3] line: items=[1, 2, 5, 9], before=None
  [L4] line: items=[1, 2, 5, 9], before=None, item=1 | Yielding (before, item)
  [L4] yield: (None, 1)
[L10] line: items=[1, 2, 5, 9], out=[], a=None, b=1 | Condition (a is not None and b - a > 1) is False
[L9] line: items=[1, 2, 5, 9], out=[], a=None, b=1
  [L4] resume pairs: items=[1, 2, 5, 9], before=None, item=1
  [L5] line: items=[1, 2, 5, 9], before=None, item=1, asked=None
  [L3] line: items=[1, 2, 5, 9], before=1, item=1, asked=None
  [L4] line: items=[1, 2, 5, 9], before=1, item=2, asked=None | Yielding (before, item)
  [L4] yield: (1, 2)`,
    );
  });

  test("calls are indented by two spaces a level, up to eight levels", async () => {
    const program = "def f(n):\n  return n and f(n - 1)\n";
    const lines = (await textOf(program, "f", "f(11) == 0")).split("\n").filter((line) => line.includes("call"));
    expect(lines.map((line) => line.search(/\S/))).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 16, 16, 16]);
    expect(lines.slice(0, 2)).toEqual(["[L1] call: n=11", "  [L1] call f: n=10"]);
  });

  test("what was printed and what was raised is quoted, and no name or value of a program makes a line", async () => {
    expect(await shown("separators")).toContain(
      `quote='it\\'s "so" \\\\ and \\n more' | Printed "it's \\"so\\" \\\\ and \\n more | Condition (a) is True\\n"\n`,
    );
    expect((await shown("odd_names")).split("\n").slice(2)).toEqual([
      "[L3] line: x=1, Odd=<class a\\nTest Result: PASS>",
      "[L4] line: x=1, Odd=<class a\\nTest Result: PASS>, value=<C: | EXCEPTION>",
      "[L5] line: x=1, Odd=<class a\\nTest Result: PASS>, value=C: | EXCEPTION(k, y=1\\n---=1) | " +
      `EXCEPTION: "a\\nTest Result: PASS"("quote \\" and\\ttab")`,
      "Test Result: FAIL",
      "---",
      "",
    ]);
  });

  test("a line without variables, a program that does not compile, and a text without its result", async () => {
    expect(await textOf("def f():\n  return 1 // 0\n", "f", "f() == 1")).toBe(`[L1] call:
[L2] line: EXCEPTION: ZeroDivisionError("${await zeroDivision()}")
Test Result: FAIL
---
`);
    expect(await shown("syntax")).toBe(
      `[L2] exception: SyntaxError("'(' was never closed")\nTest Result: FAIL\n---\n`,
    );
    const { program } = programs.syntax;
    const text = traceText("p", program, await runTraced(pool, programs.syntax), { outcome: false });
    expect(text).toBe(
      'Problem: "p"\nGenerated Code:\n1: def f(x):\n2:     return (x\n3:\n4: print("é")\n\n' +
        "Test Case: loading the program\nExecution Trace:\n" +
        `[L2] exception: SyntaxError("'(' was never closed")\n---\n`,
    );
  });

  async function shown(name: string): Promise<string> {
    const { program, entry, test } = programs[name];
    return await textOf(program, entry, test.replace(/^assert /, ""));
  }

  async function zeroDivision(): Promise<unknown> {
    return await pool.script("def main(_):\n try: 1 // 0\n except ZeroDivisionError as e: return str(e)", null);
  }
});

describe("the text form read back", () => {
  test.each(Object.keys(programs))("is the same text again: %s", async (name) => {
    const { program } = programs[name];
    const result = await runTraced(pool, programs[name]);
    const text = traceText(`a "problem"\nof two lines`, program, result);
    const document = parseTraceText(text);
    expect(formatTrace(document)).toBe(text);
    expect(document.problem).toBe(`a "problem"\nof two lines`);
    expect(document.program).toBe(program.trimEnd());
    expect(document.outcome).toBe(result.passed ? "PASS" : "FAIL");
    // Names with signs of their own in them may be read as something else; all others come back as they were.
    if (name !== "odd_names") expect(content(document.events)).toEqual(content(result.trace?.events ?? []));
  });

  test("knows one activation from another, and what is said to be missing", async () => {
    const result = await runTraced(pool, programs.fibonacci);
    const { events } = parseTraceText(traceText("p", programs.fibonacci.program, result));
    expect(events.map(({ frame }) => frame)).toEqual(result.trace!.events.map(({ frame }) => frame));
    expect(events.map(({ step }) => step)).toEqual(result.trace!.events.map(({ step }) => step));
    const long = await runTraced(pool, programs.thousand);
    const read = parseTraceText(traceText("p", programs.thousand.program, long)).events;
    expect(read.map(({ step }) => step)).toEqual(long.trace!.events.map(({ step }) => step));
  });

  test.each([
    ["Problem:", "Problems:", 'line 1 is "Problems: \\"p\\"", not Problem: "…"'],
    ["2:   if b", "3:   if b", 'line 4 is "3:   if b == 0:", not program line 2'],
    ["Execution Trace:", "Trace:", 'line 10 is "Trace:", not "Execution Trace:"'],
    ["[L2] line", "[L2] jump", 'line 12 is "[L2] jump: a=10, b=0 | Condition (b == 0) is True", not an event'],
    ["is True", "is true", 'line 12 is "[L2] line: a=10, b=0 | Condition (b == 0) is true", not an event'],
    ["[L1] call", " [L1] call", 'line 11 is " [L1] call: a=10, b=0", not an event'],
    ["PASS", "pass", 'line 15 is "Test Result: pass", not "Test Result: PASS" or "… FAIL"'],
    ["---\n", "---\n\n", 'line 18 is "", not the end'],
    ["---\n", "", 'line 16 is "", not "---"'],
  ])("with %j written as %j it is refused, with the line's number", async (from, to, message) => {
    const text = traceText("p", divide, await runTraced(pool, programs.divide));
    expect(text).toContain(from);
    expect(() => parseTraceText(text.replace(from, to))).toThrow(`Cannot read the trace text: ${message}`);
  });

  test("of 3,000 texts with one character changed, all are refused with a line or come out unchanged", async () => {
    const random = uniformStream(7, 0);
    const texts = [];
    for (const name of ["divide", "propagated", "separators", "generator"]) {
      texts.push(traceText("p", programs[name].program, await runTraced(pool, programs[name])));
    }
    let refused = 0;
    for (let round = 0; round < 3000; round++) {
      const text = texts[round % texts.length];
      const at = Math.floor(random() * text.length);
      const sign = ` \n"'|[]()=,:\\…aL1`[Math.floor(random() * 17)];
      const changed = text.slice(0, at) + sign + text.slice(at + Math.floor(random() * 2));
      try {
        expect(formatTrace(parseTraceText(changed))).toBe(changed);
      } catch (error) {
        expect((error as Error).message).toMatch(/^Cannot read the trace text: line \d+ is /);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(2900);
  });
});

/** What the text tells of the events. */
function content(events: readonly TraceEvent[]) {
  return toldUnwinding(events).filter((event) => event.event_type !== "unwind" || event.error_info).map((event) => ({
    line: event.line_number,
    type: event.event_type === "unwind" ? "exception" : event.event_type,
    depth: Math.min(event.depth, 8),
    states: Object.entries(event.variable_states ?? {}),
    notes: event.notes ?? [],
    value: event.value,
    error: event.error_info && [event.error_info.error_type, event.error_info.error_message],
  }));
}
