/**
 * How nearly a failing program computes what a passing one computes: their value-change streams, compared test by
 * test. A stream holds the values that variables took (no names, no lines), then the returned value or the exception
 * type, so renaming and moving lines change nothing and padding with new values can only lower it.
 */
import { codeTokens, editDistance, normalisedCode } from "./code_tokens.ts";
import type { ProgramResult } from "./schema.ts";

/** Longer streams are cut: the table of the common subsequence is quadratic. */
export const maxStreamLength = 400;
/** Siblings looked at per program. */
export const maxSiblings = 4;

/** Length of the longest common subsequence. */
export function commonLength(a: readonly string[], b: readonly string[]): number {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const width = endB - start;
  let above = new Uint16Array(width + 1);
  let row = new Uint16Array(width + 1);
  for (let i = start; i < endA; i++) {
    for (let j = 0; j < width; j++) {
      row[j + 1] = a[i] === b[start + j] ? above[j] + 1 : Math.max(above[j + 1], row[j]);
    }
    [above, row] = [row, above];
  }
  return start + above[width] + (a.length - endA);
}

/** F1 of the common subsequence: 2 LCS / (|a| + |b|), in [0, 1]; 1 for two empty streams. */
export function streamAgreement(a: readonly string[], b: readonly string[]): number {
  const [cutA, cutB] = [a.slice(0, maxStreamLength), b.slice(0, maxStreamLength)];
  if (cutA.length + cutB.length === 0) return 1;
  return 2 * commonLength(cutA, cutB) / (cutA.length + cutB.length);
}

/** Share of the sibling's stream that the candidate reproduces before it first differs, in [0, 1]; 1 if that is empty. */
export function prefixAgreement(candidate: readonly string[], sibling: readonly string[]): number {
  const [cut, cutSibling] = [candidate.slice(0, maxStreamLength), sibling.slice(0, maxStreamLength)];
  const differs = cutSibling.findIndex((value, place) => value !== cut[place]);
  return differs === -1 ? 1 : differs / cutSibling.length;
}

/**
 * Per test, the candidate's best agreement with one of the siblings (streams by sibling, then test); null without
 * siblings. The best, not the mean, so that a program need not have every sibling's style.
 */
export function agreement(
  candidate: readonly (readonly string[])[],
  siblings: readonly (readonly (readonly string[])[])[],
): number[] | null {
  if (siblings.length === 0) return null;
  return candidate.map((stream, test) =>
    Math.max(...siblings.map((sibling) => streamAgreement(stream, sibling[test] ?? [])))
  );
}

/** One answer to a prompt, run with `streams: true`. */
export interface Answer {
  code: string;
  result: ProgramResult;
}

/**
 * The agreement of every answer to one prompt with the passing answers to the same prompt: for each, the siblings of
 * smallest token edit distance, no two of them the same program. Without a passing answer, a reference solution's
 * result may stand in; without either, null for all of them, since nothing can be said about any.
 */
export function groupAgreement(answers: readonly Answer[], reference?: Answer): (number[] | null)[] {
  const passing = distinct(answers.filter(({ result }) => result.passed && !result.infra));
  const siblings = passing.length === 0 && reference?.result.passed ? distinct([reference]) : passing;
  return answers.map(({ code, result }) => {
    const tokens = codeTokens(code);
    const nearest = siblings
      .map((sibling, place) => ({ sibling, place, distance: editDistance(tokens, sibling.tokens) }))
      .sort((a, b) => a.distance - b.distance || a.place - b.place)
      .slice(0, maxSiblings);
    const tests = result.tests.map((test) => test.index);
    const chosen = nearest.map(({ sibling }) => tests.map((test) => sibling.streams.get(test) ?? []));
    return agreement(result.tests.map((test) => test.values ?? []), chosen);
  });
}

interface Sibling {
  tokens: string[];
  /** By test index: tests inside a loop may run more often in one program than in another. */
  streams: Map<number, string[]>;
}

function distinct(answers: readonly Answer[]): Sibling[] {
  const byCode = new Map<string, Sibling>();
  for (const { code, result } of answers) {
    const key = normalisedCode(code);
    if (byCode.has(key)) continue;
    byCode.set(key, {
      tokens: codeTokens(code),
      streams: new Map(result.tests.map((test) => [test.index, test.values ?? []])),
    });
  }
  return [...byCode.values()];
}
