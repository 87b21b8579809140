import { describe, expect, test } from "vitest";
import type { Trace } from "../../src/trace/schema.ts";
import { constructs, told } from "./constructs.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();

async function traced(program: string, call: string) {
  const result = await pool.run(asserts(program, "f", [`assert ${call} == 0`], { trace: 0 }));
  expect(result.trace, JSON.stringify(result.error ?? result.tests)).toBeDefined();
  return result.trace!;
}

describe("each construct of Python is traced as the table says", () => {
  test.each(constructs.map((row) => [row.name, row] as const))("%s", async (_name, { program, call, expected }) => {
    expect(told(program, await traced(program, call))).toBe(expected);
  });
});

describe("a recursion", () => {
  test("without end ends where it does untraced, with every frame's exception and the line of origin", async () => {
    const trace = await traced("def f(n):\n  return f(n + 1)\n", "f(0)");
    expect(trace.origin).toMatchObject({ line_number: 2, error_type: "RecursionError" });
    expect(trace.truncated).toBe("recursion");
    const errors = trace.events.filter((event) => event.event_type === "exception");
    expect(errors.length).toBeGreaterThan(200);
    expect(new Set(errors.map((event) => event.error_info!.error_message))).toEqual(
      new Set(["maximum recursion depth exceeded"]),
    );
    expect(errors.at(-1)).toMatchObject({ depth: 0, line_number: 2 });
    expect(trace.events.at(-1)).toMatchObject({ depth: 0, event_type: "unwind" });
  });

  test("has as many frames as without tracing", async () => {
    const program = "def f(n=0):\n  try:\n    return f(n + 1)\n  except RecursionError:\n    return n\n";
    const depths = [];
    for (const trace of ["none", 0] as const) {
      const { tests, trace: events } = await pool.run(asserts(program, "f", ["assert f() == -1"], { trace }));
      depths.push(Number(tests[0].actual), Number(events?.events.at(-1)?.value ?? tests[0].actual));
    }
    expect(depths[0]).toBeGreaterThan(900);
    for (const depth of depths) expect(Math.abs(depth - depths[0])).toBeLessThanOrEqual(2);
  });

  test("that a program's own limit allows goes beyond a thousand frames", async () => {
    const program = "import sys\nsys.setrecursionlimit(10000)\n" +
      "def f(n):\n  if n == 0: return 0\n  return f(n - 1) + 1\n";
    const trace = await traced(program, "f(1500)");
    expect(trace.max_depth).toBe(1501);
    expect(trace.events.at(-1)).toMatchObject({ event_type: "return", value: "1500", depth: 0 });
  });
});

describe("asyncio", () => {
  const program = `import asyncio
async def worker(queue, out):
  while (item := await queue.get()) is not None:
    await asyncio.sleep(item)
    out.append((item, asyncio.get_running_loop().time()))
async def main():
  queue, out = asyncio.Queue(2), []
  async with asyncio.TaskGroup() as group:
    for _ in range(2):
      group.create_task(worker(queue, out))
    for item in (3, 1, 4, 1.5, None, None):
      await queue.put(item)
  try:
    await asyncio.wait_for(asyncio.sleep(1000), timeout=50)
  except TimeoutError:
    out.append("late")
  out.append(await asyncio.to_thread(len, "abc"))
  await asyncio.gather(asyncio.sleep(44.5), asyncio.sleep(10))
  return out, asyncio.get_running_loop().time()
def f():
  return asyncio.run(main())
`;

  test("has a virtual clock: a hundred seconds of it take none, and every run goes the same way", async () => {
    const call = "assert f() == ([(1, 1), (3, 3), (1.5, 4.5), (4, 5), 'late', 3], 99.5)";
    const jobs = [1, 2].map(() => pool.run(asserts(program, "f", [call], { trace: 0, streams: true })));
    const [first, second] = await Promise.all(jobs);
    expect(first.tests[0]).toMatchObject({ outcome: "PASS" });
    expect(JSON.stringify({ ...second, elapsedMs: 0 })).toBe(JSON.stringify({ ...first, elapsedMs: 0 }));
    const names = new Set(first.trace!.events.map((event) => event.function));
    expect([...names].sort()).toEqual(["f", "main", "worker"]);
  });

  test("has no network, and says so", async () => {
    const program = "import asyncio\nasync def main():\n  await asyncio.open_connection('localhost', 80)\n" +
      "def f():\n  asyncio.run(main())\n";
    expect((await traced(program, "f()")).origin).toEqual({
      line_number: 3,
      error_type: "OSError",
      error_message: "there is no network",
    });
  });
});

describe("the budgets of a trace", () => {
  const loop = (before: string, body: string) =>
    `def f(n):\n  total = 0\n  ${before}\n  for i in range(n):\n    ${body}\n  return total\n`;

  test("keep the first 200 and the last 400 events, in order", async () => {
    const trace = await traced(loop("k = 1", "total += i"), "f(1000)");
    expect(trace.truncated).toBe("events");
    expect(trace.events.map((event) => event.step)).toEqual([
      ...Array(200).keys(),
      ...Array.from({ length: 400 }, (_, i) => trace.dropped + 200 + i),
    ]);
    expect(trace.events.at(-1)).toMatchObject({ event_type: "return", value: "499500" });
    expect(trace.events[200].variable_states, "complete again after the gap").toMatchObject({ n: "1000", k: "1" });
  });

  // What is shown of them is bounded, and so is what is looked at: each would take minutes if all of it were rendered.
  test.each([
    ["a list of a million", "a = list(range(1000000))", "total += i"],
    ["a dictionary of a hundred thousand", "a = dict.fromkeys(range(100000))", "total += i"],
    ["a thousand variables", Array.from({ length: 1000 }, (_, i) => `v${i} = [${i}]`).join("; "), "total += i"],
    ["a set of ten thousand", "a = set(range(10000))", "total += i"],
    ["deep lists", "a = [[[[1] * 99] * 99] * 99] * 99", "total += i"],
    [
      "objects with many attributes",
      "o = type('A', (), {})(); [setattr(o, f'a{k}', [o] * 99) for k in (1, 2, 3)]",
      "total += i",
    ],
    [
      "long texts that change in every line",
      "a = []",
      "a = [chr(4660) * 55 + str(i)] * 9; b = a, i; c = i, b; d = i, c",
    ],
  ])("hold for %s", async (_name, before, body) => {
    const trace = await traced(loop(before, body), "f(2000)");
    expect(wireBytes(trace)).toBeLessThan(256_000);
    expect(trace.events.at(-1), "the end is there").toMatchObject({ event_type: "return", depth: 0 });
    expect(trace.dropped).toBe(trace.events.at(-1)!.step + 1 - trace.events.length);
  });

  test("are used up by texts, not by a hole: what is dropped is in the middle", async () => {
    const trace = await traced(loop("a = 0", "a = [chr(4660) * 59] * 9, i; b = i, a; c = i, b; d = i, c"), "f(300)");
    expect(trace.truncated).toBe("bytes");
    const steps = trace.events.map((event) => event.step);
    const gaps = steps.filter((step, index) => index > 0 && step !== steps[index - 1] + 1);
    expect(gaps.length).toBe(1);
    expect(steps[0]).toBe(0);
    expect(trace.events.at(-2)!.variable_states!.i).toBe("299");
  });
});

/** Bytes of a trace as it leaves Python: of its variables only what changed in their frame. */
function wireBytes(trace: Trace): number {
  const before = new Map<number, Record<string, string>>();
  let previous = -1;
  const events = trace.events.map((event) => {
    if (event.step !== previous + 1) before.clear();
    previous = event.step;
    const last = before.get(event.frame) ?? {};
    const states = event.variable_states;
    if (!states) return event;
    before.set(event.frame, states);
    const changed = Object.entries(states).filter(([name, text]) => last[name] !== text);
    return { ...event, variable_states: Object.fromEntries(changed) };
  });
  const ascii = JSON.stringify(events).replace(/[^\x20-\x7e]/g, "\\u1234");
  // The public form names each field of an event, which the wire does not.
  return ascii.length - 90 * events.length;
}
