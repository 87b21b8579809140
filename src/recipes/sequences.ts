/** Prompt and completion as token sequences: tokenized apart and joined, so that no merge crosses the border. */
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Sequence } from "./batches.ts";

export interface CompletionRow {
  prompt: string;
  completion: string;
}

/** Token ids of a prompt, BOS in front where the tokenizer has one. */
export function promptTokens(tokenizer: Tokenizer, prompt: string): number[] {
  const ids = tokenizer.encode(prompt);
  return tokenizer.bosId === null ? ids : [tokenizer.bosId, ...ids];
}

/** BOS prompt completion EOS. */
export function tokenizeRow(tokenizer: Tokenizer, row: CompletionRow): Sequence {
  const prompt = promptTokens(tokenizer, row.prompt);
  return { tokens: [...prompt, ...tokenizer.encode(row.completion), tokenizer.eosId], promptLength: prompt.length };
}

/** All rows that fit into `maxTokens`; the number of those left out is for the caller to report. */
export function tokenizeRows(
  tokenizer: Tokenizer,
  rows: readonly CompletionRow[],
  maxTokens: number,
): { sequences: Sequence[]; tooLong: number } {
  const all = rows.map((row) => tokenizeRow(tokenizer, row));
  const sequences = all.filter((sequence) => sequence.tokens.length - 1 <= maxTokens);
  return { sequences, tooLong: all.length - sequences.length };
}
