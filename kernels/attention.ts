/** Causal attention with grouped key/value heads, forward and backward without a T x T matrix (Dao et al. 2022). */
import forwardCode from "../wgsl/attention.wgsl" with { type: "text" };
import deltaCode from "../wgsl/attention_delta.wgsl" with { type: "text" };
import keyValueCode from "../wgsl/attention_key_value.wgsl" with { type: "text" };
import queryCode from "../wgsl/attention_query.wgsl" with { type: "text" };
import { kernel, type Plan, same, type Tensor } from "./kernel.ts";

interface AttentionSizes {
  B: number;
  T: number;
  H: number;
  G: number;
  D: number;
}

const shared = ["B", "T", "H", "G", "scale:f32"];

/** The head size is the length of private arrays, which WGSL wants as a constant: one set of kernels per size. */
function kernelsFor(D: number) {
  const header = `const HEAD_SIZE = ${D}u;`;
  return {
    forward: kernel("attention.forward", forwardCode, {
      entry: "forward",
      bindings: ["read", "read", "read", "read_write", "read_write"],
      dims: shared,
      header,
    }),
    delta: kernel("attention.delta", deltaCode, {
      entry: "main",
      bindings: ["read", "read", "read", "read_write"],
      dims: ["B", "T", "H"],
      header,
    }),
    query: kernel("attention.query", queryCode, {
      entry: "main",
      bindings: ["read", "read", "read", "read", "read", "read_write"],
      dims: shared,
      header,
    }),
    keyValue: kernel("attention.key_value", keyValueCode, {
      entry: "main",
      bindings: ["read", "read", "read", "read", "read", "read_write", "read_write"],
      dims: shared,
      header,
    }),
  };
}

/** q [.., H*D], k and v [.., G*D] over B sequences of T tokens -> [.., H*D]. Scores are scaled by 1/sqrt(D). */
export function attention(plan: Plan, q: Tensor, k: Tensor, v: Tensor, sizes: AttentionSizes): Tensor {
  const { B, T, H, G, D } = sizes;
  if (D % 4 !== 0) throw new Error(`Cannot record attention.forward: head size ${D} is no multiple of 4`);
  if (H % G !== 0) throw new Error(`Cannot record attention.forward: ${H} query heads over ${G} key/value heads`);
  same("attention.forward", "H*D", q.shape[q.shape.length - 1], q, H * D, { ...q, shape: [H, D] });
  same("attention.forward", "G*D", k.shape[k.shape.length - 1], k, G * D, { ...k, shape: [G, D] });
  const use = kernelsFor(D);
  const scale = 1 / Math.sqrt(D);
  const y = plan.value("attended", q.shape);
  const lse = plan.value("attention.lse", [B, H, T]);
  const wide = Math.ceil(T / 32);
  const half = B * H * T * T; // half of the T x T products, two FLOPs each
  plan.dispatch(use.forward, [q, k, v, y, lse], {
    dims: { B, T, H, G, scale },
    workgroups: [wide, B * H, 1],
    flops: 2 * half * D,
  });
  plan.op([y], [q, k, v], () => {
    const dy = plan.gradient(y);
    const lseDelta = plan.value("attention.lse_delta", [B, H, T, 2]);
    plan.dispatch(use.delta, [y, dy, lse, lseDelta], { dims: { B, T, H }, workgroups: [wide, B * H, 1] });
    const dq = plan.target(q);
    const dk = plan.target(k);
    const dv = plan.target(v);
    if (!dq || !dk || !dv) throw new Error("Cannot record attention.backward: q, k and v need gradients together");
    const dims = { B, T, H, G, scale };
    plan.dispatch(use.query, [q, k, v, dy, lseDelta, dq.tensor], {
      dims,
      constants: { ADD: Number(dq.add) },
      workgroups: [wide, B * H, 1],
      flops: 3 * half * D,
    });
    plan.dispatch(use.keyValue, [q, k, v, dy, lseDelta, dk.tensor, dv.tensor], {
      dims,
      constants: { ADD_KEY: Number(dk.add), ADD_VALUE: Number(dv.add) },
      workgroups: [wide, B * G, 1],
      flops: 4 * half * D,
    });
  });
  return y;
}
