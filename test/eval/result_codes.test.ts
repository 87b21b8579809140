import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { fromApps, fromEvalPlus, fromHumanEval, toApps, toEvalPlus, toHumanEval } from "../../src/eval/result_codes.ts";
import { measuredClass, resultClass } from "../../src/eval/measured.ts";
import { denoHost } from "../../src/host/deno.ts";
import { createPool } from "../../src/trace/pool.ts";
import type { ProgramJob, ProgramResult, Verdict } from "../../src/trace/schema.ts";

// Made by native CPython under the harnesses' rules: test/golden/harness_results.py.
const golden = JSON.parse(readFileSync(new URL("../golden/harness_results.json", import.meta.url), "utf8"));
const host = denoHost();
const pool = createPool(() => host.spawnArena(), { limits: { stepsPerTest: 50_000 } });
afterAll(() => pool.close());

const infra = { passed: false, verdict: "harness_error", infra: true, tests: [] } as unknown as ProgramResult;
const verdictOnly = (verdict: Verdict) =>
  ({ stage: "run", passed: false, verdict, infra: false, tests: [] }) as unknown as ProgramResult;

function job(program: string, more: Partial<ProgramJob>): ProgramJob {
  return { id: "f", program, entryPoint: "f", testKind: "call-json", tests: [], trace: "none", ...more };
}

describe("our results in the harnesses' words are what the harnesses say", () => {
  test.each<{ name: string; program: string; human_eval: string; apps: unknown; eval_plus: unknown }>(golden.call)(
    "$name",
    async ({ name, program, human_eval, apps, eval_plus }) => {
      const checked = await pool.run(job(program, { testKind: "humaneval-check", tests: [golden.check] }));
      expect(toHumanEval(checked)).toEqual({ passed: human_eval === "passed", result: human_eval });
      const tests = golden.inputs.map((x: number, i: number) => ({ args: [x], expected: golden.outputs[i] }));
      const called = await pool.run(job(program, { tests }));
      expect(toEvalPlus(called)).toEqual(eval_plus);
      if (apps !== null) expect(toApps(called)).toEqual(apps);
      else expect(toApps(called), "no list there; every test failed here").toEqual([-1, -1, -1]);

      const back = fromHumanEval(human_eval, { entryPoint: "f", test: golden.check });
      expect(back.passed).toBe(checked.passed);
      // What the text cannot tell apart, and nothing else.
      const told: Record<string, Verdict> = {
        "assertion of its own": "runtime_error",
        "fails at loading": "runtime_error",
        exit: "runtime_error",
        dies: "timeout",
        loop: "timeout",
        "loop on the third": "timeout",
      };
      expect(back.verdict).toBe(told[name] ?? checked.verdict);
      if (checked.verdict === "syntax_error") expect(back.line).toBe(checked.error?.line);
    },
  );

  test.each<{ name: string; program: string; apps: unknown }>(golden.stdio)(
    "stdin: $name",
    async ({ program, apps }) => {
      const tests = golden.inputs.map((x: number, i: number) => ({
        stdin: `${x}\n`,
        stdout: `${golden.outputs[i]}\n`,
      }));
      expect(toApps(await pool.run(job(program, { testKind: "stdio", entryPoint: "", tests })))).toEqual(apps);
    },
  );

  test("the failure of our own machinery has no word", () => {
    expect([toHumanEval(infra), toApps(infra), toEvalPlus(infra)]).toEqual([null, null, null]);
  });
});

describe("the harnesses' results in our words", () => {
  test("human-eval: an assertion's text is known from the test code", () => {
    const text = "This prints if this assert fails 1 (good for debugging!)";
    expect(fromHumanEval(`failed: ${text}`, { test: `assert candidate(1) == 2, "${text}"` }).verdict).toBe(
      "wrong_answer",
    );
    expect(fromHumanEval(`failed: ${text}`).verdict).toBe("runtime_error");
    expect(fromHumanEval("failed: name 'x' is not defined", { entryPoint: "f" })).toEqual(
      { passed: false, verdict: "runtime_error", message: "name 'x' is not defined" },
    );
    expect(() => fromHumanEval("ok")).toThrow('Cannot read "ok": human-eval says passed, timed out or failed: ...');
  });

  test("APPS: codes as booleans or as numbers, back and forth", () => {
    expect(fromApps([true, 1])).toEqual({ passed: true, verdict: "pass", outcomes: ["PASS", "PASS"] });
    expect(fromApps([true, -1, false])).toEqual(
      { passed: false, verdict: "runtime_error", outcomes: ["PASS", "EXC", "WRONG"] },
    );
    expect(fromApps([0, -1]).verdict).toBe("wrong_answer");
    expect(fromApps([-2])).toEqual({ passed: false, verdict: "syntax_error", outcomes: [] });
    expect(() => fromApps([])).toThrow("APPS gives at least one code");
    expect(() => fromApps([true, -2])).toThrow("-2 (alone)");
  });

  test("EvalPlus: the status counts, the details tell which inputs", () => {
    expect(fromEvalPlus("fail", [true, 0])).toEqual(
      { passed: false, verdict: "wrong_answer", outcomes: ["PASS", "WRONG"] },
    );
    expect(fromEvalPlus("pass")).toEqual({ passed: true, verdict: "pass" });
    expect(fromEvalPlus("timeout").verdict).toBe("timeout");
    expect(() => fromEvalPlus("failed" as "fail")).toThrow('Cannot read "failed"');
  });
});

test("classes of measured results and of ours meet", () => {
  const measured = ["pass", "assert", "wrong-output", "exc:json.decoder.JSONDecodeError", "syntax:IndentationError"];
  expect(measured.map(measuredClass)).toEqual(["pass", "assert", "assert", "exc:JSONDecodeError", "syntax"]);
  const verdicts: Verdict[] = ["pass", "wrong_answer", "missing_entry", "step_limit", "exit", "memory_limit", "crash"];
  expect(verdicts.map((verdict) => resultClass(verdictOnly(verdict)))).toEqual(
    ["pass", "assert", "exc:NameError", "timeout", "exc:SystemExit", "exc:MemoryError", "killed"],
  );
  const raised = (type: string) =>
    resultClass({ ...verdictOnly("runtime_error"), error: { type, message: "", line: null } });
  expect([raised("json.decoder.JSONDecodeError"), raised("AssertionError")]).toEqual(["exc:JSONDecodeError", "assert"]);
});
