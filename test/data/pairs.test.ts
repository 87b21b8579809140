import { describe, expect, test } from "vitest";
import { feedbackTest, makePairs, type PairReason, type Sample, smoothingOf } from "../../src/data/pairs.ts";
import { type OrderName, orders } from "../../src/trace/heuristics.ts";
import type { Outcome, Stage } from "../../src/trace/schema.ts";

interface Shape {
  code?: string;
  stage?: Stage;
  steps?: number;
  finished?: boolean;
  agreement?: number[] | null;
  infra?: boolean;
  problemId?: string;
  programKey?: string;
  count?: number;
}

/** `PW` is a program that passes its first test and gets the second wrong; E crash, F out of fuel, - not run. */
function sample(index: number, outcomes: string, shape: Shape = {}): Sample {
  const kinds: Record<string, Outcome> = { P: "PASS", W: "WRONG", E: "EXC", F: "FUEL", "-": "SKIP" };
  const stage = shape.stage ?? "run";
  const tests = [...outcomes].map((letter, test) => ({
    index: test,
    outcome: kinds[letter],
    verdict: letter === "P" ? "pass" as const : "wrong_answer" as const,
    source: `f(${test})`,
    steps: 1,
  }));
  const passed = stage === "run" && /^P+$/.test(outcomes);
  return {
    problemId: shape.problemId ?? "p",
    index,
    completion: shape.code ?? `return ${index}`,
    tokens: [index],
    finished: shape.finished ?? true,
    agreement: shape.agreement ?? null,
    programKey: shape.programKey,
    count: shape.count,
    result: {
      id: `${index}`,
      stage,
      verdict: passed ? "pass" : "wrong_answer",
      passed,
      tests,
      testsPassed: tests.filter((t) => t.outcome === "PASS").length,
      testsTotal: tests.length,
      steps: shape.steps ?? 5,
      infra: shape.infra ?? false,
      elapsedMs: 1,
    },
  };
}

const edges = (samples: Sample[], order: OrderName = "eta", options = {}) =>
  makePairs(samples, order, options).pairs.map(({ chosen, rejected, reason }) => `${chosen}>${rejected} ${reason}`);

describe("pass/fail first, fail/fail only as fill", () => {
  test("with a passing sample, failing ones are paired with it and not with each other", () => {
    const samples = [sample(0, "PW"), sample(1, "PP"), sample(2, "WW")];
    expect(edges(samples)).toEqual(["1>0 pass/fail", "1>2 pass/fail"]);
    expect(makePairs(samples, "eta").counts).toMatchObject({ compared: 2, promptsWithPair: 1, ties: 0 });
  });

  test("without one, the order decides between failing samples, and its ties are counted", () => {
    const samples = [sample(0, "PW"), sample(1, "WW"), sample(2, "WW"), sample(3, "--", { stage: "load" })];
    expect(edges(samples)).toEqual(["0>3 stage", "1>3 stage", "2>3 stage", "0>1 fraction"]);
    const { counts } = makePairs(samples, "eta");
    expect(counts).toMatchObject({ compared: 6, ties: 1, byReason: { stage: 3, fraction: 1 } });
    expect(edges(samples, "binary")).toEqual([]);
    expect(makePairs(samples, "binary").counts).toMatchObject({ compared: 6, ties: 6, promptsWithPair: 0, prompts: 1 });
  });

  test("`never` and `always` switch fill off and lift its restriction", () => {
    const failing = [sample(0, "PW"), sample(1, "WW")];
    expect(edges(failing, "eta", { failFail: "never" })).toEqual([]);
    const mixed = [...failing, sample(2, "PP")];
    expect(edges(mixed, "eta", { failFail: "always" })).toEqual(["2>0 pass/fail", "2>1 pass/fail", "0>1 fraction"]);
  });

  test("every component of the orders has its reason and margin", () => {
    const cases: [Sample, Sample, OrderName, string, number][] = [
      [sample(0, "PP"), sample(1, "WW"), "eta", "pass/fail", 1],
      [sample(0, "WW"), sample(1, "--", { stage: "syntax" }), "eta", "stage", 0.5],
      [sample(0, "WW"), sample(1, "--", { stage: "syntax" }), "seed-literal", "stage", 0.5],
      [sample(0, "PPPW"), sample(1, "PWWW"), "eta", "fraction", 0.125],
      [sample(0, "W", { agreement: [0.9] }), sample(1, "W", { agreement: [0.2] }), "eta", "agreement", 0.1],
      [sample(0, "WW"), sample(1, "EE"), "eta", "severity", 0.1],
      [sample(0, "EE"), sample(1, "FF"), "seed-safe", "severity", 0.1],
      [sample(0, "EE", { steps: 9 }), sample(1, "EE"), "seed-safe", "steps", 0.1],
      [sample(0, "WW", { steps: 9 }), sample(1, "EE"), "seed-literal", "steps", 0.1],
    ];
    for (const [better, worse, order, reason, margin] of cases) {
      expect(makePairs([worse, better], order).pairs).toEqual([
        { problemId: "p", chosen: 0, rejected: 1, reason, margin: expect.closeTo(margin, 12) },
      ]);
    }
  });

  test("one-sided agreement is not comparable and counted so", () => {
    const { pairs, counts } = makePairs([sample(0, "W", { agreement: [1] }), sample(1, "W")], "eta");
    expect([pairs.length, counts.incomparable, counts.ties]).toEqual([0, 1, 0]);
  });
});

describe("other policies for pairs of two failures", () => {
  const silent = (problemId: string) => [sample(0, "PW", { problemId }), sample(1, "WW", { problemId })];
  const loud = (problemId: string) => [...silent(problemId), sample(2, "PP", { problemId })];
  const prompts = (quiet: number, open: number) =>
    [
      ...Array.from({ length: quiet }, (_, i) => silent(`quiet ${i}`)),
      ...Array.from({ length: open }, (_, i) => loud(`open ${i}`)),
    ].flat();
  const reasons = (samples: Sample[], failFail: "auto" | "capped" | "fill") =>
    makePairs(samples, "eta", { failFail }).counts.byReason;

  test("`auto` fills if nothing passes on more than 60 % of the prompts, and else never", () => {
    expect(reasons(prompts(6, 4), "auto")).toMatchObject({ "pass/fail": 8, fraction: 0 }); // 0.6 is not more
    expect(reasons(prompts(7, 4), "auto")).toMatchObject({ "pass/fail": 8, fraction: 7 });
    expect(makePairs(prompts(7, 4), "eta").counts).toMatchObject({ prompts: 11, silentPrompts: 7 });
  });

  test("`capped` draws them anywhere, up to 30 % of all pairs, silent prompts first", () => {
    // 14 certain pairs leave room for 6: of 20 pairs, 6 are 30 %
    const { pairs, counts } = makePairs(prompts(4, 7), "eta", { failFail: "capped" });
    expect(counts.byReason).toMatchObject({ "pass/fail": 14, fraction: 6 });
    const filled = pairs.filter(({ reason }) => reason === "fraction").map(({ problemId }) => problemId);
    expect(filled).toEqual(["quiet 0", "quiet 1", "quiet 2", "quiet 3", "open 0", "open 1"]);
    expect(reasons(prompts(4, 6), "capped")).toMatchObject({ "pass/fail": 12, fraction: 5 });
    expect(reasons(prompts(4, 0), "capped")).toMatchObject({ "pass/fail": 0, fraction: 0 }); // 30 % of nothing
    expect(counts.promptsWithPair).toBe(11);
  });

  test("`capped` takes the first pair of every prompt before the second of any", () => {
    const many = (problemId: string) =>
      ["PPPW", "PPWW", "PWWW", "WWWW"].map((outcomes, index) => sample(index, outcomes, { problemId }));
    const pass = Array.from({ length: 7 }, (_, i) => loud(`open ${i}`)).flat(); // 14 certain pairs, room for 6
    const { pairs } = makePairs([...many("a"), ...many("b"), ...many("c"), ...many("d"), ...pass], "eta", {
      failFail: "capped",
    });
    const filled = pairs.filter(({ reason }) => reason === "fraction").map(({ problemId }) => problemId);
    expect(filled).toEqual(["a", "a", "b", "b", "c", "d"]);
  });
});

describe("the control", () => {
  const failing = (count: number) => Array.from({ length: count }, (_, i) => sample(i, "WW"));

  test("`random` orders failures by the seed alone, and leaves passes where they are", () => {
    const drawn = (seed: number) => edges(failing(30), "random", { seed, maxPairsPerPrompt: 20 });
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
    expect(drawn(1).every((edge) => edge.endsWith("random"))).toBe(true);
    const { counts } = makePairs(failing(30), "random");
    expect([counts.ties, counts.incomparable]).toEqual([0, 0]);
    expect(edges([sample(0, "WW"), sample(1, "PP")], "random")).toEqual(["1>0 pass/fail"]);
    expect(makePairs(failing(2), "random").pairs[0].margin).toBe(0.1);
  });
});

describe("label smoothing by rule", () => {
  test("is there only when asked for, and is what the rule's precision leaves", () => {
    const samples = [sample(0, "WW"), sample(1, "--", { stage: "load" }), sample(2, "PW")];
    expect(makePairs(samples, "eta").pairs.every((pair) => !("labelSmoothing" in pair))).toBe(true);
    const { pairs } = makePairs(samples, "eta", { calibrated: true });
    expect(pairs.map(({ reason, labelSmoothing }) => [reason, labelSmoothing])).toEqual([
      ["stage", 0.1],
      ["stage", 0.1],
      ["fraction", 0.1],
    ]);
    expect(makePairs([sample(0, "PP"), sample(1, "WW")], "eta", { calibrated: true }).pairs[0].labelSmoothing).toBe(0);
  });

  test("has the published precisions of fraction, agreement, severity and steps", () => {
    const published: [PairReason, number][] = [["fraction", 0.901], ["agreement", 0.926], ["severity", 0.735], [
      "steps",
      0.812,
    ]];
    for (const [reason, precision] of published) expect(smoothingOf[reason]).toBeCloseTo(1 - precision, 1.9);
    expect(Object.values(smoothingOf).every((epsilon) => epsilon >= 0 && epsilon < 0.5)).toBe(true);
  });
});

describe("weighted tests", () => {
  test("a test that most pass counts less, also by how often a sample was drawn", () => {
    // all but one sample pass the first test: the second is worth more
    const samples = [sample(0, "PW", { count: 8 }), sample(1, "WP"), sample(2, "PW"), sample(3, "WW")];
    expect(edges(samples, "frac", { maxPairsPerPrompt: 9 })).not.toContain("1>0 fraction");
    const weighed = makePairs(samples, "frac", { weightTests: true, maxPairsPerPrompt: 9 });
    expect(weighed.pairs.map(({ chosen, rejected }) => `${chosen}>${rejected}`)).toContain("1>0");
    // passed by 9 and by 1 of 11 drawn: weights 2/11 and 10/11, so the gap is 8/12
    const gap = weighed.pairs.find(({ chosen, rejected }) => chosen === 1 && rejected === 0)!.margin;
    expect(gap).toBeCloseTo(0.25 * 8 / 12, 12);
  });
});

describe("which samples may be in a pair", () => {
  test("samples of one key are one program, whatever their text; other keys are others", () => {
    const keyed = [
      sample(0, "PP", { code: "return a + b", programKey: "x" }),
      sample(1, "PP", { code: "c = a + b\nreturn c", programKey: "x" }),
      sample(2, "WW", { code: "return a - b", programKey: "y" }),
      sample(3, "WW", { code: "return a - b", programKey: "z" }),
    ];
    expect(edges(keyed)).toEqual(["0>2 pass/fail", "0>3 pass/fail"]);
    expect(makePairs(keyed, "eta").counts.dropped.duplicate).toBe(1);
  });

  test("an unfinished completion never wins, though it may lose", () => {
    expect(edges([sample(0, "PP", { finished: false }), sample(1, "WW")])).toEqual([]);
    expect(edges([sample(0, "PP"), sample(1, "WW", { finished: false })])).toEqual(["0>1 pass/fail"]);
    const { counts } = makePairs([sample(0, "PW", { finished: false }), sample(1, "WW")], "eta");
    expect(counts).toMatchObject({ unfinishedWinner: 1, compared: 1 });
  });

  test("a pass that never stopped does not keep the failing samples from being paired", () => {
    const samples = [sample(0, "PP", { finished: false }), sample(1, "PW"), sample(2, "WW")];
    expect(edges(samples)).toEqual(["1>2 fraction"]);
    expect(makePairs(samples, "eta").counts.dropped.unfinishedPass).toBe(1);
  });

  test("runs the machinery spoiled are left out", () => {
    const { pairs, counts } = makePairs([sample(0, "PP"), sample(1, "WW", { infra: true })], "eta");
    expect([pairs.length, counts.dropped.infra]).toEqual([0, 1]);
  });

  test("the same program in another dress counts once, the finished copy is kept", () => {
    const samples = [
      sample(0, "PP", { code: "return a+b", finished: false }),
      sample(1, "PP", { code: "return a + b  # sum" }),
      sample(2, "WW", { code: "return a - b" }),
      sample(3, "WW", { code: "return a-b" }),
    ];
    expect(edges(samples)).toEqual(["1>2 pass/fail"]);
    expect(makePairs(samples, "eta").counts.dropped.duplicate).toBe(2);
  });

  test("a program that passed once and failed once is flaky and left out", () => {
    const samples = [sample(0, "PP", { code: "x" }), sample(1, "WW", { code: "x" }), sample(2, "WW"), sample(3, "PP")];
    expect(edges(samples)).toEqual(["3>2 pass/fail"]);
    expect(makePairs(samples, "eta").counts.dropped).toMatchObject({ flaky: 2, duplicate: 0 });
  });
});

describe("which pairs are taken", () => {
  test("at most four a prompt by default, each loser once before any twice", () => {
    const samples = [sample(0, "PP"), ...[1, 2, 3, 4, 5, 6].map((index) => sample(index, "WW"))];
    const losers = makePairs(samples, "eta").pairs.map((pair) => pair.rejected);
    expect(losers.length).toBe(4);
    expect(new Set(losers).size).toBe(4);
    expect(edges(samples, "eta", { maxPairsPerPrompt: 1 }).length).toBe(1);
  });

  test("the nearest texts come first, and winners take turns", () => {
    const samples = [
      sample(0, "PP", { code: "for x in y:\n    total += x\nreturn total" }),
      sample(1, "PP", { code: "return sum(y)" }),
      sample(2, "WW", { code: "return sum(z)" }),
      sample(3, "WW", { code: "for x in y:\n    total -= x\nreturn total" }),
    ];
    expect(edges(samples, "eta", { maxPairsPerPrompt: 2 })).toEqual(["0>3 pass/fail", "1>2 pass/fail"]);
  });

  test("the samples' order does not matter, prompts come in order of appearance", () => {
    const samples = ["a", "b"].flatMap((problemId) =>
      [0, 1, 2, 3, 4, 5].map((index) => sample(index, ["PP", "PW", "WW", "EE", "WP", "FF"][index], { problemId }))
    );
    const forward = makePairs(samples, "eta");
    const turned = makePairs([...samples].reverse(), "eta");
    expect(forward.pairs.length).toBeGreaterThan(4);
    expect(turned.pairs.filter((pair) => pair.problemId === "a")).toEqual(
      forward.pairs.filter((pair) => pair.problemId === "a"),
    );
    expect(turned.counts).toEqual(forward.counts);
    expect(turned.pairs[0].problemId).toBe("b");
  });

  test("no pair is drawn twice or both ways, and every pair is one the order decides", () => {
    for (const order of Object.keys(orders) as OrderName[]) {
      const samples = ["PW", "WP", "EE", "FF", "WW", "EW", "PE", "FP"].map((outcomes, i) =>
        sample(i, outcomes, { steps: i * 3 % 5, agreement: [i / 10, (7 - i) / 10] })
      );
      const { pairs } = makePairs(samples, order, { maxPairsPerPrompt: 100 });
      const drawn = new Set(pairs.map((pair) => [pair.chosen, pair.rejected].sort().join()));
      expect(drawn.size).toBe(pairs.length);
      expect(pairs.length > 0).toBe(order !== "binary");
    }
  });
});

test("the feedback test is the first the loser fails and the winner passes, else the first it fails", () => {
  const result = (outcomes: string) => sample(0, outcomes).result;
  expect(feedbackTest(result("WPP"), result("WWP"))).toBe(1);
  expect(feedbackTest(result("PPP"), result("WWP"))).toBe(0);
  expect(feedbackTest(result("WWP"), result("EEW"))).toBe(2);
  expect(feedbackTest(result("WWW"), result("PEW"))).toBe(1);
  expect(feedbackTest(result("PP"), result("PP"))).toBe(null);
});
