/**
 * Which of two programs is the better one: preference orders as data, one comparator.
 *
 * An order is a list of named components, compared one after the other; the first that differs decides, none means a
 * tie (no pair). Every component is a number, larger is better, and is 0 for a passing program after `pass`, so every
 * order is a total preorder: antisymmetric, transitive, ties transitive. That holds of any list of components that begins
 * with `pass`, so users' own orders are lists too ({name, components} as JSON, parseOrder). Shares are quantised to steps of 0.02, not
 * compared with a tolerance, because "closer than 0.02" is not transitive.
 */
import type { Outcome, ProgramResult, Stage } from "./schema.ts";
import { hash53 } from "./short_result.ts";

/** What the comparator knows of one run of a program. */
export interface Judgement {
  stage: Stage;
  /** The verdict on the whole program; without it, all outcomes must be PASS. */
  passed?: boolean;
  /** One per test that counts, in the problem's order. */
  outcomes: readonly Outcome[];
  /** Weight of each test in the fraction; null weighs all alike. */
  weights?: readonly number[] | null;
  /** Line events of the first failing test (of the module body, where that failed). */
  steps: number;
  /** Per test, agreement in [0, 1] with a passing sibling (agreement.ts); null where the prompt has no sibling. */
  agreement: readonly number[] | null;
  /** A number drawn for the program (seededRank), which `random` goes by; without one it compares no two failures. */
  rank?: number;
  /** The machinery failed, not the program: never compared. */
  infra: boolean;
}

export type OrderName = "binary" | "frac" | "seed-literal" | "seed-safe" | "eta" | "random";

export type ComponentName =
  | "pass"
  | "stage"
  | "runs"
  | "fraction"
  | "agreement"
  | "severity"
  | "severity-fuel-below-crash"
  | "steps"
  | "crash-steps"
  | "rank";

/** An order of one's own. */
export interface Order {
  name: string;
  /** Most important first; the first is `pass`. */
  components: readonly ComponentName[];
}

/** The orders by name, most important component first. */
export const orders: Readonly<Record<OrderName, readonly ComponentName[]>> = {
  binary: ["pass"],
  frac: ["pass", "fraction"],
  // The method as written: more steps before stopping, then running above syntax, then assertions passed. Padding and
  // endless loops win under it; kept as the ablation it is.
  "seed-literal": ["pass", "steps", "runs", "fraction"],
  // The method's ideas in an order that holds: steps count only between two crashes.
  "seed-safe": ["pass", "stage", "fraction", "severity-fuel-below-crash", "crash-steps"],
  eta: ["pass", "stage", "fraction", "agreement", "severity"],
  // The control: between two failures a coin, thrown once per program and not per pair, so that the order is one.
  random: ["pass", "rank"],
};

/** The order behind a name, or the order itself. */
export function orderOf(order: OrderName | Order): Order {
  return typeof order === "string" ? { name: order, components: orders[order] } : order;
}

/**
 * An order written as data. Errors: `Cannot use order x: component "speed" is none of pass, stage, ...`.
 * @param where what the errors call it before its name is known, such as a file
 */
export function parseOrder(value: unknown, where: string): Order {
  const { name, components: list } = (value ?? {}) as { name?: unknown; components?: unknown };
  if (typeof name !== "string" || name === "") {
    throw new Error(`Cannot use ${where}: field "name" is ${JSON.stringify(name) ?? "missing"}, expected text`);
  }
  const says = `Cannot use order ${name}`;
  if (!Array.isArray(list) || list.length === 0) {
    const shown = JSON.stringify(list) ?? "missing";
    throw new Error(`${says}: field "components" is ${shown}, expected a list of components`);
  }
  const known = Object.keys(components);
  const strange = list.find((component) => !known.includes(component));
  if (strange !== undefined) {
    throw new Error(`${says}: component ${JSON.stringify(strange)} is none of ${known.join(", ")}`);
  }
  if (list[0] !== "pass") throw new Error(`${says}: its first component is "${list[0]}", expected "pass"`);
  const twice = list.find((component, place) => list.indexOf(component) !== place);
  if (twice !== undefined) throw new Error(`${says}: component "${twice}" is there twice`);
  return { name, components: list };
}

/** The rank of a program under `random`: the same for the same seed, prompt and program, and independent of all else. */
export function seededRank(seed: number, problemId: string, program: string): number {
  return hash53(`${problemId}\u0000${program}`, seed);
}

/**
 * Weights of tests in the fraction: 1 less the share of a prompt's samples that pass the test, so that a test which
 * nearly all pass tells little. Keyed by test index; a sample counts as often as it was drawn.
 */
export function testWeights(samples: readonly { result: ProgramResult; count?: number }[]): Map<number, number> {
  const passes = new Map<number, number>();
  let total = 0;
  for (const { result, count = 1 } of samples) {
    if (result.infra) continue;
    total += count;
    for (const { index, outcome } of result.tests) {
      passes.set(index, (passes.get(index) ?? 0) + (outcome === "PASS" ? count : 0));
    }
  }
  return new Map([...passes].map(([index, passed]) => [index, 1 - passed / total]));
}

const stages: Record<Stage, number> = { syntax: 0, load: 1, run: 2 };

// Between programs of one stage. In nested mutants a wrong answer is nearer to right than a crash or an endless loop;
// the latter two don't separate.
const severities: Record<Outcome | "syntax" | "load", number> = {
  syntax: 0,
  load: 1,
  SKIP: 2,
  KILL: 2,
  FUEL: 2,
  EXC: 2,
  WRONG: 3,
  PASS: 4,
};

const failing = (value: (record: Judgement) => number) => (record: Judgement) => passed(record) ? 0 : value(record);

/** Value of each component; larger is better. */
const components: Record<ComponentName, (record: Judgement) => number> = {
  pass: (record) => passed(record) ? 1 : 0,
  stage: failing((record) => stages[record.stage]),
  runs: failing((record) => record.stage === "run" ? 1 : 0),
  fraction: failing((record) => quantised(testFraction(record))),
  agreement: failing((record) => quantised(mean(record.agreement ?? []))),
  severity: failing((record) => severities[firstFailure(record)]),
  // Crashes strictly above fuel: with FUEL = EXC, a tie FUEL ~ EXC beside steps inside EXC would not be transitive.
  "severity-fuel-below-crash": failing((record) => {
    const failure = firstFailure(record);
    return failure === "EXC" ? 2.5 : severities[failure];
  }),
  steps: failing((record) => record.steps),
  "crash-steps": failing((record) => firstFailure(record) === "EXC" ? record.steps : 0),
  rank: failing((record) => record.rank ?? 0),
};

/** 1: a is better, -1: b is better, 0: a tie, null: not comparable (one of them was not really measured). */
export function compare(a: Judgement, b: Judgement, order: OrderName | Order): 1 | -1 | 0 | null {
  if (!comparable(a, b, order)) return null;
  const component = decidedBy(a, b, order);
  if (component === null) return 0;
  return components[component](a) > components[component](b) ? 1 : -1;
}

/** The component that tells a and b apart, or null on a tie. Only of meaning where compare() is not null. */
export function decidedBy(a: Judgement, b: Judgement, order: OrderName | Order): ComponentName | null {
  return componentsOf(order).find((name) => components[name](a) !== components[name](b)) ?? null;
}

/**
 * The record of one run. `agreement` comes from agreement.ts, null where the prompt has no sibling to agree with;
 * `weights` from testWeights.
 */
export function judgement(
  result: ProgramResult,
  agreement: readonly number[] | null = null,
  weights?: ReadonlyMap<number, number>,
): Judgement {
  // An assert that a program which ran to its end never reached is no test of it.
  const counted = result.tests.length === result.testsTotal
    ? result.tests
    : result.tests.filter(({ outcome }) => outcome !== "SKIP");
  return {
    stage: result.stage,
    passed: result.passed,
    outcomes: counted.map((test) => test.outcome),
    ...(weights ? { weights: counted.map(({ index }) => weights.get(index) ?? 1) } : {}),
    steps: result.steps,
    agreement,
    infra: result.infra || result.verdict === "harness_error",
  };
}

/** Weighted share of tests passed, 0 for a program that does not run. */
export function testFraction({ stage, outcomes, weights }: Judgement): number {
  if (stage !== "run") return 0;
  let gained = 0;
  let total = 0;
  outcomes.forEach((outcome, test) => {
    const weight = weights?.[test] ?? 1;
    total += weight;
    if (outcome === "PASS") gained += weight;
  });
  return total > 0 ? gained / total : 0;
}

function passed({ stage, outcomes, passed }: Judgement): boolean {
  return passed ?? (stage === "run" && outcomes.every((outcome) => outcome === "PASS"));
}

function firstFailure({ stage, outcomes }: Judgement): Outcome | "syntax" | "load" {
  if (stage !== "run") return stage;
  return outcomes.find((outcome) => outcome !== "PASS") ?? "PASS";
}

/** An agreement on one side only says nothing about two failing runs: "unknown" is neither 0 nor 1. */
function comparable(a: Judgement, b: Judgement, order: OrderName | Order): boolean {
  if (a.infra || b.infra) return false;
  const names = componentsOf(order);
  if (names.includes("rank") && !passed(a) && !passed(b) && (a.rank === undefined || b.rank === undefined)) {
    return false;
  }
  if (!names.includes("agreement")) return true;
  const failingRun = (record: Judgement) => record.stage === "run" && !passed(record);
  return (a.agreement === null) === (b.agreement === null) || !failingRun(a) || !failingRun(b);
}

function componentsOf(order: OrderName | Order): readonly ComponentName[] {
  return typeof order === "string" ? orders[order] : order.components;
}

// The nudge keeps a share such as 0.58, which is 28.999999999999996 * 0.02, in its own step.
function quantised(share: number): number {
  return Math.floor(share / 0.02 + 1e-9);
}

function mean(values: readonly number[]): number {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}
