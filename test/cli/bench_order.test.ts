import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { etalon } from "./command.ts";

let folder: string;
beforeAll(async () => folder = await Deno.makeTempDir({ prefix: "etalon-orders-" }));
afterAll(async () => await Deno.remove(folder, { recursive: true }));

async function bench(...words: string[]) {
  const { code, stdout, stderr } = await etalon("bench-order", "--workers", "1", ...words);
  return { code, stdout, stderr: stderr.replaceAll(folder, "DIR") };
}

test(
  "a handful of micro problems from end to end; what the mutants did is kept, and any order can be asked later",
  async () => {
    const small = ["--micro", "3", "--chains", "3", "--seed", "5", "--runs", `${folder}/runs.jsonl`];
    const first = await bench(...small, "--json");
    expect(first.code, first.stderr).toBe(0);
    const { counts, orders } = JSON.parse(first.stdout);
    expect(counts.problems + Object.keys(counts.dropped).length).toBe(3);
    expect(counts.oneEdit.programs).toBeGreaterThan(5);
    expect(counts.nestedPairs).toBeGreaterThan(5);
    const of = (name: string) => orders.find(({ order }: { order: string }) => order === name);
    for (const { nested, contradictions } of orders) {
      expect(nested.pairs).toBe(counts.nestedPairs);
      expect(nested.agree + nested.disagree + nested.ties + nested.incomparable).toBe(nested.pairs);
      expect(contradictions).toBe(0);
    }
    expect(of("binary").nested.ties).toBe(counts.nestedPairs);
    expect(of("random").nested.ties).toBe(0);
    expect(of("eta").nested.agree).toBeGreaterThanOrEqual(of("frac").nested.agree);
    // No step of the fraction comes from padding, every one of the raw steps does.
    expect(of("frac").worsePreferred.counting).toBe(of("frac").worsePreferred.plain);
    expect(of("steps alone").worsePreferred.counting).toBeGreaterThan(0.9);

    await Deno.writeTextFile(
      `${folder}/mine.ts`,
      "export function compare(a: { outcomes: string[] }, b: { outcomes: string[] }): number {\n" +
        '  const passed = (x: { outcomes: string[] }) => x.outcomes.filter((o) => o === "PASS").length;\n' +
        "  return passed(a) - passed(b);\n}\n",
    );
    const own = { name: "own", components: ["pass", "fraction"] };
    await Deno.writeTextFile(`${folder}/own.json`, JSON.stringify(own));
    const runs = await Deno.readTextFile(`${folder}/runs.jsonl`);
    const second = await bench(...small, "--json", "--order", `${folder}/mine.ts`, `${folder}/own.json`);
    expect(second.code, second.stderr).toBe(0);
    expect(second.stderr).toContain("going on with DIR/runs.jsonl: 3 of 3 problems are done");
    const asked = JSON.parse(second.stdout).orders;
    expect(asked.map(({ order }: { order: string }) => order)).toEqual(["mine.ts", "own"]);
    for (const { nested } of asked) expect(nested).toEqual(of("frac").nested);
    expect(await Deno.readTextFile(`${folder}/runs.jsonl`)).toBe(runs);

    // Ended half way: the rest is made again, the same.
    await Deno.writeTextFile(`${folder}/runs.jsonl`, runs.split("\n").slice(0, 2).join("\n") + '\n{"problem"');
    const resumed = await bench(...small);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(await Deno.readTextFile(`${folder}/runs.jsonl`)).toBe(runs);
    expect(resumed.stdout).toContain("| order ");

    const other = await bench("--micro", "3", "--chains", "3", "--seed", "6", "--runs", `${folder}/runs.jsonl`);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain("error: Cannot go on with DIR/runs.jsonl: ");
  },
  180_000,
);

describe("bad input: one line and a non-zero exit", () => {
  test.each<[string, string, string | null, string]>([
    [
      "an unknown order",
      "best",
      null,
      "Cannot use order best: expected binary, frac, seed-literal, seed-safe, eta, random, or a .json file",
    ],
    ["no module", "none.ts", null, "Cannot read DIR/none.ts: no such file"],
    [
      "a module without compare",
      "other.ts",
      "export const order = 1;",
      "Cannot use DIR/other.ts: it exports order, expected compare(a, b)",
    ],
    ["an order that is no JSON", "bad.json", "{", "Cannot read DIR/bad.json: it is not JSON"],
    [
      "an order of unknown parts",
      "odd.json",
      '{"name": "odd", "components": ["pass", "luck"]}',
      'Cannot use order odd: component "luck" is none of pass, stage,',
    ],
    [
      "a comparator that gives no number",
      "nan.ts",
      "export const compare = () => NaN;",
      "Cannot use order nan.ts: compare() gave NaN, expected a number or null",
    ],
  ])("%s", async (_, name, text, message) => {
    if (text !== null) await Deno.writeTextFile(`${folder}/${name}`, text);
    const word = name.includes(".") ? `${folder}/${name}` : name;
    const { code, stdout, stderr } = await bench("--order", word, "--micro", "2", "--chains", "2");
    expect([code, stdout]).toEqual([1, ""]);
    const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`error: ${message}`);
  });
});
