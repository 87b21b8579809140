/** From token sequences to the arrays of a batch: buckets, padding, shifted targets, completion masks. */

export interface Sequence {
  /** Prompt and completion, EOS included. */
  tokens: readonly number[];
  /** Tokens of the prompt (BOS included): the loss starts behind them. */
  promptLength: number;
}

/** Padded lengths: a plan is recorded once per bucket, so there are few. */
const BUCKETS = [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

/** The padded length for `length` positions, at most `longest` (the positions a model has). */
export function bucketOf(length: number, longest = BUCKETS[BUCKETS.length - 1]): number {
  if (length > longest) throw new Error(`Cannot batch a sequence of ${length} tokens: there is room for ${longest}`);
  return Math.min(longest, BUCKETS.find((size) => size >= length) ?? longest);
}

/** All buckets that sequences of `shortest` to `most` positions can fall into. */
export function bucketsBetween(shortest: number, most: number, longest?: number): number[] {
  const [low, high] = [bucketOf(shortest, longest), bucketOf(most, longest)];
  return [...new Set([low, ...BUCKETS.filter((size) => size > low && size < high), high])];
}

export interface BatchArrays {
  /** [B,T] right padded with the pad id. */
  ids: Uint32Array;
  /** [B,T] the next token of each position (0 behind the end). */
  targets: Uint32Array;
  /** [B,T] 1 where the target is a completion token (EOS included), else 0. */
  mask: Float32Array;
  /** Ones in `mask`, per sequence. */
  counts: number[];
}

/** Position t of a row holds token t and predicts token t + 1, so a sequence of n tokens fills n - 1 positions. */
export function batchArrays(sequences: readonly Sequence[], B: number, T: number, padId: number): BatchArrays {
  const ids = new Uint32Array(B * T).fill(padId);
  const targets = new Uint32Array(B * T);
  const mask = new Float32Array(B * T);
  const counts = sequences.map(({ tokens, promptLength }, b) => {
    if (tokens.length - 1 > T) {
      throw new Error(`Cannot batch a sequence of ${tokens.length} tokens into ${T} positions`);
    }
    let count = 0;
    for (let t = 0; t + 1 < tokens.length; t++) {
      ids[b * T + t] = tokens[t];
      targets[b * T + t] = tokens[t + 1];
      if (t + 1 >= promptLength) {
        mask[b * T + t] = 1;
        count++;
      }
    }
    return count;
  });
  return { ids, targets, mask, counts };
}

/** Puts token weights in the place of the ones that a mask has from position `start` on. Error: another number of them. */
export function placeWeights(mask: Float32Array, start: number, sequence: Sequence, weights: ArrayLike<number>): void {
  const { tokens, promptLength } = sequence;
  const completion = tokens.length - promptLength;
  if (weights.length !== completion) {
    throw new Error(`Cannot weigh a sequence: ${weights.length} weights for ${completion} completion tokens`);
  }
  mask.set(Array.from(weights), start + promptLength - 1);
}

/** Positions a sequence needs. */
export function positionsOf(sequence: Sequence): number {
  return sequence.tokens.length - 1;
}
