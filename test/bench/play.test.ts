import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { climb, relativeDifference } from "../../bench/play/climb.ts";
import { ops } from "../../bench/play/mod.ts";
import type { Version } from "../../bench/play/op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

describe("ladders", () => {
  test.each(Object.keys(ops))("all versions of %s agree at odd sizes and are timed", async (name) => {
    const rungs = await climb(gpu, ops[name].at("tiny"), 1);
    expect(rungs.length).toBeGreaterThan(1);
    for (const rung of rungs) {
      expect(rung.difference).toBeLessThan(1e-5);
      expect(rung.microseconds).toBeGreaterThan(0);
    }
    expect(rungs.at(-1)!.difference).toBe(0);
  });

  test("a version that computes something else is refused by name", async () => {
    const ladder = ops.matmul.at("tiny");
    const [naive] = ladder.versions;
    const wrong: Version = {
      name: "a times a",
      record: (plan, [a, b]) => naive.record(plan, [a, { ...a, shape: b.shape }]),
    };
    await expect(climb(gpu, { ...ladder, versions: [wrong, naive] }, 0)).rejects.toThrow(
      /^Version "a times a" is wrong/,
    );
  });

  test("a difference is relative to the largest output, and NaN never passes for small", () => {
    expect(relativeDifference(Float32Array.of(1, -4), Float32Array.of(1.5, -4))).toBe(0.125);
    expect(relativeDifference(Float32Array.of(NaN, 1), Float32Array.of(1, 1))).toBeNaN();
    expect(relativeDifference(Float32Array.of(1), Float32Array.of(1, 1))).toBeNaN();
  });
});

describe("the commands", () => {
  const ask = async (...args: string[]) => {
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", ...args] });
    const { code, stdout, stderr } = await command.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { code, out: text(stdout), error: text(stderr) };
  };

  test("play without an op lists the ops", async () => {
    const { code, out } = await ask("bench/play.ts");
    expect(code).toBe(0);
    const listed = out.split("\n").map((line) => line.split(" ")[0]);
    expect(listed.slice(0, 2)).toEqual(Object.keys(ops));
    expect(listed).toContain("attention_forward");
    expect(listed).toContain("matmul_tn");
  });

  test.each([
    [["bench/play.ts", "convolution"], /'convolution' is invalid.*attention, matmul/],
    [["bench/play.ts", "matmul", "--fast"], /unknown option '--fast'/],
    [["bench/play.ts", "matmul", "--rounds", "0"], /--rounds is 0/],
    [["bench/mod.ts", "speed"], /'speed' is invalid.*kernels, step, .*trace, peers, all/],
    [["bench/mod.ts", "--warp"], /unknown option '--warp'/],
    [["bench/mod.ts", "step", "--compare", "no/such.json"], /Cannot read no\/such\.json/],
  ])("%s ends with one clear line", async (args, line) => {
    const { code, out, error } = await ask(...args);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(error.split("\n")).toHaveLength(1);
    expect(error).toMatch(line);
  });
});
