/** Which bytes of a program each completion token stands for: the ground for giving tokens credit. */
import { type Problem, programText } from "../data/problem.ts";
import type { Sample } from "../data/pairs.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { ByteSpan } from "../trace/credit.ts";

/**
 * Spans in the UTF-8 bytes of `programText(problem, completion)`, one per completion token, in order and without gaps.
 *
 * Special tokens, the end token above all, have no text and an empty span. Of the tokens that share one character the last
 * one has it: which of its bytes are whose is not to be seen in decoded text, and all of them are in one statement anyway.
 *
 * Error: `Cannot place the tokens of mbpp/3#1: they decode to "…", its completion is "…"`.
 */
export function completionSpans(
  tokenizer: Tokenizer,
  problem: Problem,
  sample: Pick<Sample, "completion" | "tokens" | "index">,
): ByteSpan[] {
  const { completion, tokens } = sample;
  // In the middle of a text, as sampled; or as if it began one, as a completion that was cut and tokenized again.
  const ends = characterEnds(tokenizer, tokens, completion, true) ??
    characterEnds(tokenizer, tokens, completion, false);
  if (!ends) {
    const show = (text: string) => JSON.stringify(text.length <= 80 ? text : `${text.slice(0, 80)}…`);
    throw new Error(
      `Cannot place the tokens of ${problem.id}#${sample.index}: they decode to ${show(tokenizer.decode(tokens))}, ` +
        `its completion is ${show(completion)}`,
    );
  }
  const head = utf8Length(programText(problem, completion)) - utf8Length(completion);
  let at = 0;
  let start = head;
  return ends.map((end) => {
    const span = [start, start + utf8Length(completion.slice(at, end))] as const;
    at = end;
    start = span[1];
    return span;
  });
}

/** Whether a token is the end of the completion and no part of its text. */
export function isEnd(tokenizer: Tokenizer, tokens: readonly number[], index: number): boolean {
  return index === tokens.length - 1 && tokens[index] === tokenizer.eosId;
}

/** Per token, the index behind its last character; null if the tokens are not those of the text. */
function characterEnds(
  tokenizer: Tokenizer,
  tokens: readonly number[],
  text: string,
  inside: boolean,
): number[] | null {
  // Behind other text no tokenizer drops a leading space.
  const before = tokenizer.encode("a");
  const shown = tokenizer.decode(before).length;
  let clean = 0; // up to this token all characters are whole
  let at = 0; // where its text ends
  let known = 0;
  const ends = tokens.map((_, index) => {
    const some = tokens.slice(clean, index + 1);
    const piece = clean > 0 || inside ? tokenizer.decode([...before, ...some]).slice(shown) : tokenizer.decode(some);
    let same = 0;
    while (same < piece.length && piece[same] === text[at + same]) same++;
    known = Math.max(known, at + same);
    if (same === piece.length && !piece.endsWith("\ufffd") && (at > 0 || piece !== "")) {
      clean = index + 1;
      at += piece.length;
    }
    return known;
  });
  return known === text.length ? ends : null;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
