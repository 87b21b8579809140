/**
 * Which lines of a failing program cause the failure, by experiment: hunks of a passing program are put in the place of its own,
 * and the tests are run again (the interventional counterpart of what traces only suggest; minimal sets by Zeller and
 * Hildebrandt's ddmin, "Simplifying and Isolating Failure-Inducing Input", 2002).
 */
import { type Hunk, lineHunks, mergedHunks, patched, splitLines } from "./line_diff.ts";
import type { ProgramResult } from "./schema.ts";

export interface Repair {
  /** From the failing program to the passing one, at most as many as asked for. */
  hunks: Hunk[];
  /** Per hunk alone: share of tests passed with it minus share without; null: it gives no valid program. */
  gains: (number | null)[];
  /** A smallest set of hunks (none can be left out) with which all tests pass; null: no set was found. */
  minimal: number[] | null;
  /** The program with that set. */
  repaired: string | null;
  /** Programs that were run or looked up. */
  trials: number;
}

/** Judges a program text; null: it is none (it does not compile). */
export type Judge = (
  program: string,
) => Promise<Pick<ProgramResult, "passed" | "testsPassed" | "testsTotal" | "stage">>;

/** Share of tests passed. */
export function shareOf({ passed, testsPassed, testsTotal, stage }: Awaited<ReturnType<Judge>>): number {
  return passed ? 1 : stage === "run" && testsTotal > 0 ? testsPassed / testsTotal : 0;
}

/**
 * Exchanges one hunk at a time and, where none alone repairs the program, searches a minimal set of several. `most` bounds the
 * hunks (neighbours join), `trials` the programs that the search of sets may look at after the single ones.
 *
 * All hunks together are the passing program, so a set always exists; it is `null` only if `other` does not pass or the trials
 * are used up before anything smaller than everything is found, in which case all hunks are the set.
 */
export async function repair(
  judge: Judge,
  failing: string,
  passing: string,
  options: { most?: number; trials?: number } = {},
): Promise<Repair> {
  const { most = 8, trials: allowed = 24 } = options;
  const own = splitLines(failing);
  const hunks = mergedHunks(lineHunks(own, splitLines(passing)), own, most);
  const known = new Map<string, boolean>();
  let trials = 0;
  const before = shareOf(await judge(failing));
  const gains: (number | null)[] = [];
  let repairing: number[] | null = null;
  for (const [index, hunk] of hunks.entries()) {
    const result = await judge(patched(own, [hunk]));
    trials++;
    gains.push(result.stage === "syntax" ? null : shareOf(result) - before);
    known.set(`${index}`, result.passed);
    if (result.passed) repairing ??= [index];
  }
  let left = allowed;
  const passes = async (set: readonly number[]): Promise<boolean> => {
    const key = set.join(" ");
    const found = known.get(key);
    if (found !== undefined) return found;
    if (left <= 0) return false;
    left--;
    trials++;
    const { passed } = await judge(patched(own, set.map((index) => hunks[index])));
    known.set(key, passed);
    return passed;
  };
  const all = hunks.map((_, index) => index);
  if (!repairing && all.length > 1 && await passes(all)) repairing = await ddmin(all, passes);
  const repaired = repairing && patched(own, repairing.map((index) => hunks[index]));
  return { hunks, gains, minimal: repairing, repaired, trials };
}

/** A subset of `all` that still `passes`, from which no single element can be left out (if `passes` is asked often enough). */
export async function ddmin(
  all: readonly number[],
  passes: (set: readonly number[]) => Promise<boolean>,
): Promise<number[]> {
  let set = [...all];
  for (let parts = 2; set.length > 1;) {
    const size = Math.ceil(set.length / parts);
    const pieces = Array.from({ length: Math.ceil(set.length / size) }, (_, i) => set.slice(i * size, (i + 1) * size));
    const rests = pieces.map((piece) => set.filter((index) => !piece.includes(index)));
    const smaller = await firstPassing(pieces, passes);
    const rest = smaller ?? await firstPassing(rests, passes);
    if (rest) {
      parts = smaller ? 2 : Math.max(parts - 1, 2);
      set = rest;
    } else if (parts >= set.length) break;
    else parts = Math.min(set.length, 2 * parts);
  }
  return set;
}

async function firstPassing(sets: readonly number[][], passes: (set: readonly number[]) => Promise<boolean>) {
  for (const set of sets) if (set.length > 0 && await passes(set)) return set;
  return null;
}

/**
 * Lines of the failing program (1-based) with the part of the failure each stands for, 0 to 1: the positive part of what its hunk
 * gains, shared evenly among its lines; normalised to sum 1. A hunk that only inserts stands at the line it comes before. Where no
 * hunk alone gains anything but a set repairs the program, the set's lines share alike. Empty: nothing was found.
 */
export function causalLines({ hunks, gains, minimal }: Repair, lines: number): Map<number, number> {
  const gained = gains.map((gain) => Math.max(gain ?? 0, 0));
  const weights = gained.some((gain) => gain > 0) ? gained : gained.map((_, index) => minimal?.includes(index) ? 1 : 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const credit = new Map<number, number>();
  hunks.forEach(({ start, end }, index) => {
    if (weights[index] === 0) return;
    const own = end > start
      ? Array.from({ length: end - start }, (_, i) => start + i + 1)
      : [Math.min(start + 1, lines)];
    for (const line of own) credit.set(line, (credit.get(line) ?? 0) + weights[index] / total / own.length);
  });
  return credit;
}
