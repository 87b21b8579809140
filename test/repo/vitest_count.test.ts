import { describe, expect, test } from "vitest";
import { countVitest } from "../../tools/vitest_count.ts";

const file = (status: string, ...states: string[]) => ({
  name: "a.test.ts",
  status,
  message: "",
  assertionResults: states.map((state) => ({ status: state })),
});
const numbers = (...args: Parameters<typeof countVitest>) => {
  const { passed, failed, skipped } = countVitest(...args);
  return { passed, failed, skipped };
};

describe("the count of a vitest run", () => {
  test("adds up passed and failed tests", () => {
    const report = { testResults: [file("passed", "passed", "passed"), file("failed", "passed", "failed", "failed")] };
    expect(numbers(report, 1)).toEqual({ passed: 3, failed: 2, skipped: 0 });
  });

  test("takes tests of a failed file that never ran for failures, and those of a passed file for skipped", () => {
    const report = { testResults: [file("failed", "pending", "skipped"), file("passed", "passed", "pending", "todo")] };
    expect(numbers(report, 1)).toEqual({ passed: 1, failed: 2, skipped: 2 });
  });

  test("counts a file that did not load as one failure and says which", () => {
    const { failed, reasons } = countVitest({ testResults: [file("failed"), file("passed", "passed")] }, 1);
    expect(failed).toBe(1);
    expect(reasons[0]).toContain("a.test.ts failed");
  });

  test("counts a failing exit code with nothing failed as one failure", () => {
    expect(numbers({ testResults: [file("passed", "passed")] }, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test("counts a run of nothing, and a run without a report, as one failure", () => {
    expect(numbers({ testResults: [] }, 0).failed).toBe(1);
    expect(numbers({ testResults: [file("passed", "skipped")] }, 0).failed).toBe(1);
    expect(numbers(null, 0).failed).toBe(1);
    expect(numbers(null, 137).failed).toBe(1);
  });
});
