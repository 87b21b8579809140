import { describe, expect, test } from "vitest";
import {
  compare,
  type ComponentName,
  decidedBy,
  type Judgement,
  judgement,
  type Order,
  type OrderName,
  orderOf,
  orders,
  parseOrder,
  seededRank,
  testWeights,
} from "../../src/trace/heuristics.ts";
import type { Outcome, ProgramResult, Stage } from "../../src/trace/schema.ts";

const names = Object.keys(orders) as OrderName[];
/** The coin is no matter of records, and so has no reference cases. */
const judging = names.filter((name): name is Exclude<OrderName, "random"> => name !== "random");

interface GoldenRecord {
  stage: Stage;
  tests: Outcome[];
  steps: number;
  div: number[] | null;
  infra?: boolean;
}

interface GoldenCase {
  name: string;
  a: GoldenRecord;
  b: GoldenRecord;
  expect: Record<Exclude<OrderName, "random">, 1 | -1 | 0 | null>;
}

const golden: GoldenCase[] = JSON.parse(Deno.readTextFileSync("test/golden/order_cases.json"));

const fromGolden = ({ stage, tests, steps, div, infra }: GoldenRecord): Judgement => ({
  stage,
  outcomes: tests,
  steps,
  agreement: div,
  infra: infra ?? false,
});

describe("the reference cases", () => {
  test("are all here, with an answer for each of the five orders", () => {
    expect(golden.length).toBe(12);
    expect(Object.keys(golden[0].expect).sort()).toEqual([...judging].sort());
  });

  test.each(golden)("$name", ({ a, b, expect: expected }) => {
    for (const order of judging) {
      expect([order, compare(fromGolden(a), fromGolden(b), order)]).toEqual([order, expected[order]]);
      const turned = expected[order] === null ? null : -expected[order] + 0; // + 0: -0 is 0
      expect([order, compare(fromGolden(b), fromGolden(a), order)]).toEqual([order, turned]);
    }
  });
});

/** Orders as a user may write them, beside the project's. */
const own: Order[] = [
  { name: "steps alone", components: ["pass", "steps"] },
  { name: "all of it", components: ["pass", "severity", "agreement", "runs", "fraction", "crash-steps", "rank"] },
];
const all = [...names.map(orderOf), ...own];

describe("every order is a total preorder", () => {
  const random = numbers(20_26);
  const pick = <T>(values: T[]): T => values[Math.floor(random() * values.length)];

  // In earnest a rank has 53 bits; few, so that ties occur.
  const rank = () => Math.floor(random() * 5);

  /** The same kinds of records as the reference comparator was tested on. */
  function record(): Judgement {
    const stage = pick<Stage>(["syntax", "load", "run", "run", "run", "run"]);
    if (stage !== "run") {
      const steps = stage === "load" ? Math.floor(random() * 7) : 0;
      return { stage, outcomes: ["SKIP", "SKIP", "SKIP"], steps, agreement: [0, 0, 0], rank: rank(), infra: false };
    }
    const outcomes = [0, 1, 2].map(() => pick<Outcome>(["PASS", "WRONG", "EXC", "FUEL", "KILL"]));
    const agreement = outcomes.map(() => pick([0, 0.01, 0.03, 0.5, 1]));
    return { stage, outcomes, steps: Math.floor(random() * 7), agreement, rank: rank(), infra: false };
  }

  test.each(all)("$name: antisymmetric, transitive in its strict part and in its ties", (order) => {
    const broken: unknown[] = []; // an expect() in each round would take ten times as long
    let strict = 0;
    let ties = 0;
    for (let round = 0; round < 20_000; round++) {
      const [a, b, c] = [record(), record(), record()];
      const [ab, bc, ac, ba] = [
        compare(a, b, order)!,
        compare(b, c, order)!,
        compare(a, c, order),
        compare(b, a, order),
      ];
      if (ab + ba! !== 0) broken.push(["antisymmetric", a, b]);
      if (ab === bc) {
        if (ac !== ab) broken.push(["transitive", a, b, c]);
        ab === 0 ? ties++ : strict++;
      }
      if (ab === 0 && ac !== bc) broken.push(["a tie is replaceable", a, b, c]); // else ties would not be classes
    }
    expect(broken).toEqual([]);
    if (order.name === "binary") expect(strict).toBe(0); // two classes make no chain of three
    else expect(strict).toBeGreaterThan(500);
    expect(ties).toBeGreaterThan(order.name === "binary" ? 5_000 : 5);
  });

  test.each(all)("$name: sorting gives the same classes whatever order the candidates came in", (order) => {
    for (let round = 0; round < 50; round++) {
      const records = Array.from({ length: 12 }, record);
      const shuffled = [...records].sort(() => random() - 0.5);
      const better = (a: Judgement, b: Judgement) => -compare(a, b, order)!;
      const first = [...records].sort(better);
      const second = [...shuffled].sort(better);
      first.forEach((a, place) => expect(compare(a, second[place], order)).toBe(0));
    }
  });

  test("a tolerance instead of steps of 0.02 would not be transitive, steps are", () => {
    const share = (passed: number): Judgement => ({
      stage: "run",
      outcomes: Array.from({ length: 1000 }, (_, i) => i < passed ? "PASS" : "WRONG"),
      steps: 0,
      agreement: null,
      infra: false,
    });
    // .000 ~ .015 and .015 ~ .030 under "closer than .02", yet .000 and .030 differ
    expect([[0, 15], [15, 30], [0, 30]].map(([a, b]) => compare(share(a), share(b), "frac"))).toEqual([0, -1, -1]);
    // 29 * 0.02 is 0.58: the share must fall into its own step, not the one below
    expect(compare(share(580), share(579), "frac")).toBe(1);
  });
});

describe("what decides", () => {
  const run = (outcomes: Outcome[], extra: Partial<Judgement> = {}): Judgement => ({
    stage: "run",
    outcomes,
    steps: 5,
    agreement: outcomes.map(() => 0.5),
    infra: false,
    ...extra,
  });
  const load: Judgement = { stage: "load", outcomes: ["SKIP"], steps: 0, agreement: null, infra: false };

  test.each<[Judgement, Judgement, OrderName, ComponentName | null]>([
    [run(["PASS"]), run(["WRONG"]), "eta", "pass"],
    [run(["EXC"]), load, "eta", "stage"],
    [run(["EXC"]), { ...load, steps: 5 }, "seed-literal", "runs"],
    [run(["PASS", "EXC"]), run(["WRONG", "WRONG"]), "eta", "fraction"],
    [run(["WRONG"], { agreement: [0.9] }), run(["WRONG"]), "eta", "agreement"],
    [run(["WRONG"]), run(["EXC"]), "eta", "severity"],
    [run(["EXC"]), run(["FUEL"]), "eta", null],
    [run(["EXC"]), run(["FUEL"]), "seed-safe", "severity-fuel-below-crash"],
    [run(["EXC"], { steps: 9 }), run(["EXC"]), "seed-safe", "crash-steps"],
    [run(["WRONG"], { steps: 9 }), run(["WRONG"]), "seed-safe", null],
    [run(["WRONG"], { steps: 9 }), run(["WRONG"]), "seed-literal", "steps"],
    [run(["WRONG"], { steps: 9 }), run(["WRONG"]), "binary", null],
  ])("case %#", (a, b, order, component) => {
    expect(decidedBy(a, b, order)).toBe(component);
    expect(compare(a, b, order)).toBe(component === null ? 0 : 1);
  });

  test("weights make a test many samples pass count less", () => {
    const easy = run(["PASS", "WRONG"], { weights: [0.1, 0.9] });
    const hard = run(["WRONG", "PASS"], { weights: [0.1, 0.9] });
    expect(compare(hard, easy, "frac")).toBe(1);
    expect(compare({ ...hard, weights: null }, { ...easy, weights: null }, "frac")).toBe(0);
  });

  test("an infrastructure failure is compared with nothing, in any order", () => {
    for (const order of names) expect(compare(run(["PASS"]), run(["WRONG"], { infra: true }), order)).toBe(null);
  });

  test("the coin is thrown for the program: by seed, prompt and text, and for two failures only", () => {
    const ranked = (seed: number, prompt: string, code: string, outcome: Outcome = "WRONG") =>
      run([outcome], { rank: seededRank(seed, prompt, code) });
    const programs = Array.from({ length: 400 }, (_, i) => `return ${i}`);
    const heads = (seed: number, prompt = "p") =>
      programs.slice(1).map((code, i) =>
        compare(ranked(seed, prompt, code), ranked(seed, prompt, programs[i]), "random")
      );
    const share = (list: (number | null)[]) => list.filter((side) => side === 1).length / list.length;
    expect(heads(1)).toEqual(heads(1));
    expect(heads(1)).not.toContain(0);
    for (const other of [heads(2), heads(1, "q")]) {
      expect(share(other)).toBeGreaterThan(0.4);
      expect(share(other)).toBeLessThan(0.6);
      const alike = heads(1).filter((side, i) => side === other[i]).length / other.length;
      expect(Math.abs(alike - 0.5)).toBeLessThan(0.1); // nothing is left of the other seed's coins
    }
    const best = Math.max(...programs.map((code) => seededRank(1, "p", code)));
    expect(compare(run(["PASS"], { rank: 0 }), run(["WRONG"], { rank: best }), "random")).toBe(1);
    expect(compare(run(["WRONG"]), run(["WRONG"], { rank: 3 }), "random")).toBe(null);
    expect(compare(run(["PASS"]), run(["WRONG"]), "random")).toBe(1);
  });
});

test("a result becomes the comparator's record; a harness error counts as infrastructure", () => {
  const result: ProgramResult = {
    id: "x",
    stage: "run",
    verdict: "runtime_error",
    passed: false,
    tests: [
      { index: 0, outcome: "PASS", verdict: "pass", source: "f(1)", steps: 3 },
      { index: 1, outcome: "EXC", verdict: "runtime_error", source: "f(0)", steps: 2 },
    ],
    testsPassed: 1,
    testsTotal: 2,
    steps: 2,
    infra: false,
    elapsedMs: 1,
  };
  expect(judgement(result, [1, 0.25])).toEqual({
    stage: "run",
    passed: false,
    outcomes: ["PASS", "EXC"],
    steps: 2,
    agreement: [1, 0.25],
    infra: false,
  });
  // A program that ran to its end is judged by its verdict: an assert it never reached is no test of it, and one that
  // was stopped after its last test has not passed.
  const [first] = result.tests;
  const unreached = { ...first, index: 1, outcome: "SKIP" as const };
  const whole = { ...result, verdict: "pass" as const, passed: true, tests: [first, unreached], testsTotal: 1 };
  const stopped = { ...result, verdict: "exit" as const, passed: false, tests: [first], testsTotal: 1 };
  for (const order of names) expect(compare(judgement(whole), judgement(stopped), order), order).toBe(1);
  expect(judgement(result).agreement).toBe(null);
  expect(judgement({ ...result, verdict: "harness_error" }).infra).toBe(true);
  expect(judgement({ ...result, infra: true }).infra).toBe(true);
});

test("tests are weighed by how few of a prompt's samples pass them, each as often as it was drawn", () => {
  const drawn = (outcomes: Outcome[], count?: number) => ({
    count,
    result: { infra: false, tests: outcomes.map((outcome, index) => ({ outcome, index })) } as ProgramResult,
  });
  const samples = [drawn(["PASS", "WRONG"], 3), drawn(["PASS", "PASS"]), drawn(["EXC"])]; // the last never reached its second
  expect([...testWeights(samples)]).toEqual([[0, expect.closeTo(0.2, 12)], [1, expect.closeTo(0.8, 12)]]);
  const spoiled = { ...drawn(["PASS", "PASS"]), result: { ...drawn(["PASS", "PASS"]).result, infra: true } };
  expect([...testWeights([...samples, spoiled])]).toEqual([...testWeights(samples)]);
  const weighed = judgement({ ...samples[1].result, testsTotal: 2, stage: "run" }, null, testWeights(samples));
  expect(weighed.weights).toEqual([expect.closeTo(0.2, 12), expect.closeTo(0.8, 12)]);
});

describe("orders as data", () => {
  test("a list of components that begins with pass is an order", () => {
    const order = { name: "mine", components: ["pass", "severity"] };
    expect(parseOrder(order, "mine.json")).toEqual(order);
    expect(orderOf("frac")).toEqual({ name: "frac", components: ["pass", "fraction"] });
    expect(orderOf(parseOrder(order, "mine.json"))).toEqual(order);
  });

  test.each<[unknown, string]>([
    [null, 'Cannot use mine.json: field "name" is missing, expected text'],
    [{ name: 3 }, 'Cannot use mine.json: field "name" is 3, expected text'],
    [{ name: "x" }, 'Cannot use order x: field "components" is missing, expected a list of components'],
    [{ name: "x", components: [] }, 'Cannot use order x: field "components" is [], expected a list of components'],
    [
      { name: "x", components: ["pass", "speed"] },
      'Cannot use order x: component "speed" is none of pass, stage, runs',
    ],
    [
      { name: "x", components: ["steps", "pass"] },
      'Cannot use order x: its first component is "steps", expected "pass"',
    ],
    [{ name: "x", components: ["pass", "steps", "steps"] }, 'Cannot use order x: component "steps" is there twice'],
  ])("%j is refused", (value, message) => {
    expect(() => parseOrder(value, "mine.json")).toThrow(message);
  });
});

/** mulberry32: a fixed sequence, so that a failure can be repeated. */
function numbers(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}
