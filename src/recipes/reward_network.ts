/**
 * A reward model: an encoder or a decoder with a head that reads one number from a sequence. Made from a seed, or loaded from a
 * Hugging Face folder of an encoder (CodeBERT), of a Llama (the policy itself), or of a reward model that was trained here.
 */
import { type Gpu, persistent, type Plan, type Tensor, type Weights, write } from "../plan/mod.ts";
import { readSafetensors, type StoredTensor, writeSafetensors } from "../files/safetensors.ts";
import type { Host } from "../host/host.ts";
import { formatConfig, type LlamaConfig, parseConfig } from "../model/config.ts";
import { attendWithin, createLlama, forward, type Llama } from "../model/llama.ts";
import {
  createRewardHead,
  initializeRewardHead,
  poolWeights,
  type RewardHead,
  rewardScores,
} from "../model/reward_head.ts";
import { createRoberta, type Roberta, robertaForward, robertaPositions, withPrefix } from "../model/roberta.ts";
import { formatRobertaConfig, longestOf, parseRobertaConfig, type RobertaConfig } from "../model/roberta_config.ts";
import type { Recompute } from "../model/saving.ts";
import { getWeights, initialize, joinWeights, setWeights, type Trained } from "../model/weights.ts";

export type RewardBody = { architecture: "encoder"; model: Roberta } | { architecture: "decoder"; model: Llama };
export type RewardShape =
  | { architecture: "encoder"; config: RobertaConfig }
  | { architecture: "decoder"; config: LlamaConfig };

export interface RewardNetwork {
  readonly gpu: Gpu;
  readonly body: RewardBody;
  readonly head: Weights;
  readonly headKind: RewardHead;
  /** Body and head: what is trained, saved and loaded. */
  readonly trained: Trained;
  /** Tokens of the longest sequence. */
  readonly longest: number;
}

/** Empty weights on the GPU. */
export function createRewardNetwork(
  gpu: Gpu,
  shape: RewardShape,
  headKind: RewardHead,
  training: boolean,
): RewardNetwork {
  const fits = headKind === "mean" || headKind === (shape.architecture === "encoder" ? "cls" : "last");
  if (!fits) throw new Error(`Cannot create a reward model: head ${headKind} on a model of kind ${shape.architecture}`);
  const body: RewardBody = shape.architecture === "encoder"
    ? { architecture: "encoder", model: createRoberta(gpu, shape.config, training) }
    : { architecture: "decoder", model: createLlama(gpu, shape.config, training) };
  const head = createRewardHead(gpu, headKind, shape.config.C, training);
  const trained = { gpu, weights: joinWeights(body.model.weights, head) };
  const longest = shape.architecture === "encoder" ? longestOf(shape.config) : shape.config.maxPositions;
  return { gpu, body, head, headKind, trained, longest };
}

/** A reward model whose every weight follows from the seed. */
export function newRewardNetwork(gpu: Gpu, shape: RewardShape, headKind: RewardHead, seed: number): RewardNetwork {
  const network = createRewardNetwork(gpu, shape, headKind, true);
  initialize(network.body.model, seed);
  initializeRewardHead(gpu, network.head, seed);
  return network;
}

/**
 * Reads config.json and model.safetensors of a folder, of an encoder, a Llama or a reward model. What the file lacks of the head
 * starts from the seed; of the body it may lack nothing. A pooler or a language model head that encoders come with is passed over.
 */
export async function loadRewardNetwork(
  host: Host,
  gpu: Gpu,
  dir: string,
  options: { head: RewardHead; seed: number; training: boolean },
): Promise<RewardNetwork> {
  const shape = parseShape(await host.readText(`${dir}/config.json`), `${dir}/config.json`);
  const network = createRewardNetwork(gpu, shape, options.head, options.training);
  const path = `${dir}/model.safetensors`;
  const file = readSafetensors(await host.readBytes(path), path);
  const tensors: Map<string, Pick<StoredTensor, "shape" | "data">> = shape.architecture === "encoder"
    ? withPrefix(file.tensors)
    : new Map(file.tensors);
  initializeRewardHead(gpu, network.head, options.seed);
  for (const [name, { data, shape }] of await getWeights({ gpu, weights: network.head })) {
    if (!tensors.has(name)) tensors.set(name, { data, shape });
  }
  setWeights(network.trained, tensors, path);
  return network;
}

function parseShape(text: string, name: string): RewardShape {
  if (/"model_type"\s*:\s*"llama"/.test(text)) return { architecture: "decoder", config: parseConfig(text, name) };
  return { architecture: "encoder", config: parseRobertaConfig(text, name) };
}

/** Writes config.json and model.safetensors; an encoder with the cls head is a RobertaForSequenceClassification. */
export async function saveRewardNetwork(host: Host, network: RewardNetwork, dir: string): Promise<void> {
  const { body } = network;
  const config = body.architecture === "encoder"
    ? formatRobertaConfig(body.model.config)
    : formatConfig(body.model.config).replace("LlamaForCausalLM", "LlamaForSequenceClassification");
  await host.write(`${dir}/config.json`, config);
  await host.write(`${dir}/model.safetensors`, writeSafetensors(await getWeights(network.trained)));
}

/** Inputs of B rows of T tokens, right padded. */
export interface RewardInputs {
  readonly B: number;
  readonly T: number;
  /** [B,T] u32 */
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly types: Tensor;
  readonly segments: Tensor;
  /** [B,T] f32 */
  readonly pool: Tensor;
}

export function rewardInputs(network: RewardNetwork, B: number, T: number): RewardInputs {
  if (T > network.longest) {
    throw new Error(`Cannot record a batch of ${T} tokens: the reward model has room for ${network.longest}`);
  }
  const made = (name: string) => persistent(network.gpu, name, [B, T], "u32");
  const pool = persistent(network.gpu, "pool", [B, T]);
  return {
    B,
    T,
    ids: made("ids"),
    positions: made("positions"),
    types: made("types"),
    segments: made("segments"),
    pool,
  };
}

/** Fills the inputs; rows beyond the sequences given hold padding alone. */
export function writeRewardBatch(
  network: RewardNetwork,
  inputs: RewardInputs,
  sequences: readonly (readonly number[])[],
  padId: number,
): void {
  const { gpu, body } = network;
  const { B, T } = inputs;
  const lengths = Array.from({ length: B }, (_, b) => Math.max(1, sequences[b]?.length ?? 0));
  const ids = new Uint32Array(B * T).fill(padId);
  sequences.forEach((tokens, b) => ids.set(tokens, b * T));
  write(gpu, inputs.ids, ids);
  write(
    gpu,
    inputs.positions,
    body.architecture === "encoder"
      ? robertaPositions(lengths, B, T, body.model.config.padId)
      : Uint32Array.from({ length: B * T }, (_, i) => i % T),
  );
  write(
    gpu,
    inputs.segments,
    Uint32Array.from({ length: B * T }, (_, i) => Number(i % T >= lengths[Math.floor(i / T)])),
  );
  write(gpu, inputs.pool, poolWeights(network.headKind, lengths, B, T));
}

/** -> rewards [B]. */
export function recordRewards(
  plan: Plan,
  network: RewardNetwork,
  inputs: RewardInputs,
  recompute: Recompute,
): Tensor {
  const { body, head, headKind } = network;
  const { B, T, ids, positions, pool } = inputs;
  const hidden = body.architecture === "encoder"
    ? robertaForward(plan, body.model, inputs, recompute)
    : forward(plan, body.model, ids, positions, attendWithin(body.model.config, B, T), recompute);
  return rewardScores(plan, hidden, head, headKind, pool);
}
