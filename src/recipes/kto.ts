/**
 * KTO (Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization"): learns from single samples that are
 * desirable or not, here programs that pass their tests or fail them, and needs no pairs.
 *
 *   u = lp(y|x) - ref(y|x),   z = max(0, mean of u over (x, y') with y' a completion for another prompt), no gradient through z
 *   L = mean of w_d (1 - sigmoid(beta (u - z))) over desirable, w_u (1 - sigmoid(beta (z - u))) over undesirable samples
 *
 * Differences to TRL's KTOTrainer: 1. z is the mean over the whole optimizer step, not over a micro-batch, so the split into
 * micro-batches changes nothing; 2. y' is fixed for a sample (a seeded neighbour with another prompt), so that its reference sum
 * is computed once, where TRL shifts each batch by one, which among samples sorted by prompt matches many; 3. by default desirable
 * samples are weighed so that both kinds weigh the same in sum, which the paper recommends and TRL leaves to its user;
 * 4. the metric `kl` is the estimate before it is cut at 0; 5. nothing is truncated.
 */
import type { Moments } from "../../kernels/mod.ts";
import type { Host } from "../host/host.ts";
import type { Llama } from "../model/llama.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import { ADAMW } from "../optim/adamw.ts";
import { positionsOf, type Sequence } from "./batches.ts";
import type { TrainingEvent } from "./events.ts";
import { createKtoStep, type KtoItem, type KtoSample, type KtoStepOptions } from "./kto_step.ts";
import type { Policy } from "./policy.ts";
import { referenceSums } from "./reference.ts";
import { type LoopConfig, trainingLoop } from "./training_loop.ts";

export interface KtoConfig extends LoopConfig {
  /** Samples of one pass over the GPU. */
  microBatch: number;
  beta: number;
  /** Factors of the losses of desirable and undesirable samples. */
  desirableWeight: number;
  undesirableWeight: number;
  /** Multiplies the first by undesirable / desirable samples, so that a rare kind is not drowned. */
  balance: boolean;
  weightDecay: number;
  maxGradNorm: number;
  /** What the backward pass computes again instead of keeping it, and how it keeps the rest: see model/saving.ts. */
  recompute: Recompute;
  activations: Activations;
  /** How Adam's moments are kept: 8 bytes a parameter, or 2. */
  moments: Moments["kind"];
}

export const KTO: KtoConfig = {
  steps: 60,
  batchSize: 32,
  microBatch: 16,
  learningRate: 1e-6,
  schedule: "linear",
  warmup: 6,
  beta: 0.1,
  desirableWeight: 1,
  undesirableWeight: 1,
  balance: true,
  weightDecay: 0.01,
  maxGradNorm: 1,
  seed: 1,
  logEvery: 5,
  checkpointEvery: 20,
  recompute: "cheap",
  activations: "f32",
  moments: "f32",
};

export interface KtoGiven {
  host: Host;
  policy: Policy;
  /** At least two different prompts, for mismatched completions. */
  samples: readonly KtoSample[];
  padId: number;
  /** Where checkpoints and the reference cache live; an existing checkpoint is resumed. */
  checkpoints: string;
  /** Names the reference's weights, e.g. a hash of their file: a changed model must not meet an old cache. */
  modelId: string;
  /** The frozen model to compare with; default the policy as it is at the start. */
  reference?: Llama;
}

export async function* trainKto(
  config: KtoConfig,
  given: KtoGiven,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { host, policy, samples, padId } = given;
  if (samples.length === 0) throw new Error("Cannot train: no samples");
  const items = await withReference(config, given);
  const longest = Math.max(...items.flatMap(({ sequence, mismatched }) => [sequence, mismatched].map(positionsOf)));
  const desirable = samples.filter((sample) => sample.desirable).length;
  const engine = await createKtoStep(policy, ktoStepOptions(config, padId, longest, desirable / samples.length));
  const { trained } = policy;
  yield* trainingLoop(config, { host, trained, checkpoints: given.checkpoints }, items, engine, signal);
}

/** What a run with this configuration asks of its steps; `share` of its samples are desirable. */
export function ktoStepOptions(config: KtoConfig, padId: number, longest: number, share = 0.5): KtoStepOptions {
  const { microBatch, beta, recompute, activations, weightDecay, maxGradNorm, moments, undesirableWeight } = config;
  const adamw = { ...ADAMW, weightDecay, maxGradNorm, moments };
  const balanced = config.balance && share > 0 && share < 1 ? (1 - share) / share : 1;
  const desirableWeight = config.desirableWeight * balanced;
  return { microBatch, padId, beta, desirableWeight, undesirableWeight, adamw, recompute, activations, longest };
}

/** Adds each sample's mismatched partner and the sums of both under the reference. */
async function withReference(config: KtoConfig, given: KtoGiven): Promise<KtoItem[]> {
  const { samples, policy } = given;
  const { model } = policy;
  const partners = mismatch(samples.map(({ sequence }) => sequence), config.seed, model.config.maxPositions);
  const scored = samples.flatMap(({ sequence, weights }, i) => [{ sequence, weights }, { sequence: partners[i] }]);
  const from = { ...given, model: given.reference ?? (policy.lora ? policy.reference() : model) };
  const sums = await referenceSums(from, [samples, partners], scored, config.microBatch);
  return samples.map((sample, i) => ({
    ...sample,
    reference: sums[2 * i],
    mismatched: partners[i],
    mismatchedReference: sums[2 * i + 1],
  }));
}

/**
 * Each prompt with the completion of another prompt's sequence: the next one in a seeded order that has a different prompt and
 * leaves the whole within `longest` positions. Error: a sequence for which there is none.
 */
export function mismatch(sequences: readonly Sequence[], seed: number, longest: number): Sequence[] {
  const order = shuffled(sequences.map((_, i) => i), uniformStream(seed, 999));
  const place = new Map(order.map((i, at) => [i, at]));
  const prompts = sequences.map(({ tokens, promptLength }) => tokens.slice(0, promptLength).join());
  return sequences.map(({ tokens, promptLength }, i) => {
    for (let k = 1; k < order.length; k++) {
      const j = order[(place.get(i)! + k) % order.length];
      const completion = sequences[j].tokens.slice(sequences[j].promptLength);
      if (prompts[j] === prompts[i] || promptLength + completion.length - 1 > longest) continue;
      return { tokens: [...tokens.slice(0, promptLength), ...completion], promptLength };
    }
    throw new Error(
      `Cannot mismatch sequence ${i}: none of ${sequences.length} has another prompt and a completion that fits`,
    );
  });
}
