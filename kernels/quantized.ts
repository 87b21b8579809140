/**
 * Linear layers whose weights are packed 4- or 8-bit integers with a scale for each group of a row (symmetric rounding to the
 * nearest, as in llama.cpp's Q8_0). They are unpacked in registers by every kernel of the matmul family. They have no gradient of their
 * own: what trains beside them are low-rank branches, norms and whatever stands in front.
 */
import { elements, showTensor } from "../src/plan/mod.ts";
import { matmulNn, matmulNt } from "./matmul.ts";
import { type Plan, same, type Tensor } from "./kernel.ts";

export interface Quantized {
  readonly bits: 4 | 8;
  /** Neighbours in a row that share a scale. */
  readonly group: number;
  /** [O, I * bits / 32] u32, lowest bits first. */
  readonly codes: Tensor;
  /** [O, I / group] f32. */
  readonly scales: Tensor;
}

/**
 * Codes and scales of weights [O,I] in rows. A group's largest magnitude becomes the largest code, 127 or 7. Errors if a row is no
 * multiple of the group, or a group does not fill whole words.
 */
export function quantize(
  weights: Float32Array,
  [O, I]: readonly [number, number],
  { bits, group }: { bits: 4 | 8; group: number },
): { codes: Uint32Array; scales: Float32Array } {
  if (I % group !== 0 || group % (32 / bits) !== 0) {
    throw new Error(
      `Cannot quantize weights [${O},${I}]: rows of ${I} do not divide into groups of ${group} at ${bits} bits`,
    );
  }
  const most = 2 ** (bits - 1) - 1;
  const perWord = 32 / bits;
  const codes = new Uint32Array(weights.length / perWord);
  const scales = new Float32Array(weights.length / group);
  for (let g = 0; g < scales.length; g++) {
    const values = weights.subarray(g * group, (g + 1) * group);
    scales[g] = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / most;
    values.forEach((value, i) => {
      const code = scales[g] === 0 ? 0 : Math.max(-most, Math.min(most, Math.round(value / scales[g])));
      const at = g * group + i;
      codes[Math.floor(at / perWord)] |= (code & (2 ** bits - 1)) << (at % perWord * bits);
    });
  }
  return { codes, scales };
}

/** y[N,O] = x[N,I] w[O,I]^T + bias[O]; the gradient goes to x and no further. */
export function quantizedLinear(plan: Plan, x: Tensor, w: Quantized, bias?: Tensor): Tensor {
  const K = x.shape[x.shape.length - 1];
  const O = w.codes.shape[0];
  same("matmul.forward", "K", K, x, w.codes.shape[1] * 32 / w.bits, w.codes);
  same("matmul.forward", "groups", O * K / w.group, w.codes, elements(w.scales.shape), w.scales);
  if (bias) same("matmul.forward", "N", O, w.codes, bias.shape[0], bias);
  if (bias?.storage.needsGrad) {
    throw new Error(`Cannot record matmul.forward: bias ${showTensor(bias)} of quantized weights has no gradient`);
  }
  const M = elements(x.shape) / K;
  const y = plan.value(`${w.codes.name}.out`, [...x.shape.slice(0, -1), O], x.dtype);
  const { codes, scales, bits, group } = w;
  const quantized = { bits, group };
  plan.variant(matmulNt, [x, codes, bias ?? scales, scales, y, scales], {
    M,
    N: O,
    K,
    bias: Boolean(bias),
    quantized,
    types: [x.dtype, "u32", y.dtype],
  });
  plan.op([y], [x], () => {
    const dx = plan.target(x);
    if (!dx) return;
    const dy = plan.gradient(y);
    const sizes = { M, N: K, K: O, add: dx.add, quantized, types: [dy.dtype, "u32", dx.tensor.dtype] as const };
    plan.variant(matmulNn, [dy, codes, scales, scales, dx.tensor, scales], sizes);
  });
  return y;
}
