/** JSON Lines: one JSON value a line. Empty lines are allowed, so rows keep their line number for later errors. */

export interface JsonLine {
  /** 1-based. */
  line: number;
  value: unknown;
}

/** Called for every value, with the text a number was written as (`3.0`, `12345678901234567890`). */
export type NumberReader = (value: number, source: string) => unknown;

/** The values of all lines. Error: `Cannot read x.jsonl: line 7 is not JSON (…)`. */
export function parseJsonl(text: string, name: string): unknown[] {
  return parseJsonLines(text, name).map(({ value }) => value);
}

/** The same with line numbers; `readNumber` may replace numbers that JavaScript cannot hold as they were written. */
export function parseJsonLines(text: string, name: string, readNumber?: NumberReader): JsonLine[] {
  const rows: JsonLine[] = [];
  // Only \n ends a line: JSON text may hold U+2028 and the like unescaped. A \r before it is white space to JSON.
  text.replace(/^\uFEFF/, "").split("\n").forEach((lineText, index) => {
    if (lineText.trim() === "") return;
    try {
      rows.push({ line: index + 1, value: parseJson(lineText, readNumber) });
    } catch (error) {
      throw new Error(`Cannot read ${name}: line ${index + 1} is not JSON (${(error as Error).message})`);
    }
  });
  return rows;
}

/** JSON.parse, each number passed through `readNumber` with its source text. */
export function parseJson(text: string, readNumber?: NumberReader): unknown {
  if (!readNumber) return JSON.parse(text);
  type Reviver = (this: unknown, key: string, value: unknown, context: { source: string }) => unknown;
  const reviver: Reviver = (_key, value, context) =>
    typeof value === "number" ? readNumber(value, context.source) : value;
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

/** One line a row, each ended by a newline. */
export function toJsonl(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
