/** The loop that recipes over a fixed set of items share: order, schedule, logging, checkpoints, stopping. */
import type { Host } from "../host/host.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import type { Trained } from "../model/weights.ts";
import type { Optimizer } from "../optim/adamw.ts";
import { learningRate, type Schedule } from "../optim/schedule.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { progressMeter, type TrainingEvent } from "./events.ts";

/** One optimizer step of a recipe, compiled: gradients accumulate, metrics stay on the GPU until they are asked for. */
export interface StepEngine<Item> {
  /** Accumulates the gradient of the mean loss over these items. Returns their completion tokens. */
  accumulate(items: readonly Item[]): Promise<number>;
  readonly optimizer: Optimizer;
  /** Means since the last call, over `steps` steps, under TRL's names: one readback. */
  metrics(steps: number): Promise<Record<string, number>>;
  /** What `metrics` would divide, for a checkpoint between two logging steps; `restoreSums` goes on from it. */
  sums(): Promise<number[][]>;
  restoreSums(sums: readonly number[][]): void;
  destroy(): void;
}

export interface LoopConfig {
  steps: number;
  /** Items of an optimizer step. */
  batchSize: number;
  learningRate: number;
  schedule: Schedule;
  warmup: number;
  seed: number;
  logEvery: number;
  /** In steps; 0 saves only at the end. */
  checkpointEvery: number;
}

/**
 * Trains from the newest checkpoint in `checkpoints` to the last step, and destroys the engine. Everything a step does
 * follows from the seed and its number, so a resumed run equals an uninterrupted one bit for bit.
 */
export async function* trainingLoop<Item>(
  config: LoopConfig,
  given: { host: Host; trained: Trained; checkpoints: string },
  items: readonly Item[],
  engine: StepEngine<Item>,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { host, trained, checkpoints } = given;
  const { steps, batchSize } = config;
  try {
    const resumed = await loadCheckpoint(host, checkpoints, trained, engine.optimizer);
    if (resumed.open) engine.restoreSums(resumed.open.sums);
    const meter = progressMeter(resumed, steps);
    const itemAt = epochOrder(items, config.seed);
    let tokens = resumed.tokens;
    let logged = resumed.step - (resumed.open?.steps ?? 0);
    for (let step = resumed.step + 1; step <= steps; step++) {
      tokens += await engine.accumulate(
        Array.from({ length: batchSize }, (_, i) => itemAt((step - 1) * batchSize + i)),
      );
      const rate = learningRate(config.learningRate, config.schedule, step, steps, config.warmup);
      await engine.optimizer.update(step, rate);
      const stopping = signal?.aborted ?? false;
      if (step % config.logEvery === 0 || step === 1 || step === steps) {
        const means = await engine.metrics(step - logged);
        requireFinite(means.loss, step);
        const epoch = step * batchSize / items.length;
        const metrics = { ...means, learning_rate: rate, num_tokens: tokens, epoch };
        yield { type: "step", step, steps, metrics, ...meter(step, tokens) };
        logged = step;
      }
      if (stopping || step === steps || (config.checkpointEvery > 0 && step % config.checkpointEvery === 0)) {
        const open = step === logged ? undefined : { steps: step - logged, sums: await engine.sums() };
        const path = await saveCheckpoint(host, checkpoints, trained, engine.optimizer, { step, tokens, open });
        yield { type: "checkpoint", step, path };
      }
      if (stopping) {
        yield { type: "stopped", step };
        return;
      }
    }
    yield { type: "done", step: steps };
  } finally {
    engine.destroy();
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

/** Stops a run that has diverged, before it writes another checkpoint. */
function requireFinite(loss: number, step: number): void {
  if (Number.isFinite(loss)) return;
  throw new Error(
    `Cannot go on: the loss is ${loss} at step ${step}; lower the learning rate (DEBUG=nan names the first dispatch)`,
  );
}
