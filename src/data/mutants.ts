/** Nested mutants of right programs: material to measure preference orders with, for fewer faults should be better. */
import mutantsSource from "./mutants.py" with { type: "text" };

export { mutantsSource };

export const MUTATIONS = [
  "compare",
  "operator",
  "constant",
  "variable",
  "negate",
  "remove",
  "arguments",
  "bound",
  "return-early",
  "break",
  "assign",
] as const;

/** One link of a chain: the program with the edits of all links before it and one more. */
export interface MutantLink {
  code: string;
  kind: typeof MUTATIONS[number];
  /** Of the edit, 1-based, in the text the chain began with. */
  line: number;
  /** The same program with 102 more line events at the start of the tested function, 51 of which make a new value. */
  padded: string;
  /** With 102 more line events that make no value the function was not called with (None where it takes none). */
  quiet: string;
}

export interface MutantRequest {
  /** A whole program that compiles. */
  program: string;
  /** The function that gets the padding. */
  entry: string;
  /** Lines before this one (1-based) are left as they are. */
  firstLine: number;
  seed: string;
  chains: number;
  /** Links of a chain at most; where edits run out a chain is shorter, or empty. */
  depth: number;
  mix: MutantMix;
}

/**
 * Which edits are likely. `places`: every one there is a place for is as likely as any other, and many are another variable.
 * `kinds`: each kind is as likely as any other, then each of its places.
 */
export type MutantMix = typeof MIXES[number];
export const MIXES = ["places", "kinds"] as const;

/**
 * `chains` chains for each program, made by edits of its syntax tree: a comparison, operator, constant (+-1), variable or
 * truth value is another, a statement is gone, two arguments change places, a bound of a range or slice moves by one, a
 * loop ends in its first round. A chain is decided by the seed and its number alone. Mutants are not run here.
 */
export async function mutantChains(
  pool: { script(source: string, input: unknown, timeoutMs?: number): Promise<unknown> },
  requests: readonly MutantRequest[],
): Promise<MutantLink[][][]> {
  const programs = requests.map(({ program, entry, firstLine, seed, chains, depth, mix }) => (
    { program, entry, first_line: firstLine, seed, count: chains, depth, mix }
  ));
  return await pool.script(mutantsSource, { programs }, 300_000) as MutantLink[][][];
}
