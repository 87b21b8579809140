/**
 * ETA-DPO: direct preference optimization on pairs that execution traces decided.
 *
 *   L = mean over pairs of -log sigmoid(beta [(lp_w - ref_w) - (lp_l - ref_l)] - m) + alpha * token mean of -log p(winner)
 *
 * lp are sums of completion log-probabilities, EOS included (Rafailov et al. 2023, "Direct Preference Optimization"), token by
 * token times the pair's weights where it has any: masks of losers and trace credit are such weights. m is a pair's margin, 0 if
 * it has none. Other losses take the place of the first term: kernels/preference.ts has them with their sources.
 *
 * Differences to TRL's DPOTrainer: 1. the SFT term on winners is on by default: winner and loser often differ in one
 * token, and the shared rest then cancels; 2. label smoothing works with the sigmoid loss (cDPO), and a pair may bring its own;
 * 3. reference sums are computed once and kept beside the checkpoint, keyed by weights and pairs; 4. nothing is truncated.
 */
import type { Host } from "../host/host.ts";
import type { Llama } from "../model/llama.ts";
import type { Moments } from "../../kernels/mod.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import { type Divergence, type PreferenceLoss, REFERENCE_FREE } from "../loss/preference.ts";
import { ADAMW } from "../optim/adamw.ts";
import { positionsOf } from "./batches.ts";
import { createDpoStep, type DpoStepOptions, type PreferencePair, tokenWeights } from "./dpo_step.ts";
import type { TrainingEvent } from "./events.ts";
import type { Policy } from "./policy.ts";
import { referenceSums } from "./reference.ts";
import { type LoopConfig, trainingLoop } from "./training_loop.ts";

export interface DpoConfig extends LoopConfig {
  /** Pairs of one pass over the GPU. */
  microBatch: number;
  loss: PreferenceLoss;
  beta: number;
  /** Weight of the SFT term on winners. */
  alpha: number;
  labelSmoothing: number;
  /** What stands in for log-ratios (f-DPO, Wang et al. 2024), and the a of divergence alpha. */
  divergence: Divergence;
  divergenceAlpha: number;
  /** The lead that SimPO asks for, and DiscoPOP's temperature. */
  gamma: number;
  discopopTau: number;
  /** Weigh pairs by how likely the policy is to write them (Zhou et al. 2024, "WPO"). */
  wpo: boolean;
  /** Weight of tokens beyond the shorter completion's length (Liu et al. 2024, "LD-DPO"); 1 is off. */
  ldAlpha: number;
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
  loss: "sigmoid",
  beta: 0.1,
  alpha: 0.1,
  labelSmoothing: 0,
  divergence: "reverse-kl",
  divergenceAlpha: 0.5,
  gamma: 0.5,
  discopopTau: 0.05,
  wpo: false,
  ldAlpha: 1,
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

/** What losses want to be different where nobody says otherwise: their papers' values, or the least that they accept. */
export const LOSS_DEFAULTS: Partial<Record<PreferenceLoss, Partial<DpoConfig>>> = {
  exo: { labelSmoothing: 1e-3 },
  robust: { labelSmoothing: 0.1 },
  simpo: { beta: 2, gamma: 0.5, alpha: 0 },
  cpo: { alpha: 1 },
  orpo: { alpha: 1 },
};

/** What a pair is trained on; see PreferencePair. */
export type DpoPair = Omit<PreferencePair, "referenceChosen" | "referenceRejected">;

export interface DpoGiven {
  host: Host;
  policy: Policy;
  pairs: readonly DpoPair[];
  padId: number;
  /** Where checkpoints and the reference cache live; an existing checkpoint is resumed. */
  checkpoints: string;
  /** Names the reference's weights, e.g. a hash of their file: a changed model must not meet an old cache. */
  modelId: string;
  /** The frozen model to compare with; default the policy as it is at the start. */
  reference?: Llama;
}

export async function* trainDpo(
  config: DpoConfig,
  given: DpoGiven,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { host, policy, padId, checkpoints } = given;
  if (given.pairs.length === 0) throw new Error("Cannot train: no preference pairs");
  const pairs = await withReference(config, given);
  const longest = Math.max(...pairs.flatMap(({ chosen, rejected }) => [positionsOf(chosen), positionsOf(rejected)]));
  const engine = await createDpoStep(policy, dpoStepOptions(config, padId, longest));
  yield* trainingLoop(config, { host, trained: policy.trained, checkpoints }, pairs, engine, signal);
}

/** What a run with this configuration asks of its steps; `longest` is the longest sequence in positions. */
export function dpoStepOptions(config: DpoConfig, padId: number, longest: number): DpoStepOptions {
  const { microBatch, recompute, activations, pack, weightDecay, maxGradNorm, moments } = config;
  const { loss, beta, alpha, labelSmoothing, divergence, divergenceAlpha, gamma, discopopTau, wpo, ldAlpha } = config;
  return {
    ...{
      loss,
      beta,
      alpha,
      labelSmoothing,
      divergence,
      divergenceAlpha,
      gamma,
      temperature: discopopTau,
      wpo,
      ldAlpha,
    },
    adamw: { ...ADAMW, weightDecay, maxGradNorm, moments },
    ...{ microBatch, padId, recompute, activations, pack, longest },
  };
}

/** Adds what the reference says of each pair, token weights included. */
async function withReference(config: DpoConfig, given: DpoGiven): Promise<PreferencePair[]> {
  const { policy, pairs } = given;
  const scored = REFERENCE_FREE.has(config.loss) ? [] : pairs.flatMap((pair) => {
    const weights = tokenWeights(pair, config.ldAlpha);
    return [
      { sequence: pair.chosen, weights: weights.chosen },
      { sequence: pair.rejected, weights: weights.rejected },
    ];
  });
  const model = given.reference ?? (policy.lora ? policy.reference() : policy.model);
  const sums = await referenceSums({ ...given, model }, [pairs, config.ldAlpha], scored, 2 * config.microBatch);
  return pairs.map((pair, i) => ({
    ...pair,
    referenceChosen: sums[2 * i] ?? 0,
    referenceRejected: sums[2 * i + 1] ?? 0,
  }));
}
