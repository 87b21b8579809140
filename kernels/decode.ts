/** Generation with a key/value cache: writing the cache, and attention of one new token per sequence. No gradients. */
import decodeCode from "../wgsl/attention_decode.wgsl" with { type: "text" };
import writeCode from "../wgsl/cache_write.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const write = kernel("cache_write", writeCode, {
  entry: "main",
  bindings: ["read", "read", "read_write"],
  dims: ["B", "T", "W", "S"],
});
const decode = kernel("attention_decode", decodeCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write"],
  dims: ["B", "S", "H", "G", "D", "scale:f32"],
});

/** x [B*T, W] into cache [B,S,W] at positions [B*T]; positions at or beyond S are dropped. */
export function cacheWrite(plan: Plan, x: Tensor, positions: Tensor, cache: Tensor): void {
  const [B, S, W] = cache.shape;
  const N = elements(positions.shape);
  same("cache_write", "N*W", elements(x.shape), x, N * W, { ...cache, shape: [N, W] });
  plan.dispatch(write, [x, positions, cache], { dims: { B, T: N / B, W, S }, workgroups: groups(N * W, 64) });
}

/** q [B, H*D] against caches [B,S,G*D], keys up to and including positions [B] -> [B, H*D]. D is at most 256. */
export function attentionDecode(
  plan: Plan,
  q: Tensor,
  keys: Tensor,
  values: Tensor,
  positions: Tensor,
  D: number,
): Tensor {
  const [B, S, W] = keys.shape;
  const H = elements(q.shape) / (B * D);
  const G = W / D;
  if (D > 256) throw new Error(`Cannot record attention_decode: head size ${D} is over 256`);
  const y = plan.value("attended", [B, H * D]);
  const dims = { B, S, H, G, D, scale: 1 / Math.sqrt(D) };
  plan.dispatch(decode, [q, keys, values, positions, y], { dims, workgroups: [H, B, 1], flops: 4 * B * H * S * D });
  return y;
}
