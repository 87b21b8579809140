/**
 * Supervised fine-tuning, and training from scratch: next-token cross-entropy on completions.
 *
 *   L = -(1/M) sum over completion tokens of log p(token | before),  M counted over the whole optimizer step
 *
 * Differences to TRL's SFTTrainer: 1. prompt and completion are tokenized apart and joined, so no merge crosses the border;
 * 2. a sequence longer than the model is an error, not cut (a cut would teach stopping in mid-program);
 * 3. no packing: sequences of similar length share a padded micro-batch.
 */
import type { Host } from "../host/host.ts";
import type { Llama } from "../model/llama.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import { ADAMW } from "../optim/adamw.ts";
import { learningRate, type Schedule } from "../optim/schedule.ts";
import type { Sequence } from "./batches.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { progressMeter, requireFinite, type TrainingEvent } from "./events.ts";
import { createSftStep } from "./sft_step.ts";

export interface SftConfig {
  steps: number;
  /** Sequences of an optimizer step, and of one pass over the GPU. */
  batchSize: number;
  microBatch: number;
  learningRate: number;
  schedule: Schedule;
  warmup: number;
  weightDecay: number;
  maxGradNorm: number;
  seed: number;
  logEvery: number;
  /** In steps; 0 saves only at the end. */
  checkpointEvery: number;
  /** Recompute each block in the backward pass: less memory, one more forward pass. */
  recompute: boolean;
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
  recompute: false,
};

export interface SftGiven {
  host: Host;
  model: Llama;
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
  const { host, model, sequences, padId, checkpoints } = given;
  if (sequences.length === 0) throw new Error("Cannot train: the data holds no sequences");
  const { batchSize, microBatch, steps, seed, recompute } = config;
  const adamw = { ...ADAMW, weightDecay: config.weightDecay, maxGradNorm: config.maxGradNorm };
  const trainer = await createSftStep(model, { microBatch, padId, adamw, recompute });
  try {
    const resumed = await loadCheckpoint(host, checkpoints, model, trainer.optimizer);
    const first = resumed.step;
    if (resumed.open) trainer.restoreSums(resumed.open.sums);
    const meter = progressMeter(resumed, steps);
    const sequenceAt = epochOrder(sequences, seed);
    let tokens = resumed.tokens, logged = first - (resumed.open?.steps ?? 0);
    for (let step = first + 1; step <= steps; step++) {
      const batch = Array.from({ length: batchSize }, (_, i) => sequenceAt((step - 1) * batchSize + i));
      tokens += await trainer.accumulate(batch);
      const rate = learningRate(config.learningRate, config.schedule, step, steps, config.warmup);
      await trainer.optimizer.update(step, rate);
      const stopping = signal?.aborted ?? false;
      if (step % config.logEvery === 0 || step === steps) {
        const metrics = await trainer.metrics(step - logged);
        requireFinite(metrics.loss, step);
        const epoch = step * batchSize / sequences.length;
        yield {
          type: "step",
          step,
          steps,
          metrics: { ...metrics, learning_rate: rate, num_tokens: tokens, epoch },
          ...meter(step, tokens),
        };
        logged = step;
      }
      if (stopping || step === steps || (config.checkpointEvery > 0 && step % config.checkpointEvery === 0)) {
        const open = step === logged ? undefined : { steps: step - logged, sums: await trainer.sums() };
        const path = await saveCheckpoint(host, checkpoints, model, trainer.optimizer, { step, tokens, open });
        yield { type: "checkpoint", step, path };
      }
      if (stopping) {
        yield { type: "stopped", step };
        return;
      }
    }
    yield { type: "done", step: steps };
  } finally {
    trainer.destroy();
  }
}

/** Item i of an endless stream of epochs, each in an order of its own that depends on the seed alone. */
export function epochOrder<T>(items: readonly T[], seed: number): (i: number) => T {
  let epoch = -1;
  let order: T[] = [];
  return (i) => {
    const wanted = Math.floor(i / items.length);
    if (wanted !== epoch) {
      epoch = wanted;
      order = shuffled(items, uniformStream(seed, 1000 + epoch));
    }
    return order[i % items.length];
  };
}
