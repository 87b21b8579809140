/** The runs that preference orders are measured on: nested mutants of solved problems (src/eval/order_bench.ts). */
import { mutantChains, type MutantMix } from "../data/mutants.ts";
import { type Problem, programJob, programText } from "../data/problem.ts";
import type { Comparator, MutantRun, ProblemRuns } from "../eval/order_bench.ts";
import { prefixAgreement, streamAgreement } from "../trace/agreement.ts";
import { compare, decidedBy, judgement, type Order, type OrderName, orderOf, seededRank } from "../trace/heuristics.ts";
import type { Pool } from "../trace/pool.ts";
import type { ProgramResult } from "../trace/schema.ts";

/** A reference with a longer test is left out: its mutants would run for minutes. */
export const longestReference = 20_000;

/** Line events one test of an answer may have, from those of the longest test of a right program. */
export function stepBudget(referenceSteps: number): number {
  return Math.max(2000, 10 * referenceSteps + 1000);
}

/** Edits in the longest chain. */
const DEPTH = 3;

/**
 * Mutants of the problem's solution, run on all its tests with the budget above; agreement is with the solution itself.
 * Failing mutants that have a better one in their chain run twice more with padding, those out of steps once more with
 * three times the steps. What comes out depends on the problem and these options alone.
 */
export async function mutantRuns(
  pool: Pool,
  problem: Problem,
  { seed, chains, mix }: { seed: number; chains: number; mix: MutantMix },
): Promise<ProblemRuns> {
  const empty = { problem: problem.id, budget: 0, chains: [], runs: [], padded: {}, tripled: {} };
  if (problem.canonicalSolution === null) return { ...empty, dropped: "no reference solution" };
  const job = { ...programJob(problem, problem.canonicalSolution, "none"), streams: true };
  const reference = await pool.run({ ...job, limits: { ...job.limits, stepsPerTest: longestReference } });
  if (reference.infra) throw new Error(`Cannot run ${problem.id}: ${reference.error?.message}`);
  if (!reference.passed) {
    const why = reference.verdict === "step_limit" ? `needs more than ${longestReference} steps` : reference.verdict;
    return { ...empty, dropped: `reference solution: ${why}` };
  }
  const program = programText(problem, problem.canonicalSolution);
  const promptLines = problem.codeMode === "completion" ? problem.prompt.split("\n").length : 1;
  const [found] = await mutantChains(pool, [{
    program,
    entry: problem.entryPoint,
    firstLine: promptLines,
    seed: `${seed} ${problem.id}`,
    chains,
    depth: DEPTH,
    mix,
  }]);

  const budget = stepBudget(Math.max(...reference.tests.map(({ steps }) => steps)));
  const values = new Map(reference.tests.map((test) => [test.index, test.values ?? []]));
  const run = async (code: string, stepsPerTest = budget): Promise<MutantRun> => {
    const asked = { ...job, program: code, limits: { ...job.limits, stepsPerTest } };
    let result = await pool.run(asked);
    if (result.infra) result = await pool.run(asked);
    return {
      ...judgement(result, perTest(result, values, streamAgreement)),
      prefix: perTest(result, values, prefixAgreement),
      rank: seededRank(seed, problem.id, code),
    };
  };

  const links = new Map(found.flat().map((link) => [link.code, link])); // each different program once
  const codes = [...links.keys()];
  const numberOf = new Map(codes.map((code, number) => [code, number]));
  const numbers = found.map((chain) => chain.map(({ code }) => numberOf.get(code)!));
  const runs = await Promise.all(codes.map((code) => run(code)));
  const failing = codes.map((_, number) => number).filter((number) => !runs[number].passed && !runs[number].infra);
  const later = new Set(numbers.flatMap((chain) => chain.slice(1)));
  const padded = await Promise.all(
    failing.filter((number) => later.has(number)).map(async (number) => {
      const link = links.get(codes[number])!;
      const [counting, quiet] = await Promise.all([run(link.padded), run(link.quiet)]);
      return [number, { counting, quiet }] as const;
    }),
  );
  const tripled = await Promise.all(
    failing.filter((number) => runs[number].outcomes.includes("FUEL"))
      .map(async (number) => [number, await run(codes[number], 3 * budget)] as const),
  );
  return {
    problem: problem.id,
    budget,
    chains: numbers,
    runs,
    padded: Object.fromEntries(padded),
    tripled: Object.fromEntries(tripled),
  };
}

/** Four decimals are enough for steps of 0.02. */
function perTest(
  result: ProgramResult,
  reference: ReadonlyMap<number, string[]>,
  measure: (own: readonly string[], other: readonly string[]) => number,
): number[] {
  return result.tests.map(({ index, values }) =>
    Math.round(1e4 * measure(values ?? [], reference.get(index) ?? [])) / 1e4
  );
}

/** An order of this project as something to measure. */
export function comparatorOf(order: OrderName | Order): Comparator {
  return {
    name: orderOf(order).name,
    compare: (a, b) => compare(a, b, order),
    decidedBy: (a, b) => decidedBy(a, b, order),
  };
}

/** Single rules, and `eta` with other rules in it: what the named orders are to be compared with. */
export function studyComparators(): Comparator[] {
  const withPrefix = ({ name, components }: Order): Comparator => {
    const inner = comparatorOf({ name, components });
    const swapped = (run: MutantRun) => ({ ...run, agreement: run.prefix });
    return { ...inner, compare: (a, b) => inner.compare(swapped(a), swapped(b)), decidedBy: undefined };
  };
  return [
    comparatorOf({ name: "steps alone", components: ["pass", "steps"] }),
    comparatorOf({ name: "severity alone", components: ["pass", "severity"] }),
    comparatorOf({ name: "agreement alone", components: ["pass", "agreement"] }),
    withPrefix({ name: "value prefix alone", components: ["pass", "agreement"] }),
    comparatorOf({ name: "eta without sibling", components: ["pass", "stage", "fraction", "severity"] }),
    withPrefix({ name: "eta by value prefix", components: ["pass", "stage", "fraction", "agreement", "severity"] }),
  ];
}
