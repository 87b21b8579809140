/** Two programs line by line: what a failing one would have to take over from a passing one. */

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

/** The program with some of its hunks taken over. */
export function patched(own: readonly string[], hunks: readonly Hunk[]): string {
  const lines = [...own];
  for (const { start, end, lines: others } of [...hunks].sort((a, b) => b.start - a.start)) {
    lines.splice(start, end - start, ...others);
  }
  return lines.join("\n");
}

/** 1-based lines of the one program that are outside of the common subsequence. */
export function differingLines(own: readonly string[], other: readonly string[]): number[] {
  return lineHunks(own, other).flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i + 1)
  );
}
