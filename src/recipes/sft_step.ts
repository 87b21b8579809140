/** One optimizer step of SFT: micro-batches accumulate gradients, metrics stay on the GPU until they are asked for. */
import { compile, createReader, type Executable, persistent, Plan, type Tensor, write } from "../plan/mod.ts";
import { accumulateInto } from "../../kernels/mod.ts";
import { sftLoss, tokenMetrics } from "../loss/sft.ts";
import type { Llama } from "../model/llama.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { type BatchInputs, batchInputs, destroyInputs, score, writeBatch } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

interface Compiled {
  inputs: BatchInputs;
  /** [B,T] -mask/M for the loss, mask/M for the metrics. */
  lossWeight: Tensor;
  metricWeight: Tensor;
  executable: Executable;
}

/** `microBatch` sequences run at a time; a plan is recorded the first time a length bucket occurs. */
export async function createSftStep(
  model: Llama,
  options: { microBatch: number; padId: number; adamw: AdamWConfig; recompute: boolean },
): Promise<StepEngine<Sequence>> {
  const { gpu } = model;
  const { microBatch: B, padId } = options;
  const plans = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "sft.loss", [1]);
  const metricSums = persistent(gpu, "sft.metrics", [3]); // logsumexp, entropy, accuracy
  const optimizer = await createOptimizer(gpu, model.weights, options.adamw);
  const reader = createReader(gpu, [lossSum, metricSums, optimizer.norm]);

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const lossWeight = persistent(gpu, "loss.weight", [B, T]);
    const metricWeight = persistent(gpu, "metric.weight", [B, T]);
    const plan = new Plan(`sft.${B}x${T}`, gpu);
    const scored = score(plan, model, inputs, options.recompute);
    const loss = sftLoss(plan, scored.logprob, lossWeight);
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, tokenMetrics(plan, scored, metricWeight), metricSums);
    plan.backward(loss, model.one);
    const compiled = { inputs, lossWeight, metricWeight, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  return {
    optimizer,
    async accumulate(sequences) {
      // Neighbours in length share a micro-batch; ties keep their order, so a step is the same wherever it is resumed.
      const ordered = [...sequences].sort((a, b) => positionsOf(a) - positionsOf(b));
      const total = ordered.reduce((sum, { tokens, promptLength }) => sum + tokens.length - promptLength, 0);
      for (let start = 0; start < ordered.length; start += B) {
        const batch = ordered.slice(start, start + B);
        const T = bucketOf(positionsOf(batch[batch.length - 1]), model.config.maxPositions);
        const { inputs, lossWeight, metricWeight, executable } = await planFor(T);
        const arrays = batchArrays(batch, B, T, padId);
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
