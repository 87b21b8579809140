import { describe, expect, test } from "vitest";
import { traceText } from "../../src/trace/serialize.ts";
import { spawnWorkerArena } from "../../workers/browser_arena.ts";
import { arenaAssets, browserPool } from "./pool.ts";

const pool = browserPool();

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

  test("boots the next interpreter from the first one's image, and a busy one can be ended", async () => {
    const assets = await arenaAssets();
    expect(assets.image?.length, "left by the tests before").toBeGreaterThan(20_000_000);
    const arena = await spawnWorkerArena(assets);
    const script = { kind: "script", source: "def main(x): return sum(range(x))", input: 10 ** 12 } as const;
    const busy = expect(arena.request(script, 60_000)).rejects.toThrow("ended");
    arena.kill();
    await busy;
    expect(arena.alive).toBe(false);
    await expect(arena.request(script, 60_000)).rejects.toThrow("has ended");
  });
});
