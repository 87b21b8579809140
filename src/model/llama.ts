/** A Llama-family decoder on symbolic tensors: RMSNorm, RoPE, grouped attention, SwiGLU (Touvron et al. 2023). */
import {
  createWeights,
  type Gpu,
  persistent,
  type Plan,
  type Tensor,
  type Weights,
  type WeightSpec,
  write,
} from "../plan/mod.ts";
import { type Adapter, attention, embedding, rmsnorm, rope, ropeTable, swiglu } from "../../kernels/mod.ts";
import type { LlamaConfig } from "./config.ts";
import { project } from "./lora.ts";
import { part, type Recompute } from "./saving.ts";
import { destroyWeights, weight } from "./weights.ts";

export { getWeights, initialize, setWeights } from "./weights.ts";

export interface Llama {
  readonly gpu: Gpu;
  readonly config: LlamaConfig;
  readonly weights: Weights;
  /** [maxPositions, D/2, 2] of (cos, sin). */
  readonly ropeTable: Tensor;
  /** Holds 1: the gradient of a loss by itself. */
  readonly one: Tensor;
  /** LoRA adapters, see lora.ts. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
}

/**
 * Names and shapes as in Hugging Face's files; linear weights are [out, in]. What is multiplied with the same rows lies
 * together in one tensor under a name of its own, so that one product does for all.
 */
export function weightSpecs(config: LlamaConfig): WeightSpec[] {
  const { C, F, L, H, G, D, V, tied } = config;
  const specs: WeightSpec[] = [{ name: "model.embed_tokens.weight", shape: [V, C], decay: true }];
  for (let l = 0; l < L; l++) {
    const layer = `model.layers.${l}`;
    specs.push(
      { name: `${layer}.input_layernorm.weight`, shape: [C], decay: false },
      {
        name: `${layer}.self_attn.qkv.weight`,
        shape: [(H + 2 * G) * D, C],
        decay: true,
        packs: [
          { name: `${layer}.self_attn.q_proj.weight`, shape: [H * D, C] },
          { name: `${layer}.self_attn.k_proj.weight`, shape: [G * D, C] },
          { name: `${layer}.self_attn.v_proj.weight`, shape: [G * D, C] },
        ],
      },
      { name: `${layer}.self_attn.o_proj.weight`, shape: [C, H * D], decay: true },
      { name: `${layer}.post_attention_layernorm.weight`, shape: [C], decay: false },
      {
        name: `${layer}.mlp.gate_up.weight`,
        shape: [2 * F, C],
        decay: true,
        packs: [
          { name: `${layer}.mlp.gate_proj.weight`, shape: [F, C] },
          { name: `${layer}.mlp.up_proj.weight`, shape: [F, C] },
        ],
      },
      { name: `${layer}.mlp.down_proj.weight`, shape: [C, F], decay: true },
    );
  }
  specs.push({ name: "model.norm.weight", shape: [C], decay: false });
  if (!tied) specs.push({ name: "lm_head.weight", shape: [V, C], decay: true });
  return specs;
}

/** Numbers in all weights. */
export function parameterCount(config: LlamaConfig): number {
  return weightSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/** Empty weights on the GPU: fill them with `setWeights` or `initialize`. */
export function createLlama(gpu: Gpu, config: LlamaConfig, training: boolean): Llama {
  const weights = createWeights(gpu, weightSpecs(config), training);
  const table = persistent(gpu, "rope", [config.maxPositions, config.D / 2, 2]);
  write(gpu, table, ropeTable(config.maxPositions, config.D, config.ropeTheta));
  const one = persistent(gpu, "one", [1]);
  write(gpu, one, Float32Array.of(1));
  return { gpu, config, weights, ropeTable: table, one };
}

/** Frees its buffers; plans that use it must not run again. Adapters are not its own. */
export function destroyModel({ weights, ropeTable, one }: Llama): void {
  destroyWeights(weights);
  for (const { storage } of [ropeTable, one]) storage.buffer?.destroy();
}

export function headWeight(model: Llama): Tensor {
  return weight(model, model.config.tied ? "model.embed_tokens.weight" : "lm_head.weight");
}

/** How a block attends: training attends within the batch, generation writes and reads a cache. */
export type Attend = (plan: Plan, layer: number, qkv: Tensor) => Tensor;

/** ids and positions [N] -> final normalised hidden states [N,C]. `recompute`: what runs again in the backward pass. */
export function forward(
  plan: Plan,
  model: Llama,
  ids: Tensor,
  positions: Tensor,
  attend: Attend,
  recompute: Recompute = "none",
): Tensor {
  const { config } = model;
  let x = embedding(plan, ids, weight(model, "model.embed_tokens.weight"));
  for (let l = 0; l < config.L; l++) {
    const input = x;
    x = part(plan, recompute, "block", () => block(plan, model, l, input, positions, attend, recompute));
  }
  return rmsnorm(plan, x, weight(model, "model.norm.weight"), config.normEps);
}

/** One layer, x [N,C] -> [N,C]. */
export function block(
  plan: Plan,
  model: Llama,
  l: number,
  x: Tensor,
  positions: Tensor,
  attend: Attend,
  recompute: Recompute = "none",
): Tensor {
  const { normEps } = model.config;
  const name = (part: string) => `model.layers.${l}.${part}.weight`;
  const normed = (x: Tensor, part: string) => rmsnorm(plan, x, weight(model, name(part)), normEps);
  const projected = (x: Tensor, part: string, residual?: Tensor) => project(plan, model, x, name(part), { residual });

  const h = part(plan, recompute, "attention", () => {
    const qkv = projected(normed(x, "input_layernorm"), "self_attn.qkv");
    const attended = attend(plan, l, rope(plan, qkv, positions, model.ropeTable, model.config));
    return projected(attended, "self_attn.o_proj", x);
  });
  return part(plan, recompute, "mlp", () => {
    const wide = swiglu(plan, projected(normed(h, "post_attention_layernorm"), "mlp.gate_up"));
    return projected(wide, "mlp.down_proj", h);
  });
}

/** Attention within a batch of B rows of T tokens; with `segments` [B,T], within the segments of each row. */
export function attendWithin(config: LlamaConfig, B: number, T: number, segments?: Tensor): Attend {
  const { H, G, D } = config;
  return (plan, _layer, qkv) => attention(plan, qkv, { B, T, H, G, D, segments });
}
