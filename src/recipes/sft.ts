/**
 * Supervised fine-tuning, and training from scratch: next-token cross-entropy on completions.
 *
 *   L = -(1/M) sum over completion tokens of log p(token | before),  M counted over the whole optimizer step
 *
 * Differences to TRL's SFTTrainer: 1. prompt and completion are tokenized apart and joined, so no merge crosses the border;
 * 2. a sequence longer than the model is an error, not cut (a cut would teach stopping in mid-program);
 * 3. sequences of similar length share a padded micro-batch, or with `pack` a row, where attention keeps them apart (TRL's
 * packing joins them into one text).
 */
import type { Host } from "../host/host.ts";
import type { Moments } from "../../kernels/mod.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import { ADAMW } from "../optim/adamw.ts";
import { positionsOf, type Sequence } from "./batches.ts";
import type { TrainingEvent } from "./events.ts";
import type { Policy } from "./policy.ts";
import { createSftStep, type SftStepOptions } from "./sft_step.ts";
import { type LoopConfig, trainingLoop } from "./training_loop.ts";

export interface SftConfig extends LoopConfig {
  /** Sequences of one pass over the GPU. */
  microBatch: number;
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

export const SFT: SftConfig = {
  steps: 1000,
  batchSize: 32,
  microBatch: 16,
  learningRate: 1e-3,
  schedule: "cosine",
  warmup: 50,
  weightDecay: 0.01,
  maxGradNorm: 1,
  seed: 1,
  logEvery: 10,
  checkpointEvery: 100,
  recompute: "cheap", // the same bits, a fifth to a third of the activations less, two percent of time more
  activations: "f32",
  moments: "f32",
  pack: false,
};

export interface SftGiven {
  host: Host;
  policy: Policy;
  sequences: readonly Sequence[];
  padId: number;
  /** Where checkpoints live; an existing one is resumed. */
  checkpoints: string;
}

export async function* trainSft(
  config: SftConfig,
  given: SftGiven,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { policy, sequences, padId } = given;
  if (sequences.length === 0) throw new Error("Cannot train: the data holds no sequences");
  const longest = Math.max(...sequences.map(positionsOf));
  const engine = await createSftStep(policy, sftStepOptions(config, padId, longest));
  yield* trainingLoop(config, { ...given, trained: policy.trained }, sequences, engine, signal);
}

/** What a run with this configuration asks of its steps; `longest` is the longest sequence in positions. */
export function sftStepOptions(config: SftConfig, padId: number, longest: number): SftStepOptions {
  const { microBatch, recompute, activations, pack, weightDecay, maxGradNorm, moments } = config;
  return {
    microBatch,
    padId,
    adamw: { ...ADAMW, weightDecay, maxGradNorm, moments },
    recompute,
    activations,
    pack,
    longest,
  };
}
