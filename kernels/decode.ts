/** Generation with a key/value cache: writing the cache, and attention of one new token per sequence. No gradients. */
import decodeCode from "../wgsl/attention_decode.wgsl" with { type: "text" };
import writeCode from "../wgsl/cache_write.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const write = kernel("cache_write", writeCode, {
  entry: "main",
  bindings: ["read", "read", "read_write", "read_write"],
  dims: ["B", "T", "S", "H", "G", "D"],
});
const decode = kernel("attention_decode", decodeCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write"],
  dims: ["B", "S", "H", "G", "D", "scale:f32"],
});

interface HeadSizes {
  H: number;
  G: number;
  D: number;
}

/**
 * The key and value heads of qkv [B*T, (H+2G)*D] into the caches [B,S,G*D] at positions [B*T]; positions at or beyond S are
 * dropped.
 */
export function cacheWrite(
  plan: Plan,
  qkv: Tensor,
  positions: Tensor,
  keys: Tensor,
  values: Tensor,
  { H, G, D }: HeadSizes,
): void {
  const [B, S, W] = keys.shape;
  const N = elements(positions.shape);
  same("cache_write", "G*D", G * D, qkv, W, keys);
  const wanted = N * (H + 2 * G) * D;
  same("cache_write", "N*(H+2G)*D", elements(qkv.shape), qkv, wanted, { ...positions, shape: [N, H + 2 * G, D] });
  const dims = { B, T: N / B, S, H, G, D };
  plan.dispatch(write, [qkv, positions, keys, values], { dims, workgroups: groups(2 * N * W, 64) });
}

/**
 * The query heads of qkv [B, (H+2G)*D] against caches [B,S,G*D], keys up to and including positions [B] -> [B, H*D]. D is
 * at most 256.
 */
export function attentionDecode(
  plan: Plan,
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  positions: Tensor,
  { H, G, D }: HeadSizes,
): Tensor {
  const [B, S, W] = keys.shape;
  if (D > 256) throw new Error(`Cannot record attention_decode: head size ${D} is over 256`);
  same("attention_decode", "G*D", G * D, qkv, W, keys);
  const wanted = B * (H + 2 * G) * D;
  same("attention_decode", "B*(H+2G)*D", elements(qkv.shape), qkv, wanted, { ...keys, shape: [B, H + 2 * G, D] });
  const y = plan.value("attended", [B, H * D]);
  const dims = { B, S, H, G, D, scale: 1 / Math.sqrt(D) };
  plan.dispatch(decode, [qkv, keys, values, positions, y], { dims, workgroups: [H, B, 1], flops: 4 * B * H * S * D });
  return y;
}
