import { expect, test } from "vitest";
import { pairStats, pairStatsTable } from "../../src/data/pair_stats.ts";
import type { Sample } from "../../src/data/pairs.ts";
import type { Outcome, Stage } from "../../src/trace/schema.ts";

const kinds: Record<string, Outcome> = { P: "PASS", W: "WRONG", E: "EXC", F: "FUEL", K: "KILL" };

function sample(index: number, outcomes: string, extra: Partial<Sample> = {}, stage: Stage = "run"): Sample {
  const passed = stage === "run" && /^P+$/.test(outcomes);
  const tests = [...outcomes].map((letter, test) => ({
    index: test,
    outcome: kinds[letter],
    verdict: "pass" as const,
    source: "",
    steps: 1,
  }));
  const result = {
    id: "x",
    stage,
    verdict: passed ? "pass" as const : "wrong_answer" as const,
    passed,
    tests,
    testsPassed: 0,
    testsTotal: tests.length,
    steps: 5,
    infra: false,
    elapsedMs: 1,
  };
  return { problemId: "p", index, completion: `return ${index}`, tokens: [], finished: true, result, ...extra };
}

const samples = [
  sample(0, "PP"),
  sample(1, "PW"),
  sample(2, "WW"),
  sample(3, "PW"),
  sample(4, "EE"),
  sample(5, "FF"),
  sample(6, "KK"),
  sample(7, "", {}, "load"),
  sample(8, "PP"),
  sample(9, "WW", { problemId: "q" }),
  sample(10, "WW", { problemId: "q" }),
];

test("pairs are counted by how the two end, ties and rules within; two passes are no pair", () => {
  const stats = pairStats(samples, "frac");
  expect(stats).toMatchObject({ order: "frac", prompts: 2, silentPrompts: 1, samples: 11, programs: 11 });
  // Failures of p: three wrong (one test, none, one test), a crash, two stopped, one that does not load.
  expect(stats.strata).toEqual({
    "pass/fail": { pairs: 14, ties: 0, incomparable: 0, byRule: { "pass/fail": 14 } },
    "fail/fail, same class": { pairs: 5, ties: 3, incomparable: 0, byRule: { fraction: 2 } },
    "fail/fail, different class": { pairs: 17, ties: 9, incomparable: 0, byRule: { fraction: 8 } },
  });
  const binary = pairStats(samples, "binary").strata;
  expect([binary["fail/fail, same class"].ties, binary["fail/fail, different class"].ties]).toEqual([5, 17]);
});

test("what cannot be compared is no tie; what is no candidate is counted by cause", () => {
  const agreed = [
    sample(0, "W", { agreement: [1] }),
    sample(1, "W"),
    sample(2, "W", { completion: "return 1 # again" }),
  ];
  const flaky = sample(3, "P");
  flaky.result.flaky = true;
  const { strata, dropped, programs } = pairStats([...agreed, flaky], "eta");
  expect(strata["fail/fail, same class"]).toEqual({ pairs: 1, ties: 0, incomparable: 1, byRule: {} });
  expect([programs, dropped]).toEqual([2, { infra: 0, duplicate: 1, flaky: 1, unfinishedPass: 0 }]);
});

test("the table has a row for each order", () => {
  const orders = (["frac", "binary"] as const).map((order) => ({
    stats: pairStats(samples, order),
    drawn: { "pass/fail": 4, fraction: 0 },
  }));
  const text = pairStatsTable([{ dataset: "toy", orders }]);
  expect(text).toContain("toy: 2 prompts (1 without a pass), 11 samples, 11 different programs.");
  expect(text).toContain("Pairs: 14 pass/fail; 5 of two failures of one class, 17 of two classes.");
  expect(text).toContain("| frac | 60.0 % | 52.9 % | 0.0 % | fraction 100.0 % | pass/fail 4 |");
  expect(text).toContain("| binary | 100.0 % | 100.0 % | 0.0 % | nothing | pass/fail 4 |");
});
