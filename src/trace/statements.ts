/** Which statement every byte of a program belongs to: the ground for giving tokens credit (credit.ts). */
import statementsSource from "./statements.py" with { type: "text" };
import { tooDeep } from "./too_deep.ts";

export interface Statement {
  /** class name of Python's ast (`If`, `Return`, `ExceptHandler`), or `Line` in a program that does not compile */
  kind: string;
  /** may hold other statements */
  compound: boolean;
  /** 1-based lines of its own bytes: of a compound statement the header and `else:`, not the statements inside */
  lines: number[];
}

export interface StatementTable {
  /** in the order of their first byte; never empty, for an empty program has one empty line */
  statements: Statement[];
  /** length of the program in UTF-8 bytes */
  bytes: number;
  /** Per byte, the index of its statement. The last entry, one behind the program, is for what follows its last byte. */
  owner: Int32Array;
  /** 1-based line -> the statements that own a byte of it; two of them on one line cannot be told apart by line events */
  onLine: Map<number, number[]>;
}

interface Row {
  kind: string;
  start: number;
  end: number;
  compound: boolean;
}

/**
 * The table of a program. White space and comments before a statement belong to it (indentation decides structure), a
 * comment behind code to that code, all other bytes to the innermost statement. In a program that does not compile every
 * line that is not blank is a statement.
 */
export async function statementTable(
  pool: { script(source: string, input: unknown): Promise<unknown> },
  program: string,
): Promise<StatementTable> {
  let found: { statements: Row[]; comments: [number, number][] };
  try {
    found = await pool.script(statementsSource, program) as typeof found;
  } catch (error) {
    const unparsable = /^(SyntaxError|IndentationError|TabError|UnicodeEncodeError|RecursionError|MemoryError)\b/m;
    if (!unparsable.test(`${error}`) && !await tooDeep(pool, error)) throw error;
    found = { statements: [], comments: [] };
  }
  const text = new TextEncoder().encode(program);
  const line = lineNumbers(text);
  const rows = found.statements.length > 0 ? found.statements : lineRows(text);
  return table(rows, found.comments, text, line);
}

function table(rows: Row[], comments: [number, number][], text: Uint8Array, line: Int32Array): StatementTable {
  const owner = new Int32Array(text.length + 1).fill(-1);
  rows.forEach(({ start, end }, index) => owner.fill(index, start, end)); // outer ones first
  const simple = (at: number) => owner[at] !== -1 && !rows[owner[at]].compound;
  for (const [start, end] of comments) {
    if (simple(start)) continue; // inside a statement's brackets
    let before = start - 1;
    while (before >= 0 && blank(text[before])) before--;
    const behindCode = before >= 0 && line[before] === line[start];
    owner.fill(behindCode ? owner[before] : -1, start, end);
  }
  for (let at = 0; at < text.length; at++) {
    if (blank(text[at]) && !simple(at)) owner[at] = -1;
  }
  // Backwards: what nobody owns goes to what follows it, and what is behind everything to the last.
  const lastByte = owner.findLastIndex((index) => index !== -1);
  for (let at = owner.length - 1; at >= 0; at--) {
    if (owner[at] === -1) owner[at] = at > lastByte ? owner[Math.max(lastByte, 0)] : owner[at + 1];
  }
  const onLine = new Map<number, number[]>();
  const statements = rows.map(({ kind, compound }): Statement => ({ kind, compound, lines: [] }));
  const comment = new Uint8Array(text.length);
  for (const [start, end] of comments) comment.fill(1, start, end);
  for (let at = 0; at < text.length; at++) {
    if (blank(text[at]) || comment[at]) continue;
    const lines = statements[owner[at]].lines;
    if (lines.at(-1) === line[at]) continue;
    if (!lines.includes(line[at])) lines.push(line[at]);
    const there = onLine.get(line[at]) ?? [];
    if (!there.includes(owner[at])) onLine.set(line[at], [...there, owner[at]]);
  }
  return { statements, bytes: text.length, owner, onLine };
}

function lineRows(text: Uint8Array): Row[] {
  const rows: Row[] = [];
  for (let start = 0; start <= text.length;) {
    const found = text.subarray(start).findIndex((byte) => byte === 10 || byte === 13);
    const end = found === -1 ? text.length : start + found;
    const first = text.subarray(start, end).findIndex((byte) => !blank(byte));
    if (first !== -1) rows.push({ kind: "Line", start: start + first, end, compound: false });
    start = end + 1;
  }
  return rows.length > 0 ? rows : [{ kind: "Line", start: 0, end: 0, compound: false }];
}

/** 1-based line of every byte; as in Python, \n, \r and \r\n each end one. */
function lineNumbers(text: Uint8Array): Int32Array {
  const line = new Int32Array(text.length);
  let number = 1;
  for (let at = 0; at < text.length; at++) {
    line[at] = number;
    if (text[at] === 10 || (text[at] === 13 && text[at + 1] !== 10)) number++;
  }
  return line;
}

/** Space, tab, form feed, line ends. */
function blank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}
