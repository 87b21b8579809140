// AdamW with 8-bit moments in float64: the algorithm of wgsl/adamw8.wgsl with a table and a search for the nearest code.
const BLOCK = 256;

/** Values of the codes in rising order: 129 of 7 bits beside a sign (the last is 1), 256 of 8 bits. */
export function createCodes(bits: 7 | 8): number[] {
  const values = [0];
  for (let i = 0; i < 7; i++) {
    const parts = 1 << (i + bits - 7);
    // linspace(0.1, 1, parts + 1) and the middles of its neighbours
    const border = (j: number) => 0.1 + 0.9 * j / parts;
    for (let j = 0; j < parts; j++) values.push((border(j) + border(j + 1)) / 2 * Math.pow(10, i - 6));
  }
  return [...values, 1];
}

function nearest(codes: readonly number[], x: number): number {
  let best = 0;
  for (let c = 1; c < codes.length; c++) if (Math.abs(codes[c] - x) < Math.abs(codes[best] - x)) best = c;
  return best;
}

/** A page of weights, updated in place by `step`; gradients as the page holds them, without clipping. */
export function reference8(
  w: Float64Array,
  { lr, beta1, beta2, eps, weightDecay }: Record<"lr" | "beta1" | "beta2" | "eps" | "weightDecay", number>,
) {
  const seven = createCodes(7), eight = createCodes(8);
  const first = new Uint8Array(w.length), second = new Uint8Array(w.length);
  const scales = new Float64Array(Math.ceil(w.length / BLOCK) * 2);
  const signed = (code: number) => code > 128 ? -seven[code - 128] : seven[code];
  const signedCode = (x: number) => {
    const code = nearest(seven, Math.abs(x));
    return x < 0 && code > 0 ? 128 + Math.min(code, 127) : code;
  };
  return {
    w,
    step(g: ArrayLike<number>, t: number) {
      for (let b = 0; b * BLOCK < w.length; b++) {
        const range = Array.from({ length: Math.min(BLOCK, w.length - b * BLOCK) }, (_, i) => b * BLOCK + i);
        const m = range.map((i) => beta1 * signed(first[i]) * scales[2 * b] + (1 - beta1) * g[i]);
        const v = range.map((i) => beta2 * eight[second[i]] * scales[2 * b + 1] + (1 - beta2) * g[i] * g[i]);
        range.forEach((i, k) => {
          w[i] -= lr * weightDecay * w[i];
          w[i] -= lr * (m[k] / (1 - beta1 ** t)) / (Math.sqrt(v[k] / (1 - beta2 ** t)) + eps);
        });
        const [most, mostSquare] = [Math.max(...m.map(Math.abs)), Math.max(...v)];
        scales[2 * b] = most;
        scales[2 * b + 1] = mostSquare;
        range.forEach((i, k) => {
          first[i] = most > 0 ? signedCode(m[k] / most) : 0;
          second[i] = mostSquare > 0 ? Math.max(nearest(eight, v[k] / mostSquare), Number(v[k] > 0)) : 0;
        });
      }
    },
    scales: () => scales,
    /** As in memory: of every four elements four first moments, then four second ones. */
    codes: () =>
      Uint8Array.from({ length: 2 * w.length }, (_, i) => {
        const element = (i >> 3) * 4 + (i & 3);
        return i % 8 < 4 ? first[element] : second[element];
      }),
  };
}
