import { describe, expect, test } from "vitest";
import { gigaPerSecond, median, show, table } from "../../bench/units.ts";
import { formatReport, formatSuite, loadNote, parseReport, type Report } from "../../bench/report.ts";

describe("the bench's numbers", () => {
  test("two billion FLOPs in half a second are 4 GFLOP/s", () => {
    expect(gigaPerSecond(2e9, 500_000)).toBe(4);
  });

  test("the median is the middle value in any order, and not a sum or a mean", () => {
    expect(median([9, 1, 100])).toBe(9);
    expect(median([10, 9, 100, 1])).toBe(10);
    expect(median([])).toBeNaN();
  });

  test("numbers are shown with three digits and without exponents", () => {
    const cases = [0, 7, 1234, 0.0012345, 4.5678, 45.678, 99.96, 1234.5, 3456789.5, NaN];
    expect(cases.map(show)).toEqual(["0", "7", "1234", "0.00123", "4.57", "45.7", "100.0", "1230", "3460000", "-"]);
  });

  test("a table's columns line up", () => {
    expect(table([["", "ms"], ["long name", "1"], ["b", "22.5"]])).toBe(
      "             ms\nlong name     1\nb          22.5",
    );
  });
});

describe("reports", () => {
  const report = (ms: number, name = "sft"): Report => ({
    adapter: "some GPU",
    command: "deno task bench step",
    date: "2026-01-01",
    runtime: "Deno",
    cores: 2,
    loadBefore: 0,
    note: "",
    suites: [{ name: "step", workload: "w", rows: [{ name, values: { ms, "tokens/s": 1000 / ms } }] }],
  });

  test("a comparison shows now / before for each figure in both", () => {
    const text = formatSuite(report(5).suites[0], report(10));
    expect(text).toContain("5 (x0.50)");
    expect(text).toContain("200 (x2.00)");
    expect(formatSuite(report(5).suites[0], report(10, "dpo"))).not.toContain("(x");
    expect(formatSuite(report(0).suites[0], report(0))).not.toContain("NaN");
  });

  test("a stored report reads back equal, and a broken one is named with its fault", () => {
    expect(parseReport(formatReport(report(5)), "a.json")).toEqual(report(5));
    expect(formatReport(report(1.23456))).toContain('"ms": 1.235,');
    expect(() => parseReport("{", "a.json")).toThrow(/^Cannot compare with a\.json: not JSON/);
    expect(() => parseReport(`{"adapter":"x"}`, "a.json")).toThrow(
      'Cannot compare with a.json: field "suites" is missing',
    );
  });

  test("a busy machine is called busy", () => {
    expect(loadNote(3, 2)).toContain("was busy");
    expect(loadNote(0.1, 2)).toContain("was quiet");
  });
});
