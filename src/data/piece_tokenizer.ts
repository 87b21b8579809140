/**
 * The small SentencePiece-style encoder of llama2.c models: pieces with scores; neighbours merge as long as their union
 * is a piece, best score first; characters without a piece fall back to bytes.
 */
import type { Tokenizer } from "./tokenizer.ts";

export interface Piece {
  id: number;
  piece: string;
  score: number;
}

const UNKNOWN_ID = 0;
const BOS_ID = 1;
const EOS_ID = 2;
/** Ids 3 to 258 stand for the bytes 0 to 255. */
const FIRST_BYTE_ID = 3;
const FIRST_TEXT_ID = FIRST_BYTE_ID + 256;

/** A tokenizer over pieces whose index is their id. Padding is the unknown token. */
export function pieceTokenizer(pieces: Piece[]): Tokenizer {
  const ids = new Map<string, number>();
  for (const { id, piece } of pieces) if (id >= FIRST_TEXT_ID && !ids.has(piece)) ids.set(piece, id);
  const utf8 = new TextEncoder();

  function encode(text: string): number[] {
    if (text === "") return [];
    // The leading space is SentencePiece's "dummy prefix": a word is the same at the start and inside of a text.
    let tokens = [...` ${text}`].flatMap((character) => {
      const id = ids.get(character);
      return id === undefined ? Array.from(utf8.encode(character), (byte) => byte + FIRST_BYTE_ID) : [id];
    });
    while (true) {
      const merge = bestMerge(tokens);
      if (!merge) return tokens;
      tokens = [...tokens.slice(0, merge.at), merge.id, ...tokens.slice(merge.at + 2)];
    }
  }

  function bestMerge(tokens: number[]): { at: number; id: number } | null {
    let best: { at: number; id: number } | null = null;
    for (let at = 0; at + 1 < tokens.length; at++) {
      if (tokens[at] < FIRST_TEXT_ID || tokens[at + 1] < FIRST_TEXT_ID) continue;
      const id = ids.get(pieces[tokens[at]].piece + pieces[tokens[at + 1]].piece);
      if (id !== undefined && (!best || pieces[id].score > pieces[best.id].score)) best = { at, id };
    }
    return best;
  }

  function decode(tokens: number[]): string {
    const bytes = tokens.filter((id) => id >= FIRST_BYTE_ID).flatMap((id) => {
      if (id >= pieces.length) {
        throw new Error(`Cannot decode: token ${id} is outside the vocabulary of ${pieces.length}`);
      }
      return id < FIRST_TEXT_ID ? [id - FIRST_BYTE_ID] : [...utf8.encode(pieces[id].piece)];
    });
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    return text.startsWith(" ") ? text.slice(1) : text;
  }

  return { encode, decode, vocabSize: pieces.length, bosId: BOS_ID, eosId: EOS_ID, padId: UNKNOWN_ID };
}
