import { describe, expect, test } from "vitest";
import { groupAgreement, prefixAgreement, streamAgreement } from "../../src/trace/agreement.ts";
import { firstDivergence, valueStream } from "../../src/trace/divergence.ts";
import type { ProgramResult, Trace } from "../../src/trace/schema.ts";
import { asserts, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();

async function run(program: string, call = "f(4) == 6"): Promise<ProgramResult & { trace: Trace }> {
  const entry = call.match(/^\w+/)![0];
  const result = await pool.run(
    asserts(program, entry, [`assert ${call}`], { trace: 0, streams: true, limits: { stepsPerTest: 3000 } }),
  );
  expect(result.trace, JSON.stringify(result.error)).toBeDefined();
  return result as ProgramResult & { trace: Trace };
}

async function diverge(candidate: string, sibling: string, call?: string) {
  return firstDivergence((await run(candidate, call)).trace, (await run(sibling, call)).trace);
}

const sum = "def f(n):\n  s = 0\n  for i in range(n):\n    s += i\n  return s\n";

describe("the value stream of a trace", () => {
  test("has each new value with its name and the line that made it, then the returned value", async () => {
    const { trace } = await run(sum.replace("+= i", "+= i * i"), "f(3) == 5");
    const { changes, end } = valueStream(trace);
    expect(changes.map(({ name, value, line }) => [name, value, line])).toEqual([
      ["s", "0", 2],
      ["i", "0", 3],
      ["i", "1", 3],
      ["s", "1", 4],
      ["i", "2", 3],
      ["s", "5", 4],
      [null, "R:5", 5],
    ]);
    expect(end).toBe("return");
    for (const { line, step } of changes) {
      expect(trace.events.find((event) => event.step === step)!.line_number).toBe(line);
    }
  });

  test("leaves out values a frame was called with, and ends in the exception that left the call", async () => {
    const { trace } = await run("def f(n):\n  a = n\n  b = [n, n]\n  return b[a]\n");
    const { changes, end } = valueStream(trace);
    expect(changes.map(({ name, value, line }) => [name, value, line])).toEqual([
      ["b", "[4, 4]", 3],
      [null, "X:IndexError", 4],
    ]);
    expect(end).toBe("exception");
  });

  // The two are made by different programs from different things: one by the tracer from frames, one from its events.
  test.each(["divide", "propagated", "caught", "fibonacci", "thousand", "nested", "separators", "endless"])(
    "is, as far as events are there, the one that the tracer made: %s",
    async (name) => {
      const { program, test } = programs[name];
      const result = await run(program, test.slice(7));
      const { changes, end } = valueStream(result.trace);
      const values = changes.map(({ value }) => value).slice(0, 400);
      const own = result.tests[0].values!;
      expect(values.length).toBeGreaterThan(0);
      expect(own.slice(0, values.length)).toEqual(values);
      expect(end === "gap").toBe(result.trace.dropped > 0);
      if (end !== "gap") expect(values.length).toBe(own.length);
    },
  );

  test("stops where values are missing rather than inventing changes", async () => {
    const { trace } = await run(programs.thousand.program, "f(1000) == 0");
    const { changes, end, last } = valueStream(trace);
    const gap = trace.events.find((event, index) => event.step !== index)!;
    expect(end).toBe("gap");
    expect(Math.max(...changes.map(({ step }) => step))).toBeLessThan(gap.step);
    expect(last!.line).toBe(6);
    const blind = structuredClone(trace);
    delete blind.events[9].variable_states;
    expect(valueStream(blind)).toMatchObject({ end: "gap" });
    expect(valueStream(blind).changes.every(({ step }) => step < 9)).toBe(true);
  });
});

describe("the first divergence from a passing sibling", () => {
  test("is null between equal runs, of one program or of two", async () => {
    expect(await diverge(sum, sum)).toBe(null);
    expect(await diverge(sum.replace("s += i", "s = i + s"), sum)).toBe(null);
  });

  test("is the line that made the first other value", async () => {
    const found = await diverge(sum.replace("range(n)", "range(1, n + 1)"), sum);
    expect(found).toMatchObject({ kind: "value", line: 3, candidate: "1", sibling: "0" });
    expect(await diverge(sum.replace("s += i", "s += 2 * i"), sum)).toMatchObject({
      kind: "value",
      line: 4,
      candidate: "2",
      sibling: "1",
    });
    expect(await diverge(sum.replace("return s", "return -s"), sum)).toMatchObject({
      kind: "value",
      line: 5,
      candidate: "R:-6",
      sibling: "R:6",
    });
  });

  test("looks only at names both programs make values of, if there are any", async () => {
    const helper = sum.replace("s = 0\n", "s = 0\n  half = n / 2\n").replace("s += i", "s += i + 1");
    // Without that, `half` would be the first.
    expect(await diverge(helper, sum)).toMatchObject({ kind: "value", line: 5, candidate: "3", sibling: "2" });
    // No name in common but the parameter, which never changes: all values count, whatever their names.
    const renamed = sum.replaceAll("s ", "total ").replace("return s", "return total").replaceAll("i ", "k ").replace(
      "+= i",
      "+= k",
    );
    expect(renamed).toContain("total += k");
    expect(await diverge(renamed, sum)).toBe(null);
    expect(await diverge(renamed.replace("total = 0", "total = 1"), sum)).toMatchObject({ line: 2, candidate: "1" });
  });

  test("of a crash or an endless loop whose values all agree is the last line that ran", async () => {
    expect(await diverge(sum.replace("return s", "return s + missing"), sum)).toMatchObject({
      kind: "end",
      line: 5,
      candidate: "X:NameError",
      sibling: "R:6",
    });
    const nested = "def g(s):\n  return s[0]\ndef f(n):\n  s = 0\n  for i in range(n):\n    s += i\n  return g(s)\n";
    expect(await diverge(nested, sum)).toMatchObject({ kind: "end", line: 2 });
    const stuck = sum.replace("  return s", "  while s == 6:\n    pass\n  return s");
    const found = await diverge(stuck, sum);
    expect(found?.kind).toBe("unknown"); // events were dropped in the loop
    const short = (await run(stuck)).trace;
    const seen = { ...short, events: short.events.slice(0, 40), dropped: 0 };
    expect(firstDivergence(seen, (await run(sum)).trace)).toMatchObject({
      kind: "end",
      line: seen.events.findLast(({ event_type }) => event_type === "line")!.line_number,
      candidate: null,
      sibling: "R:6",
    });
  });

  test("before a gap is found, behind one it is unknown", async () => {
    const call = "f(1000) == 499500";
    const { program } = programs.thousand;
    expect(await diverge(program.replace("s += i", "s += i if i < 9 else 0"), program, call)).toMatchObject({
      kind: "value",
      line: 3, // at i == 9 the sum stays as it is, so the next new value is the next i
      candidate: "10",
      sibling: "45",
    });
    expect(await diverge(program.replace("s += i", "s += i if i < 900 else 0"), program, call)).toEqual({
      kind: "unknown",
      line: null,
      step: null,
      candidate: null,
      sibling: null,
    });
  });
});

describe("agreement of real runs", () => {
  const agree = (candidate: ProgramResult, sibling: ProgramResult) =>
    streamAgreement(candidate.tests[0].values!, sibling.tests[0].values!);

  test("is 1 with itself and with the same program under other names, formats and line numbers", async () => {
    const sibling = await run(sum);
    const renamed = await run(
      "# a comment\n\ndef f(number):\n\n  acc = 0\n  for each in range(number):\n    acc = acc + each\n  return acc\n",
    );
    expect(agree(sibling, sibling)).toBe(1);
    expect(agree(renamed, sibling)).toBe(1);
    expect(prefixAgreement(renamed.tests[0].values!, sibling.tests[0].values!)).toBe(1);
    expect(groupAgreement([{ code: "a", result: sibling }, { code: "b", result: renamed }])).toEqual([[1], [1]]);
  });

  test("falls with a loop of 30 new values, stays with one that changes none, and never rises by padding", async () => {
    const sibling = await run(sum);
    const wrong = sum.replace("range(n)", "range(n - 1)");
    const base = agree(await run(wrong), sibling);
    expect(base).toBeGreaterThan(0);
    expect(base).toBeLessThan(1);
    const padded = await run(wrong.replace("  s = 0", "  s = 0\n  for _ in range(100, 130): pass"));
    expect(agree(padded, sibling)).toBeLessThan(base);
    const idle = await run(wrong.replace("  s = 0", "  s = 0\n  for n in [n] * 30: pass"));
    expect(agree(idle, sibling)).toBe(base);
    expect(idle.steps).toBeGreaterThan(30);
  });

  test("the prefix that agrees is a share of the sibling's stream", () => {
    expect(prefixAgreement(["0", "1", "9"], ["0", "1", "3", "R:3"])).toBe(0.5);
    expect(prefixAgreement([], ["R:3"])).toBe(0);
    expect(prefixAgreement(["1"], [])).toBe(1);
    expect(prefixAgreement(["0", "1", "2", "R:2"], ["0", "1", "2"])).toBe(1);
    const long = Array.from({ length: 500 }, (_, i) => `${i}`);
    expect(prefixAgreement(long.slice(0, 400), long)).toBe(1);
  });
});
