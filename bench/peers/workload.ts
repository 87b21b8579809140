/**
 * The fixed workloads of the peer comparison, and the rules every contestant keeps. torch_gpt.py holds the same in Python.
 *
 * MODEL: a decoder-only GPT, pre-LN, learned positions, untied head, float32 throughout (weights, activations, moments).
 *   x = wte[ids] + wpe[0..T-1]
 *   per layer: x += c_proj(attention(c_attn(ln_1(x))));  x += mlp.c_proj(gelu(mlp.c_fc(ln_2(x))))
 *   logits = lm_head(ln_f(x))
 * Every linear has a bias but lm_head; linear weights are [out, in] (Hugging Face stores GPT-2's the other way round: only
 * the names are theirs). c_attn gives q, k, v in that order, each C wide; heads lie side by side in C, D = C / H; attention
 * is causal, scaled by 1 / sqrt(D). LayerNorm has gain and bias, eps 1e-5, biased variance. GELU is the tanh form:
 * 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). The MLP is 4 C wide.
 *
 * LOSS: the mean of -log p(next token) over all B * T positions.
 *
 * OPTIMIZER: AdamW as torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01): betas 0.9 and 0.999, eps 1e-8 added after
 * the bias correction, decoupled decay of every parameter (gains and biases too). No clipping, no schedule.
 *
 * WEIGHTS: tensor k of `weightSpecs` holds, at flat index i, float32(mean + spread * u) with u = uniform(1, k, i) in [-1, 1),
 * everything before the last rounding in float64. Gains have mean 1; nothing is zero, so a contestant that leaves out a
 * bias does not pass.
 *
 * BATCHES: step s (from 0) has B rows of T + 1 tokens, ids = the first T, targets = the last T. A row repeats one of 8
 * phrases, so the loss falls: phrase p = hash(2, s, b) % 8 is 5 + p tokens long, and the token at t is
 * hash(3, p, t % (5 + p)) % V.
 *
 * A STEP, as it is timed: upload of ids and targets, forward, backward, update, and the loss read back as a number. The
 * first step, which compiles, is not counted. Every contestant must give PyTorch's losses (float64, test/golden/
 * gpt_torch.json) within 1e-4 for 20 steps.
 */

/** Sizes of one workload. Letters as everywhere: B sequences, T tokens, C width, L layers, H heads, V vocabulary. */
export interface GptShape {
  V: number;
  T: number;
  C: number;
  L: number;
  H: number;
  B: number;
}

export const shapes = {
  /** For tests: small, and V a multiple of nothing. */
  nano: { V: 67, T: 20, C: 48, L: 2, H: 3, B: 3 },
  tiny: { V: 512, T: 128, C: 128, L: 4, H: 4, B: 8 },
  small: { V: 4096, T: 256, C: 256, L: 6, H: 8, B: 4 },
  /** GPT-2's smallest model with an untied head: 163 M parameters. For GPUs. */
  gpt124m: { V: 50304, T: 1024, C: 768, L: 12, H: 12, B: 4 },
  /** 1.01 G parameters. For GPUs. */
  gpt1b: { V: 50304, T: 1024, C: 2048, L: 16, H: 16, B: 2 },
} as const satisfies Record<string, GptShape>;

export type ShapeName = keyof typeof shapes;

export const optimizer = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.01 } as const;

export interface GptWeightSpec {
  name: string;
  shape: number[];
  mean: number;
  spread: number;
}

/** All weights in the order that numbers them. */
export function weightSpecs({ V, T, C, L }: GptShape): GptWeightSpec[] {
  const specs: GptWeightSpec[] = [];
  const matrix = (name: string, rows: number, columns: number) =>
    specs.push({ name: `${name}.weight`, shape: [rows, columns], mean: 0, spread: 0.035 });
  const vector = (name: string, size: number, mean: number) =>
    specs.push({ name, shape: [size], mean, spread: mean === 1 ? 0.1 : 0.01 });
  const linear = (name: string, out: number, into: number) => {
    matrix(name, out, into);
    vector(`${name}.bias`, out, 0);
  };
  const norm = (name: string) => {
    vector(`${name}.weight`, C, 1);
    vector(`${name}.bias`, C, 0);
  };
  matrix("transformer.wte", V, C);
  matrix("transformer.wpe", T, C);
  for (let l = 0; l < L; l++) {
    const layer = `transformer.h.${l}`;
    norm(`${layer}.ln_1`);
    linear(`${layer}.attn.c_attn`, 3 * C, C);
    linear(`${layer}.attn.c_proj`, C, C);
    norm(`${layer}.ln_2`);
    linear(`${layer}.mlp.c_fc`, 4 * C, C);
    linear(`${layer}.mlp.c_proj`, C, 4 * C);
  }
  norm("transformer.ln_f");
  matrix("lm_head", V, C);
  return specs;
}

/** A 32-bit mix (Wellons' lowbias32): any language with 32-bit unsigned integers gives the same. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Unsigned 32 bits from three numbers. */
function hash(seed: number, stream: number, index: number): number {
  return mix((index + mix((stream + mix(seed)) >>> 0)) >>> 0);
}

/** The values of weight `k` of `weightSpecs(shape)`. */
export function weightValues(spec: GptWeightSpec, k: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(spec.shape.reduce((a, b) => a * b, 1));
  // u = (top 24 bits - 2^23) / 2^23 is exact in float32 and float64 alike.
  for (let i = 0; i < values.length; i++) {
    values[i] = spec.mean + spec.spread * (((hash(1, k, i) >>> 8) - 8388608) / 8388608);
  }
  return values;
}

/** Every weight by name. Hundreds of megabytes for the GPU shapes: there, take `weightValues` one at a time. */
export function initialWeights(shape: GptShape): Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }> {
  return new Map(
    weightSpecs(shape).map((spec, k) => [spec.name, { shape: spec.shape, data: weightValues(spec, k) }]),
  );
}

export interface Batch {
  /** [B, T] */
  ids: Uint32Array<ArrayBuffer>;
  /** [B, T], the token that follows each of `ids`. */
  targets: Uint32Array<ArrayBuffer>;
}

export function batchOf({ B, T, V }: GptShape, step: number): Batch {
  const ids = new Uint32Array(B * T), targets = new Uint32Array(B * T);
  for (let b = 0; b < B; b++) {
    const phrase = hash(2, step, b) % 8;
    const token = (t: number) => hash(3, phrase, t % (5 + phrase)) % V;
    for (let t = 0; t < T; t++) {
      ids[b * T + t] = token(t);
      targets[b * T + t] = token(t + 1);
    }
  }
  return { ids, targets };
}

/** Floating-point operations of the matmuls of one step: 2 per multiply-add, backward twice the forward, causal halves. */
export function stepFlops({ B, T, C, L, V }: GptShape): number {
  const linears = 2 * B * T * (12 * C * C * L + C * V);
  const attention = 2 * B * T * T * C * L; // q k^T and p v, each 2 B T T C, half of it behind the causal mask
  return 3 * (linears + attention);
}

/** Names a contestant's run and what it gave; printed as one line of JSON by each contestant's process. */
export interface PeerRun {
  contestant: string;
  adapter: string;
  shape: ShapeName;
  /** One per step, the first included. */
  losses: number[];
  /** One per step, the first (which compiles) included. */
  milliseconds: number[];
  /** What a step past the second asked of the device; absent for contestants that use none. */
  device?: DeviceWork;
  /** Most bytes torch had allocated, on CUDA. */
  peakBytes?: number;
}

/** Calls counted in one step, and the most bytes in live buffers since the device was made. */
export interface DeviceWork {
  submits: number;
  buffers: number;
  dispatches: number;
  peakBytes: number;
}
