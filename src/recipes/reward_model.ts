/**
 * ETA-RM: a reward model on pairs that execution traces decided, read from prompt, code and trace.
 *
 *   L = mean over pairs of -log sigmoid(r_w - r_l - m) + c (r_w + r_l)^2
 *
 * Differences to TRL's RewardTrainer: 1. the model may be an encoder (the method's choice is CodeBERT) or small enough to train from
 * scratch; 2. prompt, code and trace have budgets of their own, and a trace is shortened as an execution, never cut; 3. margins
 * come with the pairs (1 pass/fail, 0.5 stage, 0.25 x gap in tests, else 0.1), switched by `margins`; 4. the head starts at
 * N(0, 1/sqrt(C + 1)); 5. the loss is not Hugging Face's for one label, which is a regression.
 */
import type { Host } from "../host/host.ts";
import { readSafetensors } from "../files/safetensors.ts";
import type { Gpu } from "../plan/mod.ts";
import type { Moments } from "../../kernels/mod.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { HEADS, type RewardHead } from "../model/reward_head.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import { ADAMW } from "../optim/adamw.ts";
import type { TrainingEvent } from "./events.ts";
import { longestInput, REWARD_LAYOUT, type RewardLayout, type RewardParts, rewardTokens } from "./reward_input.ts";
import {
  loadRewardNetwork,
  newRewardNetwork,
  type RewardNetwork,
  type RewardShape,
  saveRewardNetwork,
} from "./reward_network.ts";
import { createRewardStep, type RewardItem } from "./reward_step.ts";
import { type LoopConfig, trainingLoop } from "./training_loop.ts";

export interface RewardConfig extends LoopConfig, RewardLayout {
  architecture: "encoder" | "decoder";
  /** What of the hidden states is read: cls or mean of an encoder, last or mean of a decoder. */
  head: RewardHead;
  /** Shape of a model from scratch; one from a folder has its own. */
  width: number;
  layers: number;
  heads: number;
  /** Pairs of one pass over the GPU. */
  microBatch: number;
  /** c: the pull of the rewards' mean towards 0. */
  center: number;
  /** Whether the pairs' margins count. */
  margins: boolean;
  weightDecay: number;
  maxGradNorm: number;
  /** What the backward pass computes again instead of keeping it, and how it keeps the rest: see model/saving.ts. */
  recompute: Recompute;
  activations: Activations;
  /** How Adam's moments are kept: 8 bytes a parameter, or 2. */
  moments: Moments["kind"];
}

/** For a small encoder from scratch. CodeBERT wants a learning rate near 1e-5, and TRL's own default for decoders is 1e-4. */
export const REWARD: RewardConfig = {
  ...REWARD_LAYOUT,
  architecture: "encoder",
  head: "mean",
  width: 96,
  layers: 2,
  heads: 4,
  steps: 300,
  batchSize: 16,
  microBatch: 8,
  learningRate: 5e-4,
  schedule: "cosine",
  warmup: 30,
  center: 0.01,
  margins: true,
  weightDecay: 0.01,
  maxGradNorm: 1,
  seed: 1,
  logEvery: 10,
  checkpointEvery: 100,
  recompute: "cheap",
  activations: "f32",
  moments: "f32",
};

/** Tokens that a tokenizer has for the ends of things. */
export type SpecialTokens = Pick<Tokenizer, "bosId" | "eosId" | "padId">;

export interface RewardPair {
  chosen: RewardParts;
  rejected: RewardParts;
  /** By how much the chosen one should lead; default 0. */
  margin?: number;
}

export interface RewardGiven {
  host: Host;
  network: RewardNetwork;
  pairs: readonly RewardPair[];
  special: SpecialTokens;
  /** Where checkpoints live; an existing one is resumed. */
  checkpoints: string;
}

/** Trains body and head together. `num_tokens` counts all tokens of both sides. */
export async function* trainReward(
  config: RewardConfig,
  given: RewardGiven,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { host, network, pairs, special, checkpoints } = given;
  if (pairs.length === 0) throw new Error("Cannot train a reward model: no preference pairs");
  const items = pairs.map((pair): RewardItem => ({
    chosen: rewardTokens(pair.chosen, special, config),
    rejected: rewardTokens(pair.rejected, special, config),
    margin: config.margins ? pair.margin ?? 0 : 0,
  }));
  const { microBatch, center, weightDecay, maxGradNorm, moments, recompute, activations } = config;
  const adamw = { ...ADAMW, weightDecay, maxGradNorm, moments };
  const options = { microBatch, padId: special.padId, center, adamw, recompute, activations };
  const engine = await createRewardStep(network, options);
  yield* trainingLoop(config, { host, trained: network.trained, checkpoints }, items, engine, signal);
}

/** The shape of a model from scratch that has room for all inputs of a layout. */
export function rewardShape(config: RewardConfig, tokenizer: SpecialTokens & { vocabSize: number }): RewardShape {
  const { width: C, layers: L, heads: H } = config;
  if (C % H !== 0 || C / H % 4 !== 0) {
    throw new Error(
      `Cannot create a reward model: width ${C} over ${H} heads gives heads of ${C / H}, no multiple of 4`,
    );
  }
  const longest = longestInput(config);
  const common = { C, F: 4 * C, L, H, D: C / H, V: tokenizer.vocabSize, normEps: 1e-5, eosId: tokenizer.eosId };
  if (config.architecture === "decoder") {
    const llama = { G: H, ropeTheta: 10_000, tied: true, maxPositions: longest, bosId: tokenizer.bosId };
    return { architecture: "decoder", config: { ...common, ...llama } };
  }
  const { padId, bosId } = tokenizer;
  const roberta = { positions: longest + padId + 1, types: 1, padId, bosId: bosId ?? tokenizer.eosId };
  return { architecture: "encoder", config: { ...common, ...roberta } };
}

/** A reward model to be trained: from the folder of an encoder or a Llama, or without one from scratch. */
export async function startRewardNetwork(
  host: Host,
  gpu: Gpu,
  config: RewardConfig,
  tokenizer: SpecialTokens & { vocabSize: number },
  from?: string,
): Promise<RewardNetwork> {
  if (from === undefined) return newRewardNetwork(gpu, rewardShape(config, tokenizer), config.head, config.seed);
  const network = await loadRewardNetwork(host, gpu, from, { head: config.head, seed: config.seed, training: true });
  const { V } = network.body.model.config;
  if (tokenizer.vocabSize > V) {
    throw new Error(
      `Cannot train a reward model from ${from}: the tokenizer has ${tokenizer.vocabSize} tokens, its config.json ${V}`,
    );
  }
  if (network.longest < longestInput(config)) {
    throw new Error(
      `Cannot train a reward model from ${from}: it has room for ${network.longest} tokens, the budgets need ` +
        longestInput(config),
    );
  }
  return network;
}

/** A trained reward model with what its scores mean. */
export interface RewardModel {
  network: RewardNetwork;
  layout: RewardLayout;
  /** gain * raw + bias has mean 0 and deviation 1 over samples of the reference policy. */
  gain: number;
  bias: number;
  /** sigmoid((r_w - r_l) / temperature) is a calibrated chance, r raw. */
  temperature: number;
}

interface RewardFile extends RewardLayout {
  format: 1;
  head: RewardHead;
  gain: number;
  bias: number;
  temperature: number;
}

/** Writes config.json, model.safetensors and reward.json; tokenizer files are copied from `tokenizerDir`. */
export async function saveReward(host: Host, model: RewardModel, dir: string, tokenizerDir: string): Promise<void> {
  for (const name of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]) {
    if (await host.exists(`${tokenizerDir}/${name}`)) {
      await host.write(`${dir}/${name}`, await host.readBytes(`${tokenizerDir}/${name}`));
    }
  }
  const { network, layout, gain, bias, temperature } = model;
  const { budgets, includeOutcome } = layout;
  const file: RewardFile = { format: 1, head: network.headKind, budgets, includeOutcome, gain, bias, temperature };
  await saveRewardNetwork(host, network, dir);
  await host.write(`${dir}/reward.json`, JSON.stringify(file, null, 2) + "\n");
}

/** Reads what `saveReward` wrote. Errors name the file and the field, or the tensor that is missing. */
export async function loadReward(host: Host, gpu: Gpu, dir: string): Promise<RewardModel> {
  const path = `${dir}/reward.json`;
  const file = JSON.parse(await host.readText(path)) as RewardFile;
  if (file.format !== 1) throw new Error(`Cannot load ${path}: format is ${file.format}, not 1`);
  if (!HEADS.includes(file.head)) throw new Error(`Cannot load ${path}: head is ${file.head}, not ${HEADS.join(", ")}`);
  for (const name of ["gain", "bias", "temperature"] as const) {
    if (!Number.isFinite(file[name])) throw new Error(`Cannot load ${path}: ${name} is ${file[name]}, not a number`);
  }
  const network = await loadRewardNetwork(host, gpu, dir, { head: file.head, seed: 0, training: false });
  // A head made up from a seed would score at random and say nothing.
  const weights = readSafetensors(await host.readBytes(`${dir}/model.safetensors`), `${dir}/model.safetensors`).tensors;
  for (const name of network.head.tensors.keys()) {
    if (!weights.has(name)) throw new Error(`Cannot load ${dir}/model.safetensors: tensor "${name}" is missing`);
  }
  const { budgets, includeOutcome, gain, bias, temperature } = file;
  return { network, layout: { budgets, includeOutcome }, gain, bias, temperature };
}
