import { describe, expect, test } from "vitest";
import { traceText } from "../../src/trace/serialize.ts";
import { asserts, testPool } from "./helpers.ts";

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
});
