/**
 * Python text as tokens, without running or parsing it: good enough to see which samples are the same program and how
 * far two programs are apart, and defined for text that is no valid Python at all.
 */

// Triple-quoted strings first, then one-line strings (prefixes included), comments, numbers, names, operators, rest.
const pattern = new RegExp(
  [
    String.raw`[rbuftRBUFT]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$))`,
    String.raw`[rbuftRBUFT]{0,2}(?:"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?)`,
    String.raw`#[^\n]*`,
    String.raw`\n[ \t\f]*`,
    String.raw`\\\n`,
    String.raw`(?:\d[\w.]*(?:(?<=[eE])[+-]\w+)?|\.\d\w*)`,
    String.raw`[\p{L}_][\p{L}\p{N}_]*`,
    String.raw`\*\*=|\/\/=|<<=|>>=|\.\.\.|->|:=|[-+*\/%&|^@=!<>]=|\*\*|\/\/|<<|>>`,
    String.raw`\S`,
  ].join("|"),
  "gu",
);

/**
 * The tokens of a program: comments, blank lines and spacing inside a line are gone; every line starts with `⏎`
 * followed by its nesting depth, so that indentation counts and its width does not, but for the first line's.
 */
export function codeTokens(text: string): string[] {
  const tokens: string[] = [];
  const indents = [0];
  let brackets = 0;
  let lineStart: number | null = 0; // columns of indentation of a line whose first token is still to come
  const matches = `\n${text.replace(/\r\n?/g, "\n")}`.match(pattern) ?? [];
  for (const token of matches) {
    if (token[0] === "#" || token === "\\\n") continue;
    if (token[0] === "\n") {
      if (brackets === 0) lineStart = columns(token);
      continue;
    }
    if (lineStart !== null) {
      const deeper = indents.length;
      while (indents.at(-1)! > lineStart) indents.pop();
      // Back to a column that no open block has: Python refuses it, so it is not the same program as one that fits.
      const misfit = indents.length < deeper && indents.at(-1)! < lineStart;
      if (indents.at(-1)! < lineStart) indents.push(lineStart);
      // A text that starts indented is the body of a function whose head fixed that column: there the width counts.
      const base = tokens.length === 0 && lineStart > 0 ? `@${lineStart}` : "";
      tokens.push(`⏎${indents.length - 1}${base}${misfit ? "!" : ""}`);
      lineStart = null;
    }
    if ("([{".includes(token)) brackets++;
    if (")]}".includes(token)) brackets = Math.max(0, brackets - 1);
    tokens.push(token);
  }
  return tokens;
}

/** Text that is equal for programs that differ in comments, blank lines and spacing only. */
export function normalisedCode(text: string): string {
  return codeTokens(text).join("\u0000");
}

/** Levenshtein distance between two token lists: insertions, deletions and replacements of one token. */
export function editDistance(a: readonly string[], b: readonly string[]): number {
  // Samples for one prompt mostly share their head and tail; without these the table is small.
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const width = endB - start;
  const row = Uint32Array.from({ length: width + 1 }, (_, j) => j);
  for (let i = start; i < endA; i++) {
    let diagonal = row[0]++;
    for (let j = 0; j < width; j++) {
      const replaced = diagonal + (a[i] === b[start + j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = Math.min(replaced, diagonal + 1, row[j] + 1);
    }
  }
  return row[width];
}

/** Width of the white space after a line break; a tab goes to the next multiple of 8, as in Python. */
function columns(lineBreak: string): number {
  let width = 0;
  for (const character of lineBreak.slice(1)) width = character === "\t" ? (width >> 3) + 1 << 3 : width + 1;
  return width;
}
