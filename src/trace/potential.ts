/**
 * Potential-based shaping from prefix execution: how far a function that is only half written already computes what a passing
 * program computes. Each prefix of whole statements is run; its potential is the share of the passing program's value stream that
 * it reproduces before it first differs (agreement.ts). Rewards that are differences of potentials leave the sum over a completion,
 * and so the best policy, as it was (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999).
 */
import prefixesSource from "./prefixes.py" with { type: "text" };
import { prefixAgreement } from "./agreement.ts";
import type { ByteSpan } from "./credit.ts";
import type { ProgramResult } from "./schema.ts";
import { tooDeep } from "./too_deep.ts";

export interface Prefix {
  /** byte of the program behind the statement */
  end: number;
  /** the program up to there, with `return None` behind it */
  text: string;
}

/**
 * A prefix for every statement of the entry function's body (of the module, for programs that read stdin: `entryPoint` is empty).
 * Of a program that does not compile, those of its longest part of whole lines that does. None if the
 * function is not there, or the text too deeply nested for any parser.
 */
export async function statementPrefixes(
  pool: { script(source: string, input: unknown): Promise<unknown> },
  program: string,
  entryPoint: string,
): Promise<Prefix[]> {
  try {
    return await pool.script(prefixesSource, { program, entry: entryPoint }) as Prefix[];
  } catch (error) {
    if (await tooDeep(pool, error)) return [];
    throw error;
  }
}

/** Mean over tests of the share of the passing program's stream that comes out before the first other value, in [0, 1]. */
export function prefixPotential(result: ProgramResult, passing: ProgramResult): number {
  const streams = new Map(result.tests.map((test) => [test.index, test.values ?? []]));
  const shares = passing.tests.map((test) => prefixAgreement(streams.get(test.index) ?? [], test.values ?? []));
  return shares.length === 0 ? 0 : shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/**
 * Rewards of completion tokens: gamma Phi_k - Phi_(k-1) at the last token of statement k, and -Phi_K at the very last token, for the
 * potential of what is finished is 0, as is that of the prompt. With gamma = 1 the sum is 0, and GAE's advantages with lambda = 1
 * differ from those of the unshaped rewards by exactly -Phi of what stood before the token.
 *
 * `ends` are the bytes behind the statements and `potentials` theirs; a statement that ends in the prompt counts for the prompt.
 * A potential that is not a number (the prefix could not be run) is that of the prefix before.
 */
export function shapedRewards(
  spans: readonly ByteSpan[],
  ends: readonly number[],
  potentials: readonly number[],
  gamma = 1,
): number[] {
  if (ends.length !== potentials.length) {
    throw new Error(`Cannot shape rewards: ${ends.length} statements, but ${potentials.length} potentials`);
  }
  const rewards = spans.map(() => 0);
  if (spans.length === 0) return rewards;
  const head = spans[0][0];
  let before = 0;
  ends.forEach((end, k) => {
    if (end <= head || !Number.isFinite(potentials[k])) return;
    rewards[lastToken(spans, end)] += gamma * potentials[k] - before;
    before = potentials[k];
  });
  rewards[rewards.length - 1] -= before;
  return rewards;
}

/** Per token, the potential of what stands before it: 0 at first, then that of the last statement that is over. */
export function potentialsBefore(
  spans: readonly ByteSpan[],
  ends: readonly number[],
  potentials: readonly number[],
): number[] {
  const head = spans[0]?.[0] ?? 0;
  const over = ends.map((end, k) => ({ token: end <= head ? -1 : lastToken(spans, end), potential: potentials[k] }))
    .filter(({ token, potential }) => token >= 0 && Number.isFinite(potential));
  return spans.map((_, index) => over.findLast(({ token }) => token < index)?.potential ?? 0);
}

/** The token with the last byte before `end`. */
function lastToken(spans: readonly ByteSpan[], end: number): number {
  const found = spans.findIndex(([start, stop]) => start < end && stop >= end);
  return found === -1 ? spans.length - 1 : found;
}
