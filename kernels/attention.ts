/** Attention, causal or within whole rows, with grouped key/value heads, forward and backward without a T x T matrix (Dao et al. 2022). */
import { elements, showTensor } from "../src/plan/mod.ts";
import { attentionBackwardKeyValue, attentionBackwardQuery, attentionForward } from "./attention_variants.ts";
import { type Plan, same, type Tensor } from "./kernel.ts";

export interface AttentionSizes {
  B: number;
  T: number;
  /** Query heads, key/value heads, head size. */
  H: number;
  G: number;
  D: number;
  /** A query at t sees keys after t - window (Mistral's sliding window). Without it, all up to its own. */
  window?: number;
  /** [B,T] u32: a query sees keys of its own segment only (packed sequences). Ids never fall along a row. */
  segments?: Tensor;
  /** false: a query sees keys before and behind it (encoders). Padding is kept out by a segment of its own. Default true. */
  causal?: boolean;
}

/**
 * qkv [.., (H+2G)*D] over B sequences of T tokens, heads in the order queries, keys, values -> [.., H*D].
 * Scores are scaled by 1/sqrt(D). D is a multiple of 4.
 */
export function attention(plan: Plan, qkv: Tensor, sizes: AttentionSizes): Tensor {
  const { B, T, H, G, D, segments, causal = true } = sizes;
  if (D % 4 !== 0) throw new Error(`Cannot record attention.forward: head size ${D} is no multiple of 4`);
  if (H % G !== 0) throw new Error(`Cannot record attention.forward: ${H} query heads over ${G} key/value heads`);
  const heads = { ...qkv, shape: [H + 2 * G, D] };
  same("attention.forward", "(H+2G)*D", qkv.shape[qkv.shape.length - 1], qkv, (H + 2 * G) * D, heads);
  same("attention.forward", "B*T", elements(qkv.shape) / ((H + 2 * G) * D), qkv, B * T, { ...qkv, shape: [B, T] });
  if (segments) same("attention.forward", "B*T", elements(segments.shape), segments, B * T, qkv);
  if (sizes.window !== undefined && !(Number.isInteger(sizes.window) && sizes.window > 0)) {
    throw new Error(`Cannot record attention.forward: window ${sizes.window} over ${showTensor(qkv)}`);
  }
  if (!causal && sizes.window !== undefined) {
    throw new Error(
      `Cannot record attention.forward: window ${sizes.window} over ${showTensor(qkv)}, which is not causal`,
    );
  }
  const window = Math.min(sizes.window ?? T, T);
  const options = { B, T, H, G, D, window, causal, segmented: segments !== undefined };
  // A kernel binds as many buffers with segments as without; without, it reads none of what stands there.
  const marks = segments ?? qkv;
  const y = plan.value("attended", [...qkv.shape.slice(0, -1), H * D]);
  const lse = plan.value("attention.lse", [B, H, T]);
  plan.variant(attentionForward, [qkv, marks, y, lse], { ...options, add: false });
  plan.op([y], [qkv], () => {
    const dy = plan.gradient(y);
    const target = plan.target(qkv);
    if (!target) return;
    const lseDelta = plan.value("attention.lse_delta", [B, H, T, 2]);
    const backward = { ...options, add: target.add };
    plan.variant(attentionBackwardQuery, [qkv, marks, y, dy, lse, lseDelta, target.tensor], backward);
    plan.variant(attentionBackwardKeyValue, [qkv, marks, dy, lseDelta, target.tensor], backward);
  });
  return y;
}
