import { expect, test } from "vitest";
import { groupAgreement } from "../../src/trace/agreement.ts";
import { judgement } from "../../src/trace/heuristics.ts";
import type { ProgramResult } from "../../src/trace/schema.ts";
import { hash53, shortResult } from "../../src/trace/short_result.ts";

const result = (values: string[][], passed: boolean): ProgramResult => ({
  id: "x",
  stage: "run",
  verdict: passed ? "pass" : "wrong_answer",
  passed,
  tests: values.map((stream, index) => ({
    index,
    outcome: passed || index === 0 ? "PASS" : "WRONG",
    verdict: "pass",
    source: "f(1)",
    expected: "2",
    actual: "3",
    steps: stream.length,
    values: stream,
  })),
  testsPassed: 1,
  testsTotal: values.length,
  steps: 4,
  infra: false,
  elapsedMs: 1,
});

test("a short result gives the same judgement and the same agreement as the whole one", () => {
  const long = (n: number) => `[${Array.from({ length: 20 }, (_, i) => i * n).join(", ")}]`;
  const right = result([["1", long(3), "R:1"], [long(4), "2", "R:'quite a long text'"]], true);
  const wrong = result([["1", long(3), "R:2"], [long(5), "2", "R:'quite a long text'"]], false);
  const short = shortResult(wrong);
  expect(judgement(short)).toEqual(judgement(wrong));
  const agreements = (of: (whole: ProgramResult) => ProgramResult) =>
    groupAgreement([{ code: "a", result: of(right) }, { code: "b", result: of(wrong) }]);
  expect(agreements(shortResult)).toEqual(agreements((whole) => whole));
  expect(agreements(shortResult)[1]![0]).toBeCloseTo(2 / 3, 12);
  expect(short.tests.every(({ source, values }) => source === "" && values!.every((value) => value.length <= 12))).toBe(
    true,
  );
  expect(JSON.stringify(short)).not.toContain("expected");
});

test("hashes fill 53 bits and differ by text and seed", () => {
  const hashes = Array.from({ length: 20_000 }, (_, i) => hash53(`value ${i}`));
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(hashes.every((hash) => Number.isSafeInteger(hash) && hash >= 0)).toBe(true);
  for (let bit = 0; bit < 53; bit++) {
    const set = hashes.filter((hash) => Math.floor(hash / 2 ** bit) % 2 === 1).length;
    expect(Math.abs(set / hashes.length - 0.5)).toBeLessThan(0.02);
  }
  expect(hashes.filter((hash, i) => hash === hash53(`value ${i}`, 1))).toEqual([]);
});
