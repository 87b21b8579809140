/**
 * Credit for tokens from what a run showed: which tokens of a completion stand in statements that ran, that failed, and
 * that made the first value a passing sibling did not make.
 *
 * Everything is decided per statement: line events cannot tell apart two statements that share a line, so both count.
 */
import { crashOf } from "./crash.ts";
import type { Divergence } from "./divergence.ts";
import type { ErrorInfo, Trace } from "./schema.ts";
import type { StatementTable } from "./statements.ts";

/** First byte and the byte behind the last, in the program's UTF-8 text; equal for a token without text. */
export type ByteSpan = readonly [number, number];

export interface TokenCredit {
  /** index into the table's statements */
  statement: number;
  /** its statement had a line event (of the header of a function: the call) */
  executed: boolean;
  /** its statement raised the exception that ended the run, or is the one of the entry frame it came through */
  erring: boolean;
  /** its statement made the first value that the sibling did not make, or ran last before the end */
  diverging: boolean;
}

/**
 * Per token, its statement: that of its first byte that is no white space and no comment before a statement; a token of
 * such bytes alone belongs to the statement that follows (the last one, at the end of the text).
 *
 * Spans may begin or end inside a UTF-8 character. Error: `Cannot place token 3: its bytes 10 to 20 are not in a program
 * of 15 bytes`.
 */
export function tokenStatements(table: StatementTable, tokens: readonly ByteSpan[]): number[] {
  return tokens.map(([start, end], index) => {
    if (!(start >= 0 && start <= end && end <= table.bytes)) {
      throw new Error(
        `Cannot place token ${index}: its bytes ${start} to ${end} are not in a program of ${table.bytes} bytes`,
      );
    }
    return table.owner[start]; // white space already has the owner of what follows it
  });
}

/** What a run says of a program: its trace, or the error that kept it from running. */
export interface Evidence {
  trace?: Trace;
  error?: ErrorInfo;
  divergence?: Divergence | null;
}

/** The flags of every token for one run; of several tests of a program, or the flags together. */
export function tokenCredit(table: StatementTable, tokens: readonly ByteSpan[], evidence: Evidence): TokenCredit[] {
  const executed = executedStatements(table, evidence.trace);
  const erring = statementsOn(table, errorLines(evidence));
  const diverging = statementsOn(table, [evidence.divergence?.line]);
  return tokenStatements(table, tokens).map((statement) => ({
    statement,
    executed: executed.has(statement),
    erring: erring.has(statement),
    diverging: diverging.has(statement),
  }));
}

/**
 * The lines of the exception that ended a run: where it was raised and, if that was in an inner call, the line of the
 * entry frame that led there. Empty for a run that no exception ended.
 */
export function errorLines({ trace, error }: Evidence): number[] {
  if (!trace) return error?.line ? [error.line] : [];
  const crash = crashOf(trace);
  return crash ? [...new Set([crash.line, crash.entryLine])] : [];
}

/** Statements that had a line event or, of function headers, a call. Lines that ran come from the whole run, calls only from the events that were kept. */
export function executedStatements(table: StatementTable, trace: Trace | undefined): Set<number> {
  if (!trace) return new Set();
  const calls = trace.events.filter((event) => event.event_type === "call").map((event) => event.line_number);
  return statementsOn(table, [...trace.lines_covered, ...calls]);
}

/** Statements that own a byte of one of the lines (1-based; null and 0 are none). */
export function statementsOn(table: StatementTable, lines: readonly (number | null | undefined)[]): Set<number> {
  return new Set(lines.flatMap((line) => table.onLine.get(line ?? 0) ?? []));
}

/**
 * Ochiai suspiciousness of every statement over several tests of one program: fail(s) / sqrt(all failing * runs of s),
 * in [0, 1], 0 where it never ran. Null without both a passing and a failing test, when nothing can be compared.
 */
export function suspiciousness(
  table: StatementTable,
  runs: readonly { trace: Trace; passed: boolean }[],
): number[] | null {
  const failing = runs.filter(({ passed }) => !passed).length;
  if (failing === 0 || failing === runs.length) return null;
  const ran = runs.map(({ trace, passed }) => ({ passed, executed: executedStatements(table, trace) }));
  return table.statements.map((_, statement) => {
    const hits = ran.filter(({ executed }) => executed.has(statement));
    const failed = hits.filter(({ passed }) => !passed).length;
    return hits.length === 0 ? 0 : failed / Math.sqrt(failing * hits.length);
  });
}
