import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
import { beforeAll, describe, expect, test } from "vitest";
import { compactTrace, estimateTokens } from "../../src/trace/compact.ts";
import { crashOf } from "../../src/trace/crash.ts";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { statementTable } from "../../src/trace/statements.ts";
import { asserts, data, runTraced, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();
const plenty = 1_000_000;
const results: Record<string, ProgramResult> = {};

beforeAll(async () => {
  for (const [name, traced] of Object.entries(programs)) results[name] = await runTraced(pool, traced);
});

const compact = (name: string, budget = plenty, more = {}) => compactTrace(results[name], { budget, ...more });

describe("the compact form of a trace", () => {
  test("says of each line what it changed, returned and raised", () => {
    expect(compact("divide")).toBe(`[L1] call: a=10, b=0
[L2] Condition (b == 0) is True
[L3] Returning float('inf') | return: 'inf'
Test Result: PASS
`);
    expect(compact("propagated")).toBe(`[L5] call: groups=[[1, 2], [3]]
[L6] found=[]
[L7] group=[1, 2]
[L8]
  [L1] call last: xs=[1, 2]
  [L2] EXCEPTION: IndexError("list index out of range")
[L8] EXCEPTION: IndexError("list index out of range") propagated
Test Result: FAIL
`);
    expect(compact("caught")).toBe(`[L1] call: words=['1', 'a b', '7']
[L2] total=0
[L3] word='1'
[L4]
[L5] total: 0→1
[L9] word: '1'→None
[L3] word: None→'a b'
[L4]
[L5] EXCEPTION: ValueError("invalid literal for int() with base 10: 'a b'")
[L6] error=ValueError("invalid literal for int() with base 10: 'a b'")
[L7] total: 1→0, del error
[L9] word: 'a b'→None
[L3] word: None→'7'
[L4]
[L5] total: 0→7
[L9] word: '7'→None
[L3]
[L10] Returning total | return: 7
Test Result: PASS
`);
    expect(compact("generator").split("\n").slice(2, 12).join("\n")).toBe(`[L9] a=None, b=1
  [L1] call pairs: items=[1, 2, 5, 9]
  [L2] before=None
  [L3] item=1
  [L4] Yielding (before, item) | yield: (None, 1)
[L10] Condition (a is not None and b - a > 1) is False
[L9] a: None→1, b: 1→2
  [L4] resume pairs: asked=None
  [L5] before: None→1
  [L3] item: 1→2`);
    expect(compact("syntax")).toBe(`[L2] exception: SyntaxError("'(' was never closed")\nTest Result: FAIL\n`);
  });

  test("makes a multi-line simple statement one line, its first, if it knows the statements", async () => {
    const program = "def f(a):\n    b = (a\n         + a\n         - len([\n             a]))\n    return b\n";
    const result = await pool.run(asserts(program, "f", ["assert f(2) == 3"], { trace: 0 }));
    const statements = await statementTable(pool, program);
    expect(compactTrace(result, { budget: plenty }).match(/^\[L[2-5]\]/gm)!.length).toBeGreaterThan(1);
    expect(compactTrace(result, { budget: plenty, statements })).toBe(
      "[L1] call: a=2\n[L2] b=3\n[L6] Returning b | return: 3\nTest Result: PASS\n",
    );
  });

  test("folds a loop to its first two and its last iteration, inner loops in those of outer ones", () => {
    const text = compact("nested", 1500);
    expect(text).toContain(`[L5] j=0
[L6] row: []→[0]
[L5] j: 0→1
[L6] row: [0]→[0, 0]
[L5-L6] … 6 iterations omitted …
[L5] j: 7→8
`);
    expect(text).toContain("\n[L3-L7] … 6 iterations omitted …\n[L3] i: 7→8\n");
    expect(text.endsWith("\nTest Result: PASS\n")).toBe(true);
  });

  test("a loop of 1,000 iterations is a few lines, whether or not the engine left events out", async () => {
    const { program, test } = programs.thousand;
    const limits = { traceEventsHead: 5000, traceEventsTail: 5000 };
    const whole = await pool.run(asserts(program, "f", [test], { trace: 0, limits }));
    expect(whole.trace!.dropped).toBe(0);
    expect(compactTrace(whole, { budget: 300 })).toBe(`[L1] call: n=1000
[L2] s=0
[L3] i=0
[L4] Condition (i % 2 >= 0) is True
[L5]
[L3] i: 0→1
[L4] Condition (i % 2 >= 0) is True
[L5] s: 0→1
[L3-L5] … 997 iterations omitted …
[L3] i: 998→999
[L4] Condition (i % 2 >= 0) is True
[L5] s: 498501→499500
[L3]
[L6] Returning s | return: 499500
Test Result: PASS
`);
    expect(compact("thousand", 500).split("\n").length).toBeLessThan(40);
  });

  test("folds a recursion by its levels", () => {
    expect(compact("bottomless", 1000)).toMatch(/… \d+ levels omitted …/);
  });

  test("keeps head, tail and what is around the divergence", () => {
    const long = results.nested;
    const middle = long.trace!.events.findLast(({ variable_states }) => variable_states?.i === "4")!.step;
    const text = (divergence: number | null) => compactTrace(long, { budget: 420, divergence });
    const has = /\[L3\] i: 4→5/;
    expect(text(null)).not.toMatch(has);
    expect(text(middle)).toMatch(has);
    for (const part of [text(null), text(middle)]) {
      expect(part.startsWith("[L1] call: n=9\n[L2] rows=[]\n")).toBe(true);
      expect(part).toMatch(/\[L8\] .*return: .*\nTest Result: PASS\n$/);
      expect(part).toContain("omitted …");
      expect(estimateTokens(part)).toBeLessThanOrEqual(420);
    }
  });

  test("cuts values and drops deep frames only when a window of the last 20 lines does not fit", () => {
    const value = "[[0, 0, 0, 0, 0, 0, 0, 0, …+1], [0, 1, 2";
    expect(compact("nested", 700)).toContain(value);
    expect(compact("nested", 200)).not.toContain(value);
    expect(compact("fibonacci", 170)).toMatch(/^ {6}\[L/m);
    expect(compact("fibonacci", 110)).not.toMatch(/^ {8}\[L/m);
  });

  test("leaves the result out for models that must not read it", () => {
    for (const name of Object.keys(programs)) {
      expect(compact(name, plenty, { outcome: false }) + compact(name).match(/Test Result: (PASS|FAIL)\n$/)![0]).toBe(
        compact(name),
      );
      expect(compact(name, 200, { outcome: false })).not.toMatch(/^Test Result/m);
    }
  });

  test("says how much it needs where the last event, the error and the outcome do not fit", () => {
    const message = (name: string, budget: number) => {
      try {
        compact(name, budget);
      } catch (error) {
        return (error as Error).message;
      }
    };
    const needed = Number(message("propagated", 3)!.match(/^Cannot fit the trace into 3 tokens: .* need (\d+)$/)![1]);
    expect(message("propagated", needed - 1)).toContain(`need ${needed}`);
    expect(compact("propagated", needed).split("\n").filter((line) => !line.includes("omitted"))).toEqual([
      '  [L2] EXCEPTION: IndexError("list index out of r…")',
      '[L8] EXCEPTION: IndexError("list index out of r…") propagated',
      "Test Result: FAIL",
      "",
    ]);
    expect(message("syntax", 2)).toContain("Cannot fit the trace into 2 tokens");
  });
});

describe("compact traces of every budget", () => {
  const counters: [string, (text: string) => number][] = [
    ["the estimate", estimateTokens],
    ["characters", (text) => text.length],
    ["lines and half of the words", (text) => Math.ceil((text.match(/\S+/g) ?? []).length / 2)],
  ];

  test.each(counters)(
    "are within it, the same twice, and hold the end, the error's origin and the outcome: by %s",
    (_, count) => {
      for (const [name, result] of Object.entries(results)) {
        const full = compactTrace(result, { budget: plenty, count });
        const size = count(full);
        expect(compactTrace(result, { budget: size, count }), name).toBe(full);
        const crash = result.trace && crashOf(result.trace);
        const lastLine = full.trimEnd().split("\n").at(-2)!.match(/\[L\d+\]|stopped/)![0];
        let thrown = 0;
        for (let budget = size - 1; budget > 0; budget = Math.floor(budget / 2)) {
          for (const divergence of [null, 9]) {
            let text;
            try {
              text = compactTrace(result, { budget, count, divergence });
            } catch (error) {
              const needed = Number((error as Error).message.match(/need (\d+)$/)![1]);
              expect(needed, name).toBeGreaterThan(budget);
              expect(count(compactTrace(result, { budget: needed, count, divergence })), name).toBeLessThanOrEqual(
                needed,
              );
              thrown++;
              continue;
            }
            expect(thrown, name).toBe(0); // less room never fits where more did not
            expect(count(text), `${name} in ${budget}`).toBeLessThanOrEqual(budget);
            if (divergence) expect(compactTrace(result, { budget, count, divergence })).toBe(text);
            expect(text).toMatch(/Test Result: (PASS|FAIL)\n$/);
            expect(text.split("\n").at(-3), name).toContain(lastLine);
            if (crash) expect(text, name).toMatch(new RegExp(`\\[L${crash.line}\\] (.* )?EXCEPTION: .*\\(`));
          }
        }
      }
    },
  );

  test.each(["starcoder2", "codellama"])(
    "are within it by a real tokenizer, %s, which the estimate is near",
    (model) => {
      const json = JSON.parse(readFileSync(new URL(`tokenizers/${model}/tokenizer.json`, data), "utf8"));
      const tokenizer = new Tokenizer(json, {});
      const count = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids.length;
      let [estimated, counted] = [0, 0];
      for (const name of ["caught", "generator", "nested", "separators", "propagated"]) {
        for (const budget of [60, 150, 400]) {
          const text = compact(name, budget, { count });
          expect(count(text), `${name} in ${budget}`).toBeLessThanOrEqual(budget);
          estimated += estimateTokens(text);
          counted += count(text);
        }
      }
      expect(estimated / counted).toBeGreaterThan(0.85);
      expect(estimated / counted).toBeLessThan(1.25);
    },
  );

  test("lose no event without saying so", () => {
    for (const [name, { trace }] of Object.entries(results)) {
      if (!trace) continue;
      const told = (text: string) =>
        [...text.matchAll(/… (\d+) events? omitted …/g)].reduce((sum, [, n]) => sum + Number(n), 0);
      expect(told(compact(name)), name).toBe(trace.dropped);
    }
  });
});
