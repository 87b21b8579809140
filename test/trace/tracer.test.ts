import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Trace } from "../../src/trace/schema.ts";
import { expandTrace, type WireTrace } from "../../src/trace/wire.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();

/** Raw sys.settrace events of small programs: [event, line, function, locals | value | exception type]. */
type RawEvent = [string, number, string, (Record<string, string> | string)?];
interface Golden {
  src: string;
  call: string;
  events: RawEvent[];
  line_events: number;
}
function golden(version: string): [string, Golden][] {
  const path = new URL(`../../../shared/golden/traces_${version}.json`, import.meta.url);
  const { python: _python, ...programs } = JSON.parse(readFileSync(path, "utf8"));
  return Object.entries(programs as Record<string, Golden>);
}

/** Our events in the form of the golden ones. */
function raw(trace: Trace): RawEvent[] {
  return trace.events.map((event): RawEvent => {
    const name = event.function.split(".").pop()!;
    const base: [string, number, string] = [event.event_type, event.line_number, name];
    if (event.event_type === "unwind") return ["return", event.line_number, name, "None"];
    if (event.event_type === "exception") return [...base, event.error_info!.error_type];
    return [...base, event.value ?? event.variable_states ?? {}];
  });
}

/** Iterators have addresses in their text, and we quote infinity. */
function normal(events: RawEvent[]): RawEvent[] {
  return events.map(([kind, line, name, rest]) => {
    if (rest === "inf") return [kind, line, name, "'inf'"];
    if (typeof rest !== "object") return [kind, line, name, rest];
    return [kind, line, name, Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith(".")))];
  });
}

const python = (() => {
  try {
    return execFileSync("python3", ["-c", "import sys; print('%d%d' % sys.version_info[:2])"], { encoding: "utf8" })
      .trim();
  } catch {
    return null;
  }
})();

describe("the tracer agrees with what CPython itself reports", () => {
  test.each(golden("3130"))("in Pyodide: %s", async (_name, program) => {
    const entry = program.call.split("(")[0];
    const result = await pool.run(asserts(program.src, entry, [`assert ${program.call} == 0`], { trace: 0 }));
    expect(result.trace, result.error?.message).toBeDefined();
    expect(raw(result.trace!)).toEqual(normal(program.events));
    expect(result.trace!.steps).toBe(program.line_events);
    expect(result.tests[0].steps).toBe(program.line_events);
  });

  // Native CPython is not a dependency of the project: where there is none, only the Pyodide half of this runs.
  test.skipIf(python !== "311")("natively, under CPython 3.11", () => {
    const programs = golden("311");
    const folder = fileURLToPath(new URL("../../src/trace", import.meta.url));
    const driver = fileURLToPath(new URL("./native_driver.py", import.meta.url));
    const input = JSON.stringify(programs.map(([, { src, call }]) => ({ src, call })));
    const out = JSON.parse(execFileSync("python3", [driver, folder], { input, encoding: "utf8" })) as {
      trace: WireTrace;
    }[];
    programs.forEach(([name, program], index) => {
      const trace = expandTrace(out[index].trace);
      expect(raw(trace), name).toEqual(normal(program.events));
      expect(trace.steps, name).toBe(program.line_events);
    });
    const notes = expandTrace(out[0].trace).events[1].notes;
    expect(notes, "conditions are inferred from the next line there").toEqual([
      { kind: "condition", text: "b == 0", value: true },
    ]);
  });
});

describe("a trace", () => {
  const cyclic = `class Node:
  def __init__(self, value):
    self.value = value
    self.next = self
  def __repr__(self):
    raise RuntimeError("never call me")
  __eq__ = __hash__ = __len__ = __bool__ = __repr__
def f(n):
  node = Node(n)
  numbers = {3, 1, 2}
  big = 2 ** 300
  words = ["x" * 100] * 10
  deep = [[[[n]]]]
  return n
`;

  test("shows values without running the program's own methods", async () => {
    const result = await pool.run(asserts(cyclic, "f", ["assert f(1) == 1"], { trace: 0 }));
    expect(result.passed).toBe(true);
    const states = result.trace!.events.findLast((event) => event.event_type === "line")!.variable_states!;
    expect(states.node).toBe("Node(value=1, next=<Node>)");
    expect(states.numbers).toBe("{1, 2, 3}");
    expect(states.big).toBe("<int 301 bits>");
    expect(states.deep).toBe("[[[[…]]]]");
    expect(states.words.length).toBeLessThanOrEqual(401);
  });

  test("names the line where an error was raised, not the one where it surfaced", async () => {
    const program = "import json\ndef g(s):\n  return json.loads(s)\ndef f(s):\n  try:\n    return g(s)\n" +
      "  except ValueError as e:\n    raise KeyError('k')\n";
    const result = await pool.run(asserts(program, "f", ["assert f('{') == 1"], { trace: "deciding" }));
    const errors = result.trace!.events.filter((event) => event.event_type === "exception");
    expect(errors.map((event) => [event.line_number, event.error_info!.error_type, event.error_info!.origin])).toEqual([
      [3, "JSONDecodeError", true],
      [6, "JSONDecodeError", false],
      [8, "KeyError", true],
    ]);
    expect(errors[0].error_info!.external).toMatch(/^json\/decoder\.py:\d+$/);
    expect(errors[1].error_info!.handled).toBe(true);
    expect(result.trace!.origin).toEqual({ line_number: 8, error_type: "KeyError", error_message: "'k'" });
    expect(result.tests[0].error).toEqual({ type: "KeyError", message: "'k'", line: 8 });
  });

  test("is the same to the byte when it is made again, in another interpreter too", async () => {
    const program = "import random, time\ndef f(n):\n  s = {str(random.random()) for _ in range(n)}\n" +
      "  t = time.time()\n  for x in s:\n    t = id(x)\n  return sorted(s)\n";
    const job = asserts(program, "f", ["assert f(20) == 1"], { trace: 0, streams: true });
    const first = await pool.run(job);
    const second = await pool.run(job);
    const other = await testPool().run(job);
    expect(first.trace!.events.length).toBeGreaterThan(40);
    for (const again of [second, other]) expect({ ...again, elapsedMs: 0 }).toEqual({ ...first, elapsedMs: 0 });
  });
});

describe("the value-change stream", () => {
  async function stream(program: string): Promise<string[]> {
    const result = await pool.run(asserts(program, "f", ["assert f([3, 4]) == 7"], { streams: true }));
    return result.tests[0].values!;
  }

  test("has each changed value, the returned one last, and no names", async () => {
    const values = await stream("def f(a):\n  s = 0\n  for x in a:\n    s += x\n  return s\n");
    expect(values).toEqual(["0", "3", "3", "4", "7", "R:7"]);
    expect(await stream("def f(b):\n  total = 0\n  for y in b:\n    total += y\n  return total\n")).toEqual(values);
  });

  test("ends in the exception's type when the program crashes", async () => {
    expect(await stream("def f(a):\n  s = a[1]\n  return s[0]\n")).toEqual(["4", "X:TypeError"]);
  });

  test("is bounded", async () => {
    expect((await stream("def f(a):\n  for i in range(9999):\n    pass\n")).length).toBe(400);
  });
});
