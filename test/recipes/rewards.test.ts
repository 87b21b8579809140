import { describe, expect, test } from "vitest";
import type { Problem } from "../../src/data/problem.ts";
import type { Outcome, ProgramResult, Verdict } from "../../src/trace/schema.ts";
import {
  type Experience,
  FILLS,
  type Reward,
  rewardOf,
  type RewardOptions,
  REWARDS,
} from "../../src/recipes/rewards.ts";

const verdicts: Record<Outcome, Verdict> = {
  PASS: "pass",
  WRONG: "wrong_answer",
  EXC: "runtime_error",
  FUEL: "step_limit",
  KILL: "timeout",
  SKIP: "pass",
};

/** `outcomes` as letters: P pass, W wrong, E exception, F out of steps; "syntax" and "load" failed before any test. */
function experience(outcomes: string, change: Partial<ProgramResult> & { finished?: boolean; problem?: string } = {}) {
  const { finished = true, problem = "p/1", ...rest } = change;
  const ran = outcomes !== "syntax" && outcomes !== "load";
  const letters: Record<string, Outcome> = { P: "PASS", W: "WRONG", E: "EXC", F: "FUEL" };
  const kinds = ran ? [...outcomes].map((letter) => letters[letter]) : ["SKIP", "SKIP"] as const;
  const failing = kinds.find((outcome) => outcome !== "PASS");
  const verdict = outcomes === "syntax"
    ? "syntax_error"
    : outcomes === "load"
    ? "load_error"
    : verdicts[failing ?? "PASS"];
  const result: ProgramResult = {
    id: problem,
    stage: ran ? "run" : outcomes as "syntax" | "load",
    verdict,
    passed: verdict === "pass",
    tests: kinds.map((outcome, index) => ({ index, outcome, verdict: verdicts[outcome], source: "", steps: 3 })),
    testsPassed: kinds.filter((outcome) => outcome === "PASS").length,
    testsTotal: kinds.length,
    steps: 3,
    infra: false,
    elapsedMs: 1,
    ...rest,
  };
  const sample = {
    problemId: problem,
    index: 0,
    completion: `    return ${outcomes}\n`,
    tokens: [5, 2],
    finished,
    result,
  };
  return { problem: { id: problem } as Problem, sample, trace: "" } satisfies Experience;
}

const rounded = (scores: (number | null)[]) => scores.map((score) => score === null ? null : Number(score.toFixed(6)));
const all = ["PP", "PW", "WW", "EP", "FP", "load", "syntax"];
const scoresOf = async (reward: Reward, cases: readonly Experience[]) => rounded(await reward(cases));

describe("scores of single programs", () => {
  const tables: Record<string, number[]> = {
    binary: [1, 0, 0, 0, 0, 0, 0],
    fraction: [1, 0.5, 0, 0.5, 0.5, 0, 0],
    coderl: [1, -0.3, -0.3, -0.6, -0.6, -1, -1],
    rltf: [1, 0.35, -0.3, -0.6, -0.6, -1, -1],
  };
  for (const [name, wanted] of Object.entries(tables)) {
    test(`${name}: ${wanted.join(", ")}`, async () => {
      const reward = rewardOf(name as keyof typeof tables & typeof REWARDS[number]);
      expect(await scoresOf(reward, all.map((outcomes) => experience(outcomes)))).toEqual(wanted);
    });
  }

  test("a program that passes without an end token is no pass under any of them", async () => {
    const cut = [experience("PPPP", { finished: false }), experience("PPPW")];
    expect(await scoresOf(rewardOf("binary"), cut)).toEqual([0, 0]);
    expect(await scoresOf(rewardOf("fraction"), cut)).toEqual([0.75, 0.75]);
    expect(await scoresOf(rewardOf("coderl"), cut)).toEqual([-0.3, -0.3]);
    expect(await scoresOf(rewardOf("order"), [...cut, experience("PPPP")])).toEqual([0.5, 0, 1]);
  });

  test("what the machinery spoiled, and what answers one way and another, has no score", async () => {
    const spoiled = [experience("PP", { infra: true }), experience("PP", { flaky: true }), experience("PP")];
    for (const name of REWARDS) {
      const reward = rewardOf(name, { score: (batch) => Promise.resolve(batch.map(() => 0.25)) });
      const scores = await reward(spoiled);
      expect(scores.map((score) => score === null), name).toEqual([true, true, false]);
    }
  });
});

describe("scores within a group", () => {
  test("difficulty: a test that everybody passes counts for nothing, one that few pass for much", async () => {
    // Pass rates of the four tests: 1, 1/2, 1/4, 0; weights 0, 1/2, 3/4, 1.
    const group = ["PPWW", "PWPW", "PWWW", "PPWW"].map((outcomes) => experience(outcomes));
    expect(await scoresOf(rewardOf("difficulty"), group)).toEqual(rounded([0.5 / 2.25, 0.75 / 2.25, 0, 0.5 / 2.25]));
  });

  test("order: the mean rank, scaled to [0, 1]; ties share a rank, and groups do not mix", async () => {
    const group = ["PP", "PW", "PW", "WW", "syntax"].map((outcomes) => experience(outcomes));
    const others = ["WW", "WW"].map((outcomes) => experience(outcomes, { problem: "p/2" }));
    const mixed = [others[0], ...group, others[1]];
    const frac = rewardOf("order", { order: "frac" });
    expect(await scoresOf(frac, mixed)).toEqual([0.5, 1, 0.625, 0.625, 0.125, 0.125, 0.5]);
    const eta = rewardOf("order", { order: "eta" }); // tells a wrong answer from a program that does not compile
    expect(await scoresOf(eta, group)).toEqual([1, 0.625, 0.625, 0.25, 0]);
    expect(await scoresOf(frac, [experience("WW")])).toEqual([0.5]);
  });

  test("order eta: the agreement with a passing sample decides between failures; a reference stands in where asked", async () => {
    const valued = (outcomes: string, values: string[]) => {
      const one = experience(outcomes);
      one.sample.result.tests.forEach((t) => t.values = values);
      one.sample.completion = `    return ${values.join("+")}\n`;
      return one;
    };
    const near = valued("W", ["1", "2", "4"]), far = valued("W", ["7", "8", "9"]), right = valued("P", ["1", "2", "3"]);
    expect(await scoresOf(rewardOf("order"), [far, near, right])).toEqual([0, 0.5, 1]);
    expect(await scoresOf(rewardOf("order"), [far, near])).toEqual([0.5, 0.5]);
    const reference = () => Promise.resolve({ code: right.sample.completion, result: right.sample.result });
    expect(await scoresOf(rewardOf("order", { reference }), [far, near])).toEqual([0, 1]);
  });

  test("order random: a coin of the seed between failures, the same for the same program, and passes above them", async () => {
    const group = ["WW", "WP", "PP", "PW", "WW"].map((outcomes) => experience(outcomes));
    const of = (seed: number) => scoresOf(rewardOf("order", { order: "random", seed }), group);
    const scores = await of(1);
    expect(scores[2]).toBe(1);
    expect(scores[0]).toBe(scores[4]);
    expect(new Set(scores).size).toBe(4);
    expect(await of(1)).toEqual(scores);
    expect((await Promise.all([2, 3, 4, 5].map(of))).some((other) => other.join() !== scores.join())).toBe(true);
  });

  test("rm: another score, in one call; clamped, no failing program is above a passing one", async () => {
    const sizes: number[] = [];
    const score: Reward = (batch) => {
      sizes.push(batch.length);
      return Promise.resolve(batch.map((_, i) => 3 - 2 * i));
    };
    const batch = [experience("WW"), experience("PP"), experience("PW", { problem: "p/2" })];
    expect(await scoresOf(rewardOf("rm", { score }), batch)).toEqual([3, 1, -1]);
    expect(await scoresOf(rewardOf("rm", { score, clamp: true }), batch)).toEqual([0.9, 1, -1]);
    expect(sizes).toEqual([3, 3]);
  });
});

describe("fill", () => {
  const silent = (problem: string) => ["WP", "WW"].map((outcomes) => experience(outcomes, { problem }));
  const loud = (problem: string) => ["WP", "PP"].map((outcomes) => experience(outcomes, { problem }));
  const batchOf = (silents: number, louds: number) =>
    [
      ...Array.from({ length: silents }, (_, i) => silent(`s/${i}`)),
      ...Array.from({ length: louds }, (_, i) => loud(`l/${i}`)),
    ].flat();

  test("never: grades stand everywhere; always: only in groups without a pass", async () => {
    const batch = [...silent("a"), ...loud("b")];
    const of = (options: RewardOptions) => scoresOf(rewardOf("fraction", options), batch);
    expect(await of({ fill: "never" })).toEqual([0.5, 0, 0.5, 1]);
    expect(await of({ fill: "always" })).toEqual([0.5, 0, 0, 1]);
  });

  test("auto: only while more than 0.6 of the groups are without a pass", async () => {
    const reward = rewardOf("fraction", { fill: "auto" });
    expect((await reward(batchOf(7, 3)))[0]).toBe(0.5); // 0.7 of all so far
    expect((await reward(batchOf(4, 6)))[0]).toBe(0); // 0.55 of all so far
    for (let i = 0; i < 30; i++) await reward(batchOf(10, 0));
    expect((await reward(batchOf(1, 0)))[0]).toBe(0.5);
    expect((await reward([...loud("b")]))[0]).toBe(0); // never in a group with a pass
  });

  test("what it has seen outlives a restart: the same scores as without one", async () => {
    const reward = rewardOf("fraction", { fill: "auto" });
    await reward(batchOf(5, 3));
    const carried = JSON.parse(JSON.stringify(reward.carried!()));
    const other = rewardOf("fraction", { fill: "auto" });
    other.restore!(carried);
    expect(other.carried!()).toEqual(carried);
    const next = batchOf(2, 1);
    expect(await other(next)).toEqual(await reward(next));
    expect(await rewardOf("fraction", { fill: "auto" })(batchOf(1, 1))).not.toEqual(await other(batchOf(1, 1)));
    other.restore!();
    expect(other.carried!()).toEqual(rewardOf("fraction", { fill: "auto" }).carried!());
  });

  test("groups that the machinery spoiled are not counted", async () => {
    const reward = rewardOf("fraction", { fill: "auto" });
    await reward([experience("WW", { infra: true }), experience("WW", { infra: true })]);
    expect(reward.carried!()).toEqual(rewardOf("fraction", { fill: "auto" }).carried!());
  });

  test("what cannot be is an error", () => {
    for (const fill of FILLS.filter((each) => each !== "never")) {
      expect(() => rewardOf("binary", { fill })).toThrow("Cannot fill with the reward binary: it has no grades");
      expect(() => rewardOf("coderl", { fill })).toThrow("its grades are not within 0 and 1");
    }
    expect(() => rewardOf("rm")).toThrow("Cannot reward by rm: there is no score");
  });
});

test("a reward says what it reads: verdicts alone need no trace", () => {
  const reads = REWARDS.map((name) => {
    const score = Object.assign(() => Promise.resolve([]), { outcomeLine: false });
    const reward = rewardOf(name, { score });
    return [name, reward.reads ?? "traces", reward.outcomeLine ?? true];
  });
  expect(reads.filter(([, what]) => what !== "verdicts")).toEqual([["order", "streams", false], [
    "rm",
    "traces",
    false,
  ]]);
});
