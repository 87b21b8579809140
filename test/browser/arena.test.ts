import { afterAll, describe, expect, test } from "vitest";
import stdlibUrl from "pyodide/python_stdlib.zip?url";
import wasmUrl from "pyodide/pyodide.asm.wasm?url";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { traceText } from "../../src/trace/serialize.ts";
import { spawnWorkerArena } from "../../workers/browser_arena.ts";
import type { ArenaAssets } from "../../workers/messages.ts";

let assets: Promise<ArenaAssets> | undefined;
async function load(): Promise<ArenaAssets> {
  const [wasm, stdlib] = await Promise.all(
    [wasmUrl, stdlibUrl].map(async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer())),
  );
  return { wasm, stdlib };
}
const pool: Pool = createPool(async () => await spawnWorkerArena(await (assets ??= load())));
afterAll(() => pool.close());

describe("the trace engine in a browser tab", () => {
  test("gives the verdict and the same trace text as in Deno", async () => {
    const program = "def divide(a, b):\n  if b == 0:\n    return float('inf')\n  result = a / b\n  return result\n";
    const tests = ["assert divide(10, 0) == float('inf')"];
    const result = await pool.run({
      id: "d",
      program,
      entryPoint: "divide",
      testKind: "assert-list",
      tests,
      trace: "deciding",
    });
    expect(result.infra, result.error?.message).toBe(false);
    expect(traceText("p", program, result)).toContain(
      "[L2] line: a=10, b=0 | Condition (b == 0) is True\n[L3] line: a=10, b=0 | Returning float('inf')\n" +
        "[L3] return: 'inf'\nTest Result: PASS\n",
    );
  });

  test("ends a program that hangs in C code, and the next one runs", async () => {
    const job = (body: string) =>
      pool.run({
        id: "h",
        program: `def f(x):\n  return ${body}\n`,
        entryPoint: "f",
        testKind: "assert-list",
        tests: ["assert f(5) == 5"],
        trace: "none",
        limits: { wallMsPerProgram: 2000 },
      });
    expect((await job("sum(range(10**12))")).verdict).toBe("timeout");
    expect((await job("x")).verdict).toBe("pass");
  });
});
