/** One optimizer step of SFT: micro-batches accumulate gradients, metrics stay on the GPU until they are asked for. */
import { compile, createReader, type Executable, persistent, Plan, type Tensor, write } from "../plan/mod.ts";
import { accumulateInto } from "../../kernels/mod.ts";
import { sftLoss, tokenMetrics } from "../loss/sft.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { type BatchArrays, batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { fittingRows, packedArrays, packedShape, packRows, rowCounts } from "./packing.ts";
import { type BatchInputs, batchInputs, destroyInputs, score, writeBatch } from "./scorer.ts";
import type { Policy } from "./policy.ts";
import type { StepEngine } from "./training_loop.ts";

interface Compiled {
  inputs: BatchInputs;
  /** [B,T] -mask/M for the loss, mask/M for the metrics. */
  lossWeight: Tensor;
  metricWeight: Tensor;
  executable: Executable;
}

export interface SftStepOptions extends Saving {
  /** Sequences that run at a time, each in a row of its own; packed, as many positions. */
  microBatch: number;
  padId: number;
  adamw: AdamWConfig;
  /** Several sequences share a row: see `packedShape`. */
  pack?: boolean;
  /**
   * Positions of the longest sequence there will be: its plan is compiled at once, and those of shorter buckets, which are
   * recorded when they first occur, live in its memory.
   */
  longest?: number;
}

export async function createSftStep(
  { model, trained }: Pick<Policy, "model" | "trained">,
  options: SftStepOptions,
): Promise<StepEngine<Sequence>> {
  const { gpu } = model;
  const { maxPositions } = model.config;
  const { microBatch: B, padId, pack = false } = options;
  const plans = new Map<string, Compiled>();
  const lossSum = persistent(gpu, "sft.loss", [1]);
  const metricSums = persistent(gpu, "sft.metrics", [3]); // logsumexp, entropy, accuracy
  const optimizer = await createOptimizer(gpu, trained.weights, options.adamw);
  const reader = createReader(gpu, [lossSum, metricSums, optimizer.norm]);

  async function planFor(rows: number, T: number): Promise<Compiled> {
    const name = `sft.${rows}x${T}`;
    const known = plans.get(name);
    if (known) return known;
    const inputs = batchInputs(model, rows, T, pack);
    const lossWeight = persistent(gpu, "loss.weight", [rows, T]);
    const metricWeight = persistent(gpu, "metric.weight", [rows, T]);
    const plan = new Plan(name, gpu);
    const scored = score(plan, model, inputs, options.recompute);
    const loss = sftLoss(plan, scored.logprob, lossWeight);
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, tokenMetrics(plan, scored, metricWeight), metricSums);
    plan.backward(loss, model.one);
    saveMemory(plan, options);
    const compiled = { inputs, lossWeight, metricWeight, executable: await compile(gpu, plan) };
    plans.set(name, compiled);
    return compiled;
  }

  /** Neighbours in length share a micro-batch; ties keep their order, so a step is the same wherever it is resumed. */
  function* bucketed(sequences: readonly Sequence[]): Generator<[T: number, BatchArrays]> {
    const ordered = [...sequences].sort((a, b) => positionsOf(a) - positionsOf(b));
    for (let start = 0; start < ordered.length; start += B) {
      const batch = ordered.slice(start, start + B);
      const T = bucketOf(positionsOf(batch[batch.length - 1]), maxPositions);
      yield [T, batchArrays(batch, B, T, padId)];
    }
  }

  function* packed(sequences: readonly Sequence[]): Generator<[T: number, BatchArrays]> {
    const lengths = sequences.map(positionsOf);
    const { B: most, T } = packedShape([...lengths, options.longest ?? 1], B, maxPositions);
    const rows = packRows(lengths, T).map((items) => items.map((i) => ({ sequence: sequences[i], segment: i })));
    for (let start = 0; start < rows.length; start += most) {
      const part = rows.slice(start, start + most);
      yield [T, packedArrays(part, fittingRows(part.length, most), T, padId, sequences.length)];
    }
  }

  if (options.longest !== undefined && pack) {
    const { B: most, T } = packedShape([options.longest], B, maxPositions);
    for (const rows of rowCounts(most)) await planFor(rows, T);
  } else if (options.longest !== undefined) await planFor(B, bucketOf(options.longest, maxPositions));
  return {
    optimizer,
    async accumulate(sequences) {
      const total = sequences.reduce((sum, { tokens, promptLength }) => sum + tokens.length - promptLength, 0);
      for (const [T, arrays] of pack ? packed(sequences) : bucketed(sequences)) {
        const { inputs, lossWeight, metricWeight, executable } = await planFor(arrays.ids.length / T, T);
        writeBatch(model, inputs, arrays);
        write(gpu, lossWeight, arrays.mask.map((m) => -m / total));
        write(gpu, metricWeight, arrays.mask.map((m) => m / total));
        await executable.enqueue(); // the last one goes with the update
      }
      return total;
    },
    async metrics(steps) {
      const [loss, means, norm] = await reader.read();
      write(gpu, lossSum, new Float32Array(1));
      write(gpu, metricSums, new Float32Array(3));
      return {
        loss: loss[0] / steps,
        entropy: means[1] / steps,
        mean_token_accuracy: means[2] / steps,
        grad_norm: norm[0],
      };
    },
    async sums() {
      return (await reader.read()).slice(0, 2).map((sum) => Array.from(sum));
    },
    restoreSums(sums) {
      [lossSum, metricSums].forEach((tensor, i) => write(gpu, tensor, Float32Array.from(sums[i])));
    },
    destroy() {
      for (const { inputs, lossWeight, metricWeight, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, lossWeight, metricWeight });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ lossSum, metricSums });
    },
  };
}
