/**
 * A byte-level byte-pair encoder, trained from text and written as a Hugging Face tokenizer.json.
 *
 * Sennrich et al. 2016 (arXiv:1508.07909) for the merges, GPT-2 for the byte alphabet. What is ours is the splitting
 * pattern, made for Python: a newline takes the whole indent after it into one token, and digits never join, so that
 * numbers are copied digit by digit.
 */

/** Pieces that merges never cross: newline + indent, a word, one digit, punctuation, other white space. */
export const SPLIT_PATTERN = String.raw`\n *| ?_?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+`;

/** Ids 0, 1, 2. Padding is a token of its own: with PAD = EOS a model never learns to stop. */
export const SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>"] as const;

export interface Bpe {
  /** Token to id, ids dense from 0: special tokens, 256 bytes, merges. */
  vocab: Map<string, number>;
  /** In order of rank. */
  merges: [string, string][];
}

/**
 * GPT-2's bijection between bytes and printable characters: printable Latin-1 stands for itself, the others take the
 * code points from 256 on.
 */
export function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCodePoint(printable ? byte : next++);
  });
}

/**
 * Learns merges until the vocabulary holds `vocabSize` tokens or no pair occurs `minCount` times. Deterministic: the
 * most frequent pair wins, equal counts go to the pair that is first by code points. Time: pieces x merges.
 */
export function trainBpe(texts: Iterable<string>, vocabSize: number, minCount = 2): Bpe {
  const smallest = SPECIAL_TOKENS.length + 256;
  if (vocabSize < smallest) {
    throw new Error(`Cannot train BPE: vocabSize is ${vocabSize}, special tokens and bytes alone take ${smallest}`);
  }
  const alphabet = byteAlphabet();
  const vocab = new Map<string, number>();
  for (const token of [...SPECIAL_TOKENS, ...alphabet]) vocab.set(token, vocab.size);

  const pieces = countPieces(texts, alphabet);
  const merges: [string, string][] = [];
  while (vocab.size < vocabSize) {
    const best = mostFrequentPair(pieces);
    if (!best || best.count < minCount) break;
    const [left, right] = best.pair;
    merges.push([left, right]);
    vocab.set(left + right, vocab.size);
    for (const piece of pieces) piece.symbols = mergePair(piece.symbols, left, right);
  }
  return { vocab, merges };
}

interface Piece {
  symbols: string[];
  count: number;
}

function countPieces(texts: Iterable<string>, alphabet: string[]): Piece[] {
  const counts = new Map<string, number>();
  const pattern = new RegExp(SPLIT_PATTERN, "gu");
  for (const text of texts) {
    for (const [piece] of text.matchAll(pattern)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  const utf8 = new TextEncoder();
  return [...counts].map(([piece, count]) => ({
    symbols: Array.from(utf8.encode(piece), (byte) => alphabet[byte]),
    count,
  }));
}

function mostFrequentPair(pieces: Piece[]): { pair: [string, string]; count: number } | null {
  // A space separates the two halves of a key: no symbol of the byte alphabet is a space.
  const counts = new Map<string, number>();
  for (const { symbols, count } of pieces) {
    for (let i = 1; i < symbols.length; i++) {
      const key = `${symbols[i - 1]} ${symbols[i]}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  let best: string | null = null;
  let most = 0;
  for (const [key, count] of counts) {
    if (count > most || (count === most && best !== null && key < best)) [best, most] = [key, count];
  }
  return best === null ? null : { pair: best.split(" ") as [string, string], count: most };
}

function mergePair(symbols: string[], left: string, right: string): string[] {
  if (!symbols.includes(left)) return symbols;
  const merged: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    if (symbols[i] === left && symbols[i + 1] === right) {
      merged.push(left + right);
      i++;
    } else merged.push(symbols[i]);
  }
  return merged;
}

/** The content of tokenizer.json, as the `tokenizers` libraries read it. */
export function tokenizerJson({ vocab, merges }: Bpe): Record<string, unknown> {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: SPLIT_PATTERN }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
}

/** The content of tokenizer_config.json beside it. `contextLength` in tokens. */
export function tokenizerConfig(contextLength: number): Record<string, unknown> {
  const [pad, bos, eos] = SPECIAL_TOKENS;
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    pad_token: pad,
    bos_token: bos,
    eos_token: eos,
    unk_token: null,
    add_bos_token: false,
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    model_max_length: contextLength,
  };
}
