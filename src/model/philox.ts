/**
 * Philox4x32-10 on the host (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): the same bits as
 * wgsl/lib/philox.wgsl. Counter-based: a draw depends on (seed, stream, index) alone, never on what was drawn before.
 */

function mulWide(a: number, b: number): [low: number, high: number] {
  const product = BigInt(a >>> 0) * BigInt(b >>> 0);
  return [Number(product & 0xffffffffn), Number(product >> 32n)];
}

export function philox(counter: ArrayLike<number>, key: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  let [c0, c1, c2, c3] = Array.from(counter, (word) => word >>> 0);
  let [k0, k1] = Array.from(key, (word) => word >>> 0);
  for (let round = 0; round < 10; round++) {
    const [low0, high0] = mulWide(0xd2511f53, c0);
    const [low1, high1] = mulWide(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/** 24 random bits as a number in [0, 1). */
export function unitFloat(bits: number): number {
  return (bits >>> 8) / 16777216;
}

/** A deterministic stream of uniform numbers for the host: shuffles, initial weights, bootstraps. */
export function uniformStream(seed: number, stream: number): () => number {
  let index = 0;
  let block = new Uint32Array(4);
  return () => {
    if (index % 4 === 0) block = philox([index / 4, 0, stream, 1], [seed, 0]);
    return unitFloat(block[index++ % 4]);
  };
}

/** A new array in random order (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], uniform: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
