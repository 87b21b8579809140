/** Text to token ids and back, from the files of a model folder. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import type { Host } from "../host/host.ts";
import { type Piece, pieceTokenizer } from "./piece_tokenizer.ts";

export interface Tokenizer {
  /** Token ids of a text; adds no special tokens. */
  encode(text: string): number[];
  /**
   * Text of token ids, without start, end and padding tokens. Llama's tokenizers put a space before a text and drop it here: a
   * continuation must be decoded together with what it continues (decodeContinuation).
   */
  decode(ids: number[]): string;
  /** Ids run from 0 to vocabSize - 1, special tokens included. */
  vocabSize: number;
  bosId: number | null;
  eosId: number;
  /** Differs from eosId unless the tokenizer has neither a padding nor an unknown token: mask padding by length. */
  padId: number;
}

type Json = Record<string, unknown>;

/**
 * Loads `tokenizer.json` (all kinds the `tokenizers` library knows) with tokenizer_config.json, special_tokens_map.json
 * and config.json where they exist, or else a piece list `tok*.json` as published for llama2.c.
 */
export async function loadTokenizer(host: Host, dir: string): Promise<Tokenizer> {
  if (!await host.exists(`${dir}/tokenizer.json`)) return loadPieces(host, dir);
  const path = `${dir}/tokenizer.json`;
  const json = await readJson(host, path);
  if (!isObject(json) || !isObject(json.model)) {
    throw new Error(`Cannot load ${path}: field "model" is missing, this is not a tokenizer`);
  }
  const config = await readOptional(host, `${dir}/tokenizer_config.json`);
  const special = await readOptional(host, `${dir}/special_tokens_map.json`);
  const model = await readOptional(host, `${dir}/config.json`);
  const inner = new HuggingFaceTokenizer(withUnicodeDigits(json), config);
  const id = (token: unknown): number | null => {
    const text = isObject(token) ? token.content : token;
    return typeof text === "string" ? inner.token_to_id(text) ?? null : null;
  };
  // Usual names count only as special tokens: Qwen's vocabulary holds "</s>" as a piece of plain text.
  const added = inner.get_added_tokens_decoder();
  const named = (key: string, usual: string[]): number | null =>
    id(config[key]) ?? id(special[key]) ?? firstNumber(model[`${key}_id`]) ??
      usual.map(id).find((found) => found !== null && added.has(found)) ?? null;

  const eosId = named("eos_token", ["<eos>", "</s>", "<|endoftext|>", "<｜end▁of▁sentence｜>"]);
  if (eosId === null) throw new Error(`Cannot load ${path}: no end token is named in ${dir} and none is known by name`);
  const bosId = named("bos_token", ["<bos>", "<s>", "<｜begin▁of▁sentence｜>"]);
  const padId = [named("pad_token", ["<pad>", "<fim_pad>"]), id("<unk>")].find((pad) => pad !== null && pad !== eosId);
  const ids = [...inner.get_vocab(true).values(), ...added.keys()];
  const silent = new Set([bosId, eosId, padId]);
  return {
    encode: (text) => inner.encode(text, { add_special_tokens: false }).ids,
    // Not skip_special_tokens: DeepSeek's list of special tokens holds letters such as "ü".
    decode: (tokens) => {
      const shown = tokens.filter((token) => !silent.has(token));
      const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
      return shown.length === 0 ? "" : inner.decode(shown, options);
    },
    vocabSize: ids.reduce((most, value) => Math.max(most, value), -1) + 1,
    bosId,
    eosId,
    padId: padId ?? eosId,
  };
}

/** The text that `ids` add to the text of `context`, exact for every kind of tokenizer. */
export function decodeContinuation(tokenizer: Tokenizer, context: number[], ids: number[]): string {
  return tokenizer.decode([...context, ...ids]).slice(tokenizer.decode(context).length);
}

/**
 * The Rust library's Digits step splits at everything that counts as a number in Unicode ("½" too), the JavaScript one
 * only at decimal digits. A Split step with the same meaning mends that.
 */
function withUnicodeDigits(json: Json): Json {
  const mend = (step: unknown): unknown => {
    if (!isObject(step)) return step;
    if (Array.isArray(step.pretokenizers)) return { ...step, pretokenizers: step.pretokenizers.map(mend) };
    if (step.type !== "Digits") return step;
    const pattern = { Regex: step.individual_digits ? "\\p{N}" : "\\p{N}+" };
    return { type: "Split", pattern, behavior: "Isolated", invert: false };
  };
  return { ...json, pre_tokenizer: mend(json.pre_tokenizer) };
}

async function loadPieces(host: Host, dir: string): Promise<Tokenizer> {
  const name = (await host.list(dir)).find((file) => /^tok.*\.json$/.test(file));
  if (!name) throw new Error(`Cannot load a tokenizer from ${dir}: it holds no tokenizer.json`);
  const pieces = await readJson(host, `${dir}/${name}`);
  const isPiece = (piece: unknown, index: number) =>
    isObject(piece) && piece.id === index && typeof piece.piece === "string" && typeof piece.score === "number";
  const broken = Array.isArray(pieces) ? pieces.findIndex((piece, index) => !isPiece(piece, index)) : 0;
  if (broken !== -1) throw new Error(`Cannot load ${dir}/${name}: entry ${broken} is no {id, piece, score} in order`);
  return pieceTokenizer(pieces as unknown as Piece[]);
}

async function readJson(host: Host, path: string): Promise<Json> {
  const text = await host.readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot load ${path}: it is not JSON (${(error as Error).message})`);
  }
}

async function readOptional(host: Host, path: string): Promise<Json> {
  return await host.exists(path) ? await readJson(host, path) : {};
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstNumber(value: unknown): number | null {
  const first = Array.isArray(value) ? value[0] : value;
  return typeof first === "number" ? first : null;
}
