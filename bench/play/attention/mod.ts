/** Causal attention with grouped key/value heads, forward. */
import code from "./materialised.wgsl" with { type: "text" };
import { attentionForward } from "../../../kernels/attention_variants.ts";
import { kernel } from "../../../kernels/kernel.ts";
import { attention as ours } from "../../../kernels/mod.ts";
import type { Plan, Tensor } from "../../../src/plan/mod.ts";
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

const VARIANTS: Record<string, string> = {
  row: "online softmax, no T x T matrix, one invocation a row (wgsl/attention.wgsl)",
  lanes2: "subgroups share their keys, two rows a lane (wgsl/attention_lanes2.wgsl)",
  lanes4: "the same with four rows a lane (wgsl/attention_lanes4.wgsl)",
  tile: "tiles in workgroup memory, FlashAttention-2 (wgsl/attention_tile.wgsl)",
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
        ...["row", "lanes2", "lanes4", "tile"].map((name) => ({
          name: VARIANTS[name],
          record(plan: Plan, [qkv]: readonly Tensor[]) {
            const y = plan.value("y", [B * T, H * D]);
            const all = { ...sizes, window: T, causal: true, segmented: false, add: false };
            const variant = attentionForward.variants.find((each) => each.name === name)!;
            // An adapter without subgroups or with little workgroup memory shows what it runs instead.
            const runs = variant.fits(all, plan.traits) ? variant : attentionForward.variants[0];
            runs.record(plan, [qkv, qkv, y, plan.value("lse", [B, H, T])], all);
            return y;
          },
        })),
        {
          name: "ours: whichever of these the adapter and the shape call for",
          record: (plan, [qkv]) => ours(plan, qkv, sizes),
        },
      ],
    };
  },
};
