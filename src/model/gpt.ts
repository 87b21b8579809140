/**
 * A GPT-2 decoder on symbolic tensors (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): LayerNorm
 * in front of each half of a block, learned positions, biases, GELU (tanh). Names as in Hugging Face's files, but linear
 * weights are [out, in] as everywhere here; theirs are [in, out].
 */
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
import { type Adapter, attention, embedding, gelu, layernorm, type LinearOptions } from "../../kernels/mod.ts";
import { project } from "./lora.ts";
import { part, type Recompute } from "./saving.ts";
import { weight } from "./weights.ts";

export interface GptConfig {
  /** Model width. */
  C: number;
  /** MLP width, 4 C in GPT-2. */
  F: number;
  L: number;
  /** Heads and head size. */
  H: number;
  D: number;
  V: number;
  normEps: number;
  /** The head is the embedding table. */
  tied: boolean;
  maxPositions: number;
}

export interface Gpt {
  readonly gpu: Gpu;
  readonly config: GptConfig;
  readonly weights: Weights;
  /** Holds 1: the gradient of a loss by itself. */
  readonly one: Tensor;
  /** LoRA adapters, see lora.ts. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
}

/** All weights in the order of GPT-2's files. `decay` says what weight decay applies to. */
export function gptWeightSpecs(config: GptConfig, decay: "matrices" | "all" = "matrices"): WeightSpec[] {
  const { C, F, L, H, D, V, tied, maxPositions } = config;
  const specs: WeightSpec[] = [];
  const matrix = (name: string, out: number, into: number) =>
    specs.push({ name: `${name}.weight`, shape: [out, into], decay: true });
  const vector = (name: string, size: number) => specs.push({ name, shape: [size], decay: decay === "all" });
  const linearSpecs = (name: string, out: number, into: number) => {
    matrix(name, out, into);
    vector(`${name}.bias`, out);
  };
  const normSpecs = (name: string) => {
    vector(`${name}.weight`, C);
    vector(`${name}.bias`, C);
  };
  matrix("transformer.wte", V, C);
  matrix("transformer.wpe", maxPositions, C);
  for (let l = 0; l < L; l++) {
    const layer = `transformer.h.${l}`;
    normSpecs(`${layer}.ln_1`);
    linearSpecs(`${layer}.attn.c_attn`, 3 * H * D, C);
    linearSpecs(`${layer}.attn.c_proj`, C, H * D);
    normSpecs(`${layer}.ln_2`);
    linearSpecs(`${layer}.mlp.c_fc`, F, C);
    linearSpecs(`${layer}.mlp.c_proj`, C, F);
  }
  normSpecs("transformer.ln_f");
  if (!tied) matrix("lm_head", V, C);
  return specs;
}

/** Empty weights on the GPU: fill them with `setWeights` or `initialize` of weights.ts. */
export function createGpt(
  gpu: Gpu,
  config: GptConfig,
  training: boolean,
  decay: "matrices" | "all" = "matrices",
): Gpt {
  const weights = createWeights(gpu, gptWeightSpecs(config, decay), training);
  const one = persistent(gpu, "one", [1]);
  write(gpu, one, Float32Array.of(1));
  return { gpu, config, weights, one };
}

export function gptHeadWeight(model: Gpt): Tensor {
  return weight(model, model.config.tied ? "transformer.wte.weight" : "lm_head.weight");
}

/** How a block attends: training within the batch, generation with a cache. qkv [.., 3*H*D] -> [.., H*D]. */
export type GptAttend = (plan: Plan, layer: number, qkv: Tensor) => Tensor;

/** Attention within a batch of B sequences of T tokens. */
export function gptAttendWithin({ H, D }: GptConfig, B: number, T: number): GptAttend {
  return (plan, _layer, qkv) => attention(plan, qkv, { B, T, H, G: H, D });
}

/**
 * ids and positions [N] -> final normalised hidden states [N,C], for `tokenLogprob` with `gptHeadWeight`. `recompute`: what
 * runs again in the backward pass.
 */
export function gptForward(
  plan: Plan,
  model: Gpt,
  ids: Tensor,
  positions: Tensor,
  attend: GptAttend,
  recompute: Recompute = "none",
): Tensor {
  const { L, normEps } = model.config;
  const of = (name: string) => weight(model, `transformer.${name}`);
  let x = embedding(plan, ids, of("wte.weight"), { ids: positions, table: of("wpe.weight") });
  for (let l = 0; l < L; l++) {
    const input = x;
    x = part(plan, recompute, "block", () => block(plan, model, l, input, attend, recompute));
  }
  return layernorm(plan, x, of("ln_f.weight"), of("ln_f.bias"), normEps);
}

function block(plan: Plan, model: Gpt, l: number, x: Tensor, attend: GptAttend, recompute: Recompute): Tensor {
  const { normEps } = model.config;
  const of = (name: string) => weight(model, `transformer.h.${l}.${name}`);
  const normed = (x: Tensor, name: string) => layernorm(plan, x, of(`${name}.weight`), of(`${name}.bias`), normEps);
  const projected = (x: Tensor, name: string, options: LinearOptions = {}) =>
    project(plan, model, x, `transformer.h.${l}.${name}.weight`, { bias: of(`${name}.bias`), ...options });
  // In one kernel with the product, unless GELU is to be computed again for the backward pass, or comes after an adapter.
  const fused = recompute === "none" && !model.adapters?.has(`transformer.h.${l}.mlp.c_fc.weight`);

  const h = part(plan, recompute, "attention", () => {
    const qkv = projected(normed(x, "ln_1"), "attn.c_attn");
    return projected(attend(plan, l, qkv), "attn.c_proj", { residual: x });
  });
  return part(plan, recompute, "mlp", () => {
    const m = normed(h, "ln_2");
    const wide = fused ? projected(m, "mlp.c_fc", { activation: "gelu" }) : gelu(plan, projected(m, "mlp.c_fc"));
    return projected(wide, "mlp.c_proj", { residual: h });
  });
}
