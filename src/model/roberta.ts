/**
 * A RoBERTa encoder on symbolic tensors (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019; CodeBERT
 * is one): word, position and token type embeddings, attention over whole sequences, LayerNorm behind each half of a layer,
 * exact GELU. Names as in Hugging Face's files; dropout is off, as everywhere here.
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
import { add, attention, embedding, geluErf, layernorm, linear } from "../../kernels/mod.ts";
import type { RobertaConfig } from "./roberta_config.ts";
import { part, type Recompute } from "./saving.ts";
import { weight } from "./weights.ts";

export interface Roberta {
  readonly gpu: Gpu;
  readonly config: RobertaConfig;
  readonly weights: Weights;
  /** Holds 1: the gradient of a loss by itself. */
  readonly one: Tensor;
}

const PREFIX = "roberta.";

/** Names and shapes of a file's tensors; linear weights are [out, in]. Queries, keys and values lie together, as do their biases. */
export function robertaSpecs(config: RobertaConfig): WeightSpec[] {
  const { C, F, L, V, positions, types } = config;
  const specs: WeightSpec[] = [];
  const matrix = (name: string, out: number, into: number) =>
    specs.push({ name: `${PREFIX}${name}.weight`, shape: [out, into], decay: true });
  const vector = (name: string) => specs.push({ name: PREFIX + name, shape: [C], decay: false });
  const norm = (name: string) => {
    vector(`${name}.weight`);
    vector(`${name}.bias`);
  };
  const dense = (name: string, out: number, into: number) => {
    matrix(name, out, into);
    specs.push({ name: `${PREFIX}${name}.bias`, shape: [out], decay: false });
  };
  matrix("embeddings.word_embeddings", V, C);
  matrix("embeddings.position_embeddings", positions, C);
  matrix("embeddings.token_type_embeddings", types, C);
  norm("embeddings.LayerNorm");
  for (let l = 0; l < L; l++) {
    const layer = `encoder.layer.${l}`;
    for (const [kind, shape, decay] of [["weight", [C, C], true], ["bias", [C], false]] as const) {
      specs.push({
        name: `${PREFIX}${layer}.attention.self.qkv.${kind}`,
        shape: [3 * C, ...shape.slice(1)],
        decay,
        packs: ["query", "key", "value"].map((name) => ({
          name: `${PREFIX}${layer}.attention.self.${name}.${kind}`,
          shape: [...shape],
        })),
      });
    }
    dense(`${layer}.attention.output.dense`, C, C);
    norm(`${layer}.attention.output.LayerNorm`);
    dense(`${layer}.intermediate.dense`, F, C);
    dense(`${layer}.output.dense`, C, F);
    norm(`${layer}.output.LayerNorm`);
  }
  return specs;
}

/** Empty weights on the GPU: fill them with `setWeights` or `initialize` of weights.ts. */
export function createRoberta(gpu: Gpu, config: RobertaConfig, training: boolean): Roberta {
  const one = persistent(gpu, "one", [1]);
  write(gpu, one, Float32Array.of(1));
  return { gpu, config, weights: createWeights(gpu, robertaSpecs(config), training), one };
}

/**
 * A file's tensors under the names used here: encoders saved by themselves lack the `roberta.` in front. What an encoder does
 * not have (pooler, language model head) stays as it is.
 */
export function withPrefix<T>(tensors: ReadonlyMap<string, T>): Map<string, T> {
  const bare = (name: string) => /^(embeddings|encoder)\./.test(name);
  return new Map([...tensors].map(([name, tensor]) => [bare(name) ? PREFIX + name : name, tensor]));
}

/** Inputs of B rows of T tokens. */
export interface RobertaInputs {
  readonly B: number;
  readonly T: number;
  /** [B,T] u32; `positions` as `robertaPositions` has them, `types` usually zeros. */
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly types: Tensor;
  /** [B,T] u32: 0 on tokens, 1 on the padding behind them, so that neither sees the other. */
  readonly segments: Tensor;
}

/** Position ids [B,T] of rows with so many tokens: they count from padId + 1, padding has padId. */
export function robertaPositions(lengths: readonly number[], B: number, T: number, padId: number): Uint32Array {
  return Uint32Array.from({ length: B * T }, (_, i) => {
    const t = i % T;
    return t < (lengths[Math.floor(i / T)] ?? 0) ? padId + 1 + t : padId;
  });
}

/** -> hidden states [B,T,C] of the last layer. `recompute`: what runs again in the backward pass. */
export function robertaForward(
  plan: Plan,
  model: Roberta,
  inputs: RobertaInputs,
  recompute: Recompute = "none",
): Tensor {
  const { L, normEps } = model.config;
  const of = (name: string) => weight(model, `${PREFIX}embeddings.${name}.weight`);
  const places = { ids: inputs.positions, table: of("position_embeddings") };
  const words = embedding(plan, inputs.ids, of("word_embeddings"), places);
  const typed = add(plan, words, embedding(plan, inputs.types, of("token_type_embeddings")));
  const bias = weight(model, `${PREFIX}embeddings.LayerNorm.bias`);
  let x = layernorm(plan, typed, of("LayerNorm"), bias, normEps);
  for (let l = 0; l < L; l++) {
    const input = x;
    x = part(plan, recompute, "block", () => layer(plan, model, l, input, inputs, recompute));
  }
  return x;
}

function layer(plan: Plan, model: Roberta, l: number, x: Tensor, inputs: RobertaInputs, recompute: Recompute): Tensor {
  const { H, D, normEps } = model.config;
  const { B, T, segments } = inputs;
  const of = (name: string) => weight(model, `${PREFIX}encoder.layer.${l}.${name}`);
  const dense = (x: Tensor, name: string, residual?: Tensor) =>
    linear(plan, x, of(`${name}.weight`), { bias: of(`${name}.bias`), residual });
  const normed = (x: Tensor, name: string) => layernorm(plan, x, of(`${name}.weight`), of(`${name}.bias`), normEps);

  const h = part(plan, recompute, "attention", () => {
    const qkv = dense(x, "attention.self.qkv");
    const attended = attention(plan, qkv, { B, T, H, G: H, D, segments, causal: false });
    return normed(dense(attended, "attention.output.dense", x), "attention.output.LayerNorm");
  });
  return part(plan, recompute, "mlp", () => {
    const wide = geluErf(plan, dense(h, "intermediate.dense"));
    return normed(dense(wide, "output.dense", h), "output.LayerNorm");
  });
}
