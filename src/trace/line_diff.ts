/** Two programs line by line: what a failing one would have to take over from a passing one. */
import { codeTokens, editDistance } from "./code_tokens.ts";

/** Lines `start` to `end` (exclusive, from 0) of the one program give way to `lines` of the other; either may be empty. */
export interface Hunk {
  start: number;
  end: number;
  lines: string[];
}

/** As Python ends them: \n, \r\n and \r; the ends are not kept. */
export function splitLines(program: string): string[] {
  return program.split(/\r\n|\r|\n/);
}

/** The hunks that turn `own` into `other`, by longest common subsequence of lines; blanks at a line's end don't count. */
export function lineHunks(own: readonly string[], other: readonly string[]): Hunk[] {
  const [a, b] = [own.map((line) => line.trimEnd()), other.map((line) => line.trimEnd())];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const [n, m] = [a.length - head - tail, b.length - head - tail];
  // common[i][j]: longest common subsequence of what follows line i of the one and line j of the other
  const common = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      common[i][j] = a[head + i] === b[head + j]
        ? common[i + 1][j + 1] + 1
        : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const hunks: Hunk[] = [];
  let open: Hunk | null = null;
  for (let i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && a[head + i] === b[head + j]) {
      open = null;
      i++;
      j++;
      continue;
    }
    if (!open) hunks.push(open = { start: head + i, end: head + i, lines: [] });
    if (i < n && (j === m || common[i + 1][j] >= common[i][j + 1])) open.end = head + ++i;
    else open.lines.push(other[head + j++]);
  }
  return hunks;
}

/** At most `most` hunks: neighbours with the fewest lines between them become one, common lines included. */
export function mergedHunks(hunks: readonly Hunk[], own: readonly string[], most: number): Hunk[] {
  const merged = hunks.map((hunk) => ({ ...hunk }));
  while (merged.length > most) {
    const gaps = merged.slice(1).map((hunk, i) => hunk.start - merged[i].end);
    const at = gaps.indexOf(Math.min(...gaps));
    const [first, second] = merged.slice(at, at + 2);
    const lines = [...first.lines, ...own.slice(first.end, second.start), ...second.lines];
    merged.splice(at, 2, { start: first.start, end: second.end, lines });
  }
  return merged;
}

/**
 * A hunk in pieces of at most one line on each side, in order: lines that are alike (by the edit distance of their tokens) change places,
 * the others go or come. All of them together are the hunk.
 */
export function linePieces(own: readonly string[], hunk: Hunk): Hunk[] {
  const [a, b] = [own.slice(hunk.start, hunk.end), hunk.lines].map((lines) => lines.map(codeTokens));
  const unlike = (i: number, j: number) => editDistance(a[i], b[j]) / Math.max(1, a[i].length, b[j].length);
  // cost[i][j] of what follows line i of the one and line j of the other: a line that goes or comes is half a difference
  const cost = Array.from({ length: a.length + 1 }, () => new Float64Array(b.length + 1));
  for (let i = a.length; i >= 0; i--) {
    for (let j = b.length; j >= 0; j--) {
      if (i === a.length) cost[i][j] = (b.length - j) / 2;
      else if (j === b.length) cost[i][j] = (a.length - i) / 2;
      else cost[i][j] = Math.min(unlike(i, j) + cost[i + 1][j + 1], 0.5 + Math.min(cost[i + 1][j], cost[i][j + 1]));
    }
  }
  const pieces: Hunk[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const start = hunk.start + i;
    if (i < a.length && j < b.length && cost[i][j] === unlike(i, j) + cost[i + 1][j + 1]) {
      pieces.push({ start, end: start + 1, lines: [hunk.lines[j++]] });
      i++;
    } else if (j < b.length && (i === a.length || cost[i][j] === 0.5 + cost[i][j + 1])) {
      pieces.push({ start, end: start, lines: [hunk.lines[j++]] });
    } else {
      pieces.push({ start, end: start + 1, lines: [] });
      i++;
    }
  }
  return pieces;
}

/** The program with some of its hunks taken over, which stand in the order of the program. */
export function patched(own: readonly string[], hunks: readonly Hunk[]): string {
  const lines = [...own];
  for (const { start, end, lines: others } of hunks.toReversed()) lines.splice(start, end - start, ...others);
  return lines.join("\n");
}

/** 1-based lines of the one program that are outside of the common subsequence. */
export function differingLines(own: readonly string[], other: readonly string[]): number[] {
  return lineHunks(own, other).flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i + 1)
  );
}
