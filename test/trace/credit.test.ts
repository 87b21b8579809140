import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { uniformStream } from "../../src/model/philox.ts";
import { errorLines, suspiciousness, tokenCredit, tokenStatements } from "../../src/trace/credit.ts";
import { firstDivergence } from "../../src/trace/divergence.ts";
import type { ProgramResult, Trace } from "../../src/trace/schema.ts";
import { type StatementTable, statementTable } from "../../src/trace/statements.ts";
import { asserts, data, parseRows, type Row, rowJob, runTraced, testPool } from "./helpers.ts";
import { programs } from "./programs.ts";

const pool = testPool();
const bytes = (text: string) => new TextEncoder().encode(text);

/** The program cut where the owner of a byte changes: `If: if x:` and so on. */
function pieces(program: string, table: StatementTable): [string, string][] {
  const text = bytes(program);
  const out: [string, string][] = [];
  for (let at = 0, from = 0; at < text.length; from = at) {
    while (at < text.length && table.owner[at] === table.owner[from]) at++;
    out.push([table.statements[table.owner[from]].kind, new TextDecoder().decode(text.subarray(from, at))]);
  }
  return out;
}

/** Cuts a text of `length` bytes into tokens of 0 to 6 bytes, in the middle of characters too. */
function randomTokens(length: number, seed: number): [number, number][] {
  const random = uniformStream(seed, 0);
  const tokens: [number, number][] = [];
  for (let at = 0; at < length;) {
    const end = Math.min(length, at + Math.floor(random() * 7));
    tokens.push([at, end]);
    at = end;
  }
  return tokens;
}

describe("the statement table", () => {
  test("gives headers to the compound statement, white space and comments to what follows, the rest to the innermost", async () => {
    const program = `import x; y = 1 # c
# own
@deco
def f(a,
   b): # hd
  '''é # no
  '''
  if a: return (1,  # in
    2)
  elif b:
    pass;pass
  else:  # e
    # own2
    x = 1
  try:
    g()
  except (A,
   B):
    h()
  finally:
    k()
  match a:
    case (1 |
     2): z()
# end
`;
    expect(pieces(program, await statementTable(pool, program))).toEqual([
      ["Import", "import x;"],
      ["Assign", " y = 1 # c"],
      ["FunctionDef", "\n# own\n@deco\ndef f(a,\n   b): # hd"],
      ["Expr", "\n  '''é # no\n  '''"],
      ["If", "\n  if a:"],
      ["Return", " return (1,  # in\n    2)"],
      ["If", "\n  elif b:"],
      ["Pass", "\n    pass;"],
      ["Pass", "pass"],
      ["If", "\n  else:  # e"],
      ["Assign", "\n    # own2\n    x = 1"],
      ["Try", "\n  try:"],
      ["Expr", "\n    g()"],
      ["ExceptHandler", "\n  except (A,\n   B):"],
      ["Expr", "\n    h()"],
      ["Try", "\n  finally:"],
      ["Expr", "\n    k()"],
      ["Match", "\n  match a:"],
      ["match_case", "\n    case (1 |\n     2):"],
      ["Expr", " z()\n# end\n"],
    ]);
  });

  test("is one statement a line where the program does not compile, and one for an empty program", async () => {
    const program = "def f(:\n\n  x = 'é\n";
    expect(pieces(program, await statementTable(pool, program))).toEqual([["Line", "def f(:"], [
      "Line",
      "\n\n  x = 'é\n",
    ]]);
    expect(await statementTable(pool, "")).toMatchObject({ statements: [{ kind: "Line", lines: [] }], bytes: 0 });
  });

  test("lines end as in Python", async () => {
    const table = await statementTable(pool, "a = 1\r\nb = (2,\r 3)\rc = 4\n");
    expect(table.statements.map(({ lines }) => lines)).toEqual([[1], [2, 3], [4]]);
  });

  test("every event line of 40 reference solutions is in it, and every byte has one statement", async () => {
    const rows = parseRows<Row>(readFileSync(new URL("humaneval.jsonl", data), "utf8")).slice(40, 80);
    let events = 0;
    for (const row of rows) {
      const job = rowJob(row, row.canonical_solution!, "deciding");
      const table = await statementTable(pool, job.program);
      const { trace } = await pool.run(job);
      for (const { line_number } of trace!.events) {
        expect(table.onLine.get(line_number), `${row.id}, line ${line_number}`).toBeDefined();
        events++;
      }
      for (const line of trace!.lines_covered) expect(table.onLine.has(line)).toBe(true);
      expect(table.owner.every((owner) => owner >= 0 && owner < table.statements.length)).toBe(true);
      // In the order of their first byte, and none without a line.
      expect(table.statements.every(({ lines }) => lines.length > 0)).toBe(true);
    }
    expect(events).toBeGreaterThan(1000);
  });
});

describe("tokens and statements", () => {
  test("tokens make up the program again, and each is in one statement: that of its first code byte or the next", async () => {
    for (const [seed, { program }] of Object.values(programs).entries()) {
      const table = await statementTable(pool, program);
      const text = bytes(program);
      const tokens = randomTokens(text.length, seed);
      const joined = tokens.flatMap(([start, end]) => [...text.subarray(start, end)]);
      expect(new TextDecoder().decode(new Uint8Array(joined))).toBe(program);
      const statements = tokenStatements(table, tokens);
      const counts = table.statements.map((_, index) => statements.filter((statement) => statement === index).length);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(tokens.length);
      expect(statements.every((statement) => statement >= 0)).toBe(true);
    }
  });

  test("a token of a line's end and the next indentation belongs to the next statement, the last one to the last", async () => {
    const program = "x = 1\nif x:\n    y = 'é'\n\n";
    const table = await statementTable(pool, program);
    const spans = [[0, 5], [5, 6], [6, 11], [11, 17], [17, 21], [21, 23], [23, 25]] as const;
    expect(spans.map(([start, end]) => new TextDecoder().decode(bytes(program).subarray(start, end)))).toEqual(
      ["x = 1", "\n", "if x:", "\n    y", " = '", "é", "'\n"],
    );
    expect(tokenStatements(table, spans)).toEqual([0, 1, 1, 2, 2, 2, 2]);
    expect(tokenStatements(table, [[table.bytes - 1, table.bytes], [table.bytes, table.bytes]])).toEqual([2, 2]);
    expect(tokenStatements(table, [[21, 22], [22, 23]])).toEqual([2, 2]); // the two bytes of é
  });

  test("a span outside of the program is refused", async () => {
    const table = await statementTable(pool, "x = 1\n");
    expect(() => tokenStatements(table, [[0, 1], [1, 7]])).toThrow(
      "Cannot place token 1: its bytes 1 to 7 are not in a program of 6 bytes",
    );
    expect(() => tokenStatements(table, [[3, 2]])).toThrow("Cannot place token 0: its bytes 3 to 2");
  });
});

describe("credit", () => {
  const program = `def first(items):
    return items[0]

def f(items, n):
    if n > 5:
        n = 5
    total = first(
        items
    )
    return total + n
`;
  const lineSpans = (text: string) => {
    let at = 0;
    return text.split("\n").slice(0, -1).map((line) => {
      const span: [number, number] = [at, at + bytes(line).length + 1];
      at = span[1];
      return span;
    });
  };
  const tokens = lineSpans(program); // a token a line, with its newline
  let table: StatementTable;
  const run = (call: string, text = program) =>
    pool.run(asserts(text, "f", [`assert ${call}`], { trace: 0 })) as Promise<ProgramResult & { trace: Trace }>;
  beforeAll(async () => {
    table = await statementTable(pool, program);
  });

  const lines = (
    flags: { [key in "executed" | "erring" | "diverging"]: boolean }[],
    key: "executed" | "erring" | "diverging",
  ) => flags.flatMap((flag, index) => flag[key] ? [index + 1] : []);

  test("executed tokens are those of statements with an event, headers without their bodies", async () => {
    const credit = tokenCredit(table, tokens, await run("f([1], 2) == 3"));
    // 3 is empty and belongs to what follows; 7 to 9 are one statement.
    expect(lines(credit, "executed")).toEqual([1, 2, 3, 4, 5, 7, 8, 9, 10]);
    expect(lines(credit, "erring")).toEqual([]);
  });

  test("erring tokens are the statement that raised, and the one of the entry frame that led there", async () => {
    const result = await run("f([], 9) == 3");
    expect(errorLines(result)).toEqual([2, 7]);
    expect(lines(tokenCredit(table, tokens, result), "erring")).toEqual([2, 7, 8, 9]);
    expect(lines(tokenCredit(table, tokens, result), "executed")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("an exception that was handled is no error, one that finally passed on is", async () => {
    expect(errorLines(await runTraced(pool, programs.caught))).toEqual([]);
    expect(errorLines(await runTraced(pool, programs.reraised))).toEqual([3]);
  });

  test("of a program that does not compile, the line Python names errs and nothing was executed", async () => {
    const { program } = programs.syntax;
    const table = await statementTable(pool, program);
    const credit = tokenCredit(table, lineSpans(program), await runTraced(pool, programs.syntax));
    expect(lines(credit, "erring")).toEqual([2]);
    expect(lines(credit, "executed")).toEqual([]);
  });

  test("diverging tokens are the statement that made the first other value", async () => {
    const wrong = program.replace("n = 5", "n = 4");
    const [own, sibling] = [await run("f([1], 9) == 6", wrong), await run("f([1], 9) == 6")];
    const divergence = firstDivergence(own.trace, sibling.trace);
    const credit = tokenCredit(await statementTable(pool, wrong), tokens, { ...own, divergence });
    expect(lines(credit, "diverging")).toEqual([6]);
    expect(lines(tokenCredit(table, tokens, { ...sibling, divergence: null }), "diverging")).toEqual([]);
  });

  test("suspicion falls on what only failing tests ran, by Ochiai's formula", async () => {
    const runs = [];
    for (
      const [call, passed] of [["f([1], 2) == 3", true], ["f([1], 3) == 4", true], ["f([1], 9) == 10", false]] as const
    ) {
      const result = await run(call);
      expect(result.passed).toBe(passed);
      runs.push({ trace: result.trace, passed });
    }
    const susp = suspiciousness(table, runs)!;
    const on = (line: number) => susp[table.onLine.get(line)![0]];
    expect(on(6)).toBe(1); // 1 / sqrt(1 * 1)
    for (const line of [2, 5, 7, 10]) expect(on(line)).toBeCloseTo(1 / Math.sqrt(3), 12);
    expect(suspiciousness(table, runs.slice(0, 2))).toBe(null);
    expect(suspiciousness(table, runs.slice(2))).toBe(null);
  });
});
