/** Results as they are kept to form pairs from: what orders and agreement need, without traces and long values. */
import type { ProgramResult } from "./schema.ts";

/** Longer values of a stream are kept as a hash: only whether two are equal is ever asked. */
const longestValue = 11;

/**
 * The result with `trace`, call texts, messages and shown values left out, and every value of the streams of at most 11
 * characters. Agreement between two such results is that between the whole ones, but for a hash of 53 bits that two
 * different values share.
 */
export function shortResult(result: ProgramResult): ProgramResult {
  const { trace: _trace, traceTest: _test, error: _error, tests, ...rest } = result;
  return {
    ...rest,
    tests: tests.map(({ index, outcome, verdict, steps, values }) => ({
      index,
      outcome,
      verdict,
      source: "",
      steps,
      ...(values ? { values: values.map(shortValue) } : {}),
    })),
  };
}

function shortValue(value: string): string {
  return value.length <= longestValue ? value : `#${hash53(value).toString(36)}`;
}

/** A hash of a text, as a whole number below 2^53: two 32-bit multiplicative hashes, each well mixed at the end. */
export function hash53(text: string, seed = 0): number {
  let [low, high] = [0x811c9dc5 ^ seed, 0x41c6ce57 ^ seed];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x5f356495);
  }
  return (mixed(high ^ low >>> 15) & 0x1fffff) * 2 ** 32 + mixed(low ^ high >>> 13);
}

/** A bijection of 32-bit words in which every input bit moves every output bit (C. Wellons' lowbias32). */
function mixed(x: number): number {
  x = Math.imul(x ^ x >>> 16, 0x7feb352d);
  x = Math.imul(x ^ x >>> 15, 0x846ca68b);
  return (x ^ x >>> 16) >>> 0;
}
