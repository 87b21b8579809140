/**
 * Which tokens of a losing program a preference loss pushes down: the whole program, what differs from the winner, what a
 * trace accuses, or as many tokens at random. The masks that know nothing of a trace (`none`, `diff`, `random-k`,
 * `random-line`) are the control arms: in the project's simulation a random mask did as well as the diverging line.
 *
 * `full` all tokens, EOS too. `none` no token: only the winner teaches. `diff` lines outside the longest common subsequence of
 * both programs' lines (Target-DPO). `div` the first diverging line against the winner. `exec` statements that ran (StepCoder's
 * masking, carried over). `erring` the statement of the exception. `slice` dynamic backward slice. `ochiai` suspiciousness over
 * the program's own tests. `counterfactual` lines whose exchange makes more tests pass.
 * `div-diff` and `slice-diff` those of the accused tokens whose lines differ from the winner's: on real failures the one that the slice
 * accuses most is causal more often than a differing line is (bench/credit.ts).
 *
 * Of every mask but `full` the end token has weight 0, since it is in no statement. `slice`, `slice-diff`, `ochiai` and `counterfactual` are
 * graded: proportional to the credit, the most credited statement has 1; all others are 0 or 1. A mask that has nothing to go by
 * (no trace, no test that passes for `ochiai`, nothing to repair for `counterfactual`) is all 0, which is `none`.
 */
import type { Sample } from "../data/pairs.ts";
import { type Problem, programText } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import { tokenStatements } from "../trace/credit.ts";
import { differingLines, splitLines } from "../trace/line_diff.ts";
import type { Pool } from "../trace/pool.ts";
import { cachedJudge, repairSample } from "./counterfactual.ts";
import { type Failure, scaled, statementCredit, traceFailure } from "./failure.ts";
import { completionSpans, isEnd } from "./token_spans.ts";

export const MASKS = [
  "full",
  "none",
  "diff",
  "div",
  "exec",
  "erring",
  "slice",
  "ochiai",
  "counterfactual",
  "random-k",
  "random-line",
  "div-diff",
  "slice-diff",
] as const;
export type Mask = typeof MASKS[number];

export interface MaskGiven {
  pool: Pool;
  tokenizer: Tokenizer;
  problem: Problem;
  winner: Sample;
  loser: Sample;
  seed: number;
  /** What the random masks imitate: as many tokens, of the same weights. `div` if missing. */
  like?: Mask;
}

/** Weights of the loser's completion tokens (EOS included), in [0, 1]. The same seed gives the same weights. */
export async function loserWeights(mask: Mask, given: MaskGiven): Promise<number[]> {
  const { pool, tokenizer, problem, winner, loser, seed, like = "div" } = given;
  const { tokens } = loser;
  switch (mask) {
    case "full":
      return tokens.map(() => 1);
    case "none":
      return tokens.map(() => 0);
    case "diff":
    case "counterfactual": {
      const credit = await lineCredit(mask, pool, problem, loser, winner);
      return lineTokens(tokenizer, problem, loser).map((line) => credit.get(line) ?? 0);
    }
    case "random-k":
    case "random-line": {
      if (like === "random-k" || like === "random-line") {
        throw new Error(`Cannot make the mask ${mask}: like is "${like}", which has no size of its own`);
      }
      const weights = await loserWeights(like, given);
      const random = uniformStream(seed, streamOf(`${problem.id}#${loser.index}`));
      return mask === "random-k"
        ? shuffledTokens(weights, tokenizer, tokens, random)
        : shuffledLines(weights, lineTokens(tokenizer, problem, loser), random);
    }
    case "div-diff":
    case "slice-diff": {
      const differs = await loserWeights("diff", given);
      const accused = await loserWeights(mask === "div-diff" ? "div" : "slice", given);
      return scaled(accused.map((weight, index) => differs[index] * weight));
    }
    default: {
      const failure = await traceFailure(pool, problem, loser, winner);
      return statementTokens(tokenizer, failure, loser, await statementCredit(mask, pool, failure));
    }
  }
}

/** The credit of its statement for every completion token; 0 for the end token. */
export function statementTokens(
  tokenizer: Tokenizer,
  { problem, table }: Pick<Failure, "problem" | "table">,
  sample: Sample,
  credit: readonly number[],
): number[] {
  const statements = tokenStatements(table, completionSpans(tokenizer, problem, sample));
  return statements.map((statement, index) => isEnd(tokenizer, sample.tokens, index) ? 0 : credit[statement]);
}

/** Weights of lines (1-based) of the loser's program, the largest 1; those without are not in it. */
async function lineCredit(
  mask: "diff" | "counterfactual",
  pool: Pool,
  problem: Problem,
  loser: Sample,
  winner: Sample,
): Promise<Map<number, number>> {
  if (mask === "diff") {
    const [own, other] = [loser, winner].map(({ completion }) => splitLines(programText(problem, completion)));
    return new Map(differingLines(own, other).map((line) => [line, 1]));
  }
  const { lines } = await repairSample(cachedJudge(pool, problem, [winner]), problem, loser, winner);
  const most = Math.max(...lines.map(([, weight]) => weight));
  return new Map(lines.map(([line, weight]) => [line, weight / most]));
}

/** The line (1-based) of each completion token's first byte that is no white space, here or behind it; 0 for the end token. */
export function lineTokens(tokenizer: Tokenizer, problem: Problem, sample: Sample): number[] {
  const text = new TextEncoder().encode(programText(problem, sample.completion));
  const blank = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13);
  const line = new Int32Array(text.length + 1);
  let number = 1;
  for (let at = 0; at < text.length; at++) {
    line[at] = number;
    if (text[at] === 10 || (text[at] === 13 && text[at + 1] !== 10)) number++;
  }
  // What follows the last code byte belongs to its line.
  let next = Math.max(0, text.findLastIndex((byte) => !blank(byte)));
  line[text.length] = line[next];
  for (let at = text.length - 1; at >= 0; at--) {
    if (at <= next && !blank(text[at])) next = at;
    line[at] = line[next];
  }
  return completionSpans(tokenizer, problem, sample).map(([start], index) =>
    isEnd(tokenizer, sample.tokens, index) ? 0 : line[start]
  );
}

/** The same weights on other tokens, drawn uniformly; the end token keeps its own. */
function shuffledTokens(
  weights: readonly number[],
  tokenizer: Tokenizer,
  tokens: readonly number[],
  random: () => number,
): number[] {
  const inner = weights.flatMap((_, index) => isEnd(tokenizer, tokens, index) ? [] : [index]);
  const drawn = shuffled(inner, random);
  const result = [...weights];
  inner.forEach((index, place) => result[drawn[place]] = weights[index]);
  return result;
}

/** The same non-zero weights on the tokens of whole lines, drawn one after the other; the last line only as far as needed. */
function shuffledLines(weights: readonly number[], lines: readonly number[], random: () => number): number[] {
  const order = shuffled([...new Set(lines.filter((line) => line > 0))], random);
  const places = order.flatMap((line) => lines.flatMap((other, index) => other === line ? [index] : []));
  const result = weights.map((weight, index) => lines[index] === 0 ? weight : 0);
  weights.filter((weight, index) => weight !== 0 && lines[index] !== 0).forEach((weight, place) =>
    result[places[place]] = weight
  );
  return result;
}

/** A random stream of its own for every sample (FNV-1a), so that masks don't depend on the order of pairs. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
