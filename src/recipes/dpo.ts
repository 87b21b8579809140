/**
 * ETA-DPO: direct preference optimization on pairs that execution traces decided.
 *
 *   L = mean over pairs of -log sigmoid(beta [(lp_w - ref_w) - (lp_l - ref_l)]) + alpha * token mean of -log p(winner)
 *
 * lp are sums of completion log-probabilities, EOS included (Rafailov et al. 2023, "Direct Preference Optimization").
 *
 * Differences to TRL's DPOTrainer: 1. the SFT term on winners is on by default: winner and loser often differ in one
 * token, and the shared rest then cancels; 2. label smoothing works with the sigmoid loss (cDPO); 3. reference sums are
 * computed once and kept beside the checkpoint, keyed by weights and pairs; 4. nothing is truncated.
 */
import type { Host } from "../host/host.ts";
import { sha256 } from "../files/sha256.ts";
import type { Llama } from "../model/llama.ts";
import type { Moments } from "../../kernels/mod.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import { ADAMW } from "../optim/adamw.ts";
import { positionsOf, type Sequence } from "./batches.ts";
import { createDpoStep, type DpoStepOptions, type PreferencePair } from "./dpo_step.ts";
import type { TrainingEvent } from "./events.ts";
import { whole } from "./policy.ts";
import { sequenceLogprobs } from "./scorer.ts";
import { type LoopConfig, trainingLoop } from "./training_loop.ts";

export interface DpoConfig extends LoopConfig {
  /** Pairs of one pass over the GPU. */
  microBatch: number;
  beta: number;
  /** Weight of the SFT term on winners. */
  alpha: number;
  labelSmoothing: number;
  weightDecay: number;
  maxGradNorm: number;
  /** What the backward pass computes again instead of keeping it, and how it keeps the rest: see model/saving.ts. */
  recompute: Recompute;
  activations: Activations;
  /** How Adam's moments are kept: 8 bytes a parameter, or 2. */
  moments: Moments["kind"];
  /** Several short sequences share a row. */
  pack: boolean;
}

export const DPO: DpoConfig = {
  steps: 60,
  batchSize: 16,
  microBatch: 8,
  learningRate: 1e-6,
  schedule: "linear",
  warmup: 6,
  beta: 0.1,
  alpha: 0.1,
  labelSmoothing: 0,
  weightDecay: 0.01,
  maxGradNorm: 1,
  seed: 1,
  logEvery: 5,
  checkpointEvery: 20,
  recompute: "cheap", // the same bits, a fifth to a third of the activations less, two percent of time more
  activations: "f32",
  moments: "f32",
  pack: false,
};

export interface DpoGiven {
  host: Host;
  /** The model to train; its weights at the start are the reference. */
  model: Llama;
  pairs: readonly { chosen: Sequence; rejected: Sequence }[];
  padId: number;
  /** Where checkpoints and the reference cache live; an existing checkpoint is resumed. */
  checkpoints: string;
  /** Names the weights at the start, e.g. a hash of their file: a changed model must not meet an old cache. */
  modelId: string;
}

export async function* trainDpo(
  config: DpoConfig,
  given: DpoGiven,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { model, padId } = given;
  if (given.pairs.length === 0) throw new Error("Cannot train: no preference pairs");
  const pairs = await withReference(config, given);
  const longest = Math.max(...pairs.flatMap(({ chosen, rejected }) => [positionsOf(chosen), positionsOf(rejected)]));
  const engine = await createDpoStep(whole(model), dpoStepOptions(config, padId, longest));
  yield* trainingLoop(config, { ...given, trained: model }, pairs, engine, signal);
}

/** What a run with this configuration asks of its steps; `longest` is the longest sequence in positions. */
export function dpoStepOptions(config: DpoConfig, padId: number, longest: number): DpoStepOptions {
  const { microBatch, beta, alpha, labelSmoothing, recompute, activations, pack, weightDecay, maxGradNorm, moments } =
    config;
  const adamw = { ...ADAMW, weightDecay, maxGradNorm, moments };
  return { microBatch, padId, beta, alpha, labelSmoothing, adamw, recompute, activations, pack, longest };
}

/** Adds the reference sums: from the cache if it belongs to these weights and pairs, else computed and kept. */
async function withReference(config: DpoConfig, given: DpoGiven): Promise<PreferencePair[]> {
  const { host, model, pairs, padId, checkpoints, modelId } = given;
  const path = `${checkpoints}/reference.json`;
  const key = await sha256(JSON.stringify([modelId, pairs]));
  let sums: ArrayLike<number> | null = null;
  if (await host.exists(path)) {
    const cached = JSON.parse(await host.readText(path));
    if (cached.key === key) sums = cached.sums;
  }
  if (!sums) {
    if (await host.exists(`${checkpoints}/latest.json`)) {
      throw new Error(`Cannot resume ${checkpoints}: its reference was computed for other weights or pairs`);
    }
    const sequences = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
    sums = await sequenceLogprobs(model, sequences, 2 * config.microBatch, padId);
    // A float32 survives JSON unchanged: the shortest text that names it as a float64 is exact.
    await host.write(path, JSON.stringify({ key, sums: Array.from(sums) }) + "\n");
  }
  return pairs.map((pair, i) => ({ ...pair, referenceChosen: sums[2 * i], referenceRejected: sums[2 * i + 1] }));
}
