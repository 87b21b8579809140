/** Float64 references of every differentiable kernel, written for clarity. Arrays are row-major. */

export type F64 = Float64Array;
const zeros = (n: number) => new Float64Array(n);

export function linear(x: F64, w: F64, N: number, I: number, O: number, bias?: F64): F64 {
  const y = zeros(N * O);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < I; i++) sum += x[n * I + i] * w[o * I + i];
      y[n * O + o] = sum;
    }
  }
  return y;
}

export function embedding(ids: ArrayLike<number>, table: F64, C: number): F64 {
  const y = zeros(ids.length * C);
  for (let n = 0; n < ids.length; n++) for (let c = 0; c < C; c++) y[n * C + c] = table[ids[n] * C + c];
  return y;
}

export function rmsnorm(x: F64, gain: F64, eps: number): F64 {
  const C = gain.length;
  const y = zeros(x.length);
  for (let n = 0; n < x.length / C; n++) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[n * C + c] ** 2;
    const inv = 1 / Math.sqrt(squares / C + eps);
    for (let c = 0; c < C; c++) y[n * C + c] = x[n * C + c] * inv * gain[c];
  }
  return y;
}

/** Rotates the query and key heads of qkv [N,H+2G,D]. */
export function layernorm(x: F64, gain: F64, bias: F64, eps: number): F64 {
  const C = gain.length;
  const y = zeros(x.length);
  for (let n = 0; n < x.length / C; n++) {
    const row = x.subarray(n * C, (n + 1) * C);
    const mean = row.reduce((sum, value) => sum + value, 0) / C;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C;
    for (let c = 0; c < C; c++) y[n * C + c] = (row[c] - mean) / Math.sqrt(variance + eps) * gain[c] + bias[c];
  }
  return y;
}

export function gelu(x: F64): F64 {
  return x.map((z) => 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))));
}

export function rope(
  qkv: F64,
  positions: ArrayLike<number>,
  { H, G, D }: { H: number; G: number; D: number },
  theta: number,
): F64 {
  const y = qkv.slice();
  for (let n = 0; n < positions.length; n++) {
    for (let h = 0; h < H + G; h++) {
      for (let d = 0; d < D / 2; d++) {
        const angle = positions[n] * Math.pow(theta, -2 * d / D);
        const low = (n * (H + 2 * G) + h) * D + d, high = low + D / 2;
        y[low] = qkv[low] * Math.cos(angle) - qkv[high] * Math.sin(angle);
        y[high] = qkv[high] * Math.cos(angle) + qkv[low] * Math.sin(angle);
      }
    }
  }
  return y;
}

interface AttentionSizes {
  B: number;
  T: number;
  H: number;
  G: number;
  D: number;
  window?: number;
  segments?: ArrayLike<number>;
  causal?: boolean;
}

/** One query at position t of sequence b, head h, against the keys it sees: plain softmax, no tricks. qkv [B,T,H+2G,D]. */
export function attention(qkv: F64, { B, T, H, G, D, window = T, segments, causal = true }: AttentionSizes): F64 {
  const y = zeros(B * T * H * D);
  const at = (b: number, t: number, head: number) => ((b * T + t) * (H + 2 * G) + head) * D;
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const g = Math.floor(h / (H / G));
      for (let t = 0; t < T; t++) {
        const seen: number[] = [];
        for (let j = 0; j <= (causal ? t : T - 1); j++) {
          if (j > t - window && (!segments || segments[b * T + j] === segments[b * T + t])) seen.push(j);
        }
        const scores = seen.map((j) => {
          let dot = 0;
          for (let d = 0; d < D; d++) dot += qkv[at(b, t, h) + d] * qkv[at(b, j, H + g) + d];
          return dot / Math.sqrt(D);
        });
        const highest = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        for (let d = 0; d < D; d++) {
          let sum = 0;
          seen.forEach((j, i) => sum += weights[i] / total * qkv[at(b, j, H + G + g) + d]);
          y[((b * T + t) * H + h) * D + d] = sum;
        }
      }
    }
  }
  return y;
}

export function swiglu(gate: F64, up: F64): F64 {
  return gate.map((z, i) => z / (1 + Math.exp(-z)) * up[i]);
}

export function tokenLogprob(h: F64, w: F64, targets: ArrayLike<number>, C: number): F64 {
  const V = w.length / C;
  const logits = linear(h, w, targets.length, C, V);
  return Float64Array.from({ length: targets.length }, (_, n) => {
    const row = logits.subarray(n * V, (n + 1) * V);
    return row[targets[n]] - logsumexp(row);
  });
}

export function logsumexp(row: F64): number {
  const highest = Math.max(...row);
  return highest + Math.log(row.reduce((sum, z) => sum + Math.exp(z - highest), 0));
}

export function weightedSum(x: F64, w: ArrayLike<number>, B: number): F64 {
  const T = x.length / B;
  const out = zeros(B);
  for (let i = 0; i < x.length; i++) out[Math.floor(i / T)] += x[i] * w[i % w.length];
  return out;
}
