/** Causal attention with grouped key/value heads, forward. */
import code from "./materialised.wgsl" with { type: "text" };
import { kernel } from "../../../kernels/kernel.ts";
import { attention as ours } from "../../../kernels/mod.ts";
import type { Op } from "../op.ts";

const spec = {
  bindings: ["read", "read_write", "read_write"] as const,
  dims: ["B", "T", "H", "G", "D", "scale:f32"],
};
const score = kernel("play.attention.score", code, { entry: "score", ...spec });
const softmax = kernel("play.attention.softmax", code, { entry: "softmax", ...spec });
const mix = kernel("play.attention.mix", code, { entry: "mix", ...spec });

const SIZES = {
  tiny: { B: 2, T: 19, H: 4, G: 2, D: 8 },
  micro: { B: 16, T: 64, H: 4, G: 2, D: 32 },
  large: { B: 2, T: 1024, H: 16, G: 4, D: 64 },
};

export const attention: Op = {
  about: "causal attention with grouped key/value heads, forward",
  at(size) {
    const sizes = SIZES[size];
    const { B, T, H, G, D } = sizes;
    const by = (n: number, m: number) => [Math.ceil(n / 16), Math.ceil(m / 16), B * H] as const;
    return {
      workload: `${B} sequences of ${T} tokens, ${H} heads over ${G}, head size ${D}`,
      inputs: [[B * T, (H + 2 * G) * D]],
      flops: 2 * B * H * T * T * D, // half of the T x T pairs, two products of two FLOPs each
      versions: [
        {
          name: "naive: scores, softmax and mix with a T x T matrix",
          record(plan, [qkv]) {
            const y = plan.value("y", [B * T, H * D]);
            const tensors = [qkv, plan.value("scores", [B, H, T, T]), y];
            const dims = { ...sizes, scale: 1 / Math.sqrt(D) };
            plan.dispatch(score, tensors, { dims, workgroups: by(T, T) });
            plan.dispatch(softmax, tensors, { dims, workgroups: [Math.ceil(T / 64), B * H, 1] });
            plan.dispatch(mix, tensors, { dims, workgroups: by(D, T) });
            return y;
          },
        },
        {
          name: "ours: online softmax, no T x T matrix (wgsl/attention.wgsl)",
          record: (plan, [qkv]) => ours(plan, qkv, sizes),
        },
      ],
    };
  },
};
