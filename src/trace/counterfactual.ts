/**
 * Which lines of a failing program cause the failure, by experiment: hunks of a passing program are put in the place of its own,
 * and the tests are run again (the interventional counterpart of what traces only suggest; minimal sets by Zeller and
 * Hildebrandt's ddmin, "Simplifying and Isolating Failure-Inducing Input", 2002).
 */
import { type Hunk, lineHunks, linePieces, mergedHunks, patched, splitLines } from "./line_diff.ts";
import type { ProgramResult } from "./schema.ts";

export interface Repair {
  /** From the failing program to the passing one, at most as many as asked for. */
  hunks: Hunk[];
  /** Per hunk alone: share of tests passed with it minus share without; null: it gives no valid program. */
  gains: (number | null)[];
  /** A smallest set of hunks (none can be left out) with which all tests pass; null: no set was found. */
  minimal: number[] | null;
  /** Of those hunks, a smallest set of exchanged lines with which all tests pass: none of them can be left out. */
  exchanged: Hunk[] | null;
  /** The program with these lines exchanged. */
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
 * Exchanges one hunk at a time and, where none alone repairs the program, searches a minimal set of several; what repairs it is then
 * made smaller line by line. `most` bounds the hunks (neighbours join), `trials` the programs looked at after the single hunks; if
 * they are used up, the sets are the smallest found until then, and still repair the program.
 *
 * All hunks together are the passing program, so `minimal` is null only if that does not pass (or no trial was left for it).
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
  const before = shareOf(await judge(failing));
  const results = [];
  for (const hunk of hunks) results.push(await judge(patched(own, [hunk])));
  const gains = results.map((result) => result.stage === "syntax" ? null : shareOf(result) - before);

  let left = allowed;
  const passes = (some: readonly Hunk[], known = new Map<string, boolean>()) => {
    return async (set: readonly number[]): Promise<boolean> => {
      const key = set.join(" ");
      if (!known.has(key)) {
        if (left <= 0) return false;
        left--;
        known.set(key, (await judge(patched(own, set.map((index) => some[index])))).passed);
      }
      return known.get(key)!;
    };
  };
  const all = hunks.map((_, index) => index);
  const single = results.findIndex(({ passed }) => passed);
  let minimal: number[] | null = single === -1 ? null : [single];
  const together = passes(hunks, new Map(results.map(({ passed }, index) => [`${index}`, passed])));
  if (!minimal && all.length > 1 && await together(all)) minimal = await ddmin(all, together);
  let exchanged: Hunk[] | null = null;
  if (minimal) {
    const pieces = minimal.flatMap((index) => linePieces(own, hunks[index]));
    const smallest = await ddmin(pieces.map((_, index) => index), passes(pieces));
    exchanged = smallest.map((index) => pieces[index]);
  }
  const repaired = exchanged && patched(own, exchanged);
  return { hunks, gains, minimal, exchanged, repaired, trials: hunks.length + allowed - left };
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
 * gains, shared evenly among its lines (of a hunk that belongs to the repair: the lines that had to be exchanged); normalised to sum 1.
 * What only inserts stands at the line it comes before. Where no hunk alone gains anything but a set repairs the program, the set's
 * hunks share alike. Empty: nothing was found.
 */
export function causalLines({ hunks, gains, minimal, exchanged }: Repair, lines: number): Map<number, number> {
  const gained = gains.map((gain) => Math.max(gain ?? 0, 0));
  const weights = gained.some((gain) => gain > 0) ? gained : gained.map((_, index) => minimal?.includes(index) ? 1 : 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const credit = new Map<number, number>();
  hunks.forEach((hunk, index) => {
    if (weights[index] === 0) return;
    const inside = exchanged?.filter(({ start, end }) => start >= hunk.start && end <= hunk.end) ?? [];
    const parts = minimal?.includes(index) && inside.length > 0 ? inside : [hunk];
    const own = new Set(
      parts.flatMap(({ start, end }) =>
        end > start ? Array.from({ length: end - start }, (_, i) => start + i + 1) : [Math.min(start + 1, lines)]
      ),
    );
    for (const line of own) credit.set(line, (credit.get(line) ?? 0) + weights[index] / total / own.size);
  });
  return credit;
}
