/**
 * One optimizer step of KTO: first the mean log-ratio of mismatched prompts and completions, forward alone, then samples in
 * micro-batches whose gradients accumulate. Metrics stay on the GPU.
 */
import { compile, createReader, type Executable, persistent, Plan, type Tensor, write } from "../plan/mod.ts";
import { accumulateInto, add, KTO_METRICS, weightedSum } from "../../kernels/mod.ts";
import { ktoItems, ktoLoss } from "../loss/kto.ts";
import { tokenMetrics } from "../loss/sft.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { batchArrays, bucketOf, placeWeights, positionsOf, type Sequence } from "./batches.ts";
import type { Policy } from "./policy.ts";
import { type BatchInputs, batchInputs, destroyInputs, score, writeBatch } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

/** A judged completion, without a partner. */
export interface KtoSample {
  sequence: Sequence;
  desirable: boolean;
  /** Per completion token, the end token included; default all 1. */
  weights?: ArrayLike<number>;
}

export interface KtoItem extends KtoSample {
  /** Weighted sum of completion log-probabilities under the frozen reference. */
  reference: number;
  /** The prompt with the completion of another prompt's sample, and its sum under the reference (weights 1). */
  mismatched: Sequence;
  mismatchedReference: number;
}

export interface KtoStepOptions extends Saving {
  /** Samples that run at a time, each in a row of its own. */
  microBatch: number;
  padId: number;
  beta: number;
  /** Factors of the losses of desirable and undesirable samples. */
  desirableWeight: number;
  undesirableWeight: number;
  adamw: AdamWConfig;
  /** Positions of the longest sequence there will be: its plans are compiled at once, and shorter ones live in their memory. */
  longest?: number;
}

interface Compiled {
  inputs: BatchInputs;
  given: { reference: Tensor; items: Tensor; metricWeight?: Tensor };
  executable: Executable;
}

export async function createKtoStep(
  { model, trained }: Pick<Policy, "model" | "trained">,
  options: KtoStepOptions,
): Promise<StepEngine<KtoItem>> {
  const { gpu } = model;
  const { maxPositions } = model.config;
  const { microBatch: B, padId } = options;
  const plans = new Map<number, Compiled>();
  const estimates = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "kto.loss", [1]);
  const sampleSums = persistent(gpu, "kto.sums", [KTO_METRICS.length]);
  const tokenSums = persistent(gpu, "kto.tokens", [3]); // logsumexp, entropy, accuracy
  const kl = persistent(gpu, "kto.kl", [1]);
  const klSum = persistent(gpu, "kto.kl.sum", [1]);
  const hyper = persistent(gpu, "kto.hyper", [1]);
  write(gpu, hyper, Float32Array.of(options.beta));
  const optimizer = await createOptimizer(gpu, trained.weights, options.adamw);
  const reader = createReader(gpu, [lossSum, sampleSums, tokenSums, klSum, optimizer.norm]);
  /** Desirable and undesirable samples since the metrics were last asked for. */
  let counts = [0, 0];

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const metricWeight = persistent(gpu, "metric.weight", [B, T]);
    const given = {
      reference: persistent(gpu, "reference", [B]),
      items: persistent(gpu, "items", [B, 3]),
      metricWeight,
    };
    const plan = new Plan(`kto.${B}x${T}`, gpu);
    const scored = score(plan, model, inputs, options.recompute);
    const { loss, metrics } = ktoLoss(plan, scored.logprob, { ...given, mask: inputs.mask, kl, hyper });
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, metrics, sampleSums);
    accumulateInto(plan, tokenMetrics(plan, scored, metricWeight), tokenSums);
    plan.backward(loss, model.one);
    saveMemory(plan, options);
    const compiled = { inputs, given, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  /** Adds the mean log-ratio of mismatched sequences to `kl`: items are [B] weights here, and reference holds sums times -1. */
  async function estimateFor(T: number): Promise<Compiled> {
    const known = estimates.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const given = { reference: persistent(gpu, "reference", [B]), items: persistent(gpu, "items", [B]) };
    const plan = new Plan(`kto.kl.${B}x${T}`, gpu);
    const sums = weightedSum(plan, score(plan, model, inputs, "none").logprob, inputs.mask, B);
    const mean = weightedSum(plan, add(plan, sums, given.reference), given.items, 1);
    accumulateInto(plan, mean, kl);
    accumulateInto(plan, mean, klSum);
    const compiled = { inputs, given, executable: await compile(gpu, plan) };
    estimates.set(T, compiled);
    return compiled;
  }

  /** Micro-batches of neighbours in length; ties keep their order, so a step is the same wherever it is resumed. */
  function* batches(items: readonly KtoItem[], sequenceOf: (item: KtoItem) => Sequence) {
    const ordered = [...items].sort((a, b) => positionsOf(sequenceOf(a)) - positionsOf(sequenceOf(b)));
    for (let start = 0; start < ordered.length; start += B) {
      const batch = ordered.slice(start, start + B);
      const T = bucketOf(positionsOf(sequenceOf(batch[batch.length - 1])), maxPositions);
      yield { T, batch, arrays: batchArrays(batch.map(sequenceOf), B, T, padId) };
    }
  }

  if (options.longest !== undefined) {
    const T = bucketOf(options.longest, maxPositions);
    await planFor(T);
    await estimateFor(T);
  }
  return {
    optimizer,
    async accumulate(all) {
      write(gpu, kl, new Float32Array(1));
      for (const { T, batch, arrays } of batches(all, ({ mismatched }) => mismatched)) {
        const { inputs, given, executable } = await estimateFor(T);
        writeBatch(model, inputs, arrays);
        write(gpu, given.reference, Float32Array.from({ length: B }, (_, b) => -(batch[b]?.mismatchedReference ?? 0)));
        write(gpu, given.items, Float32Array.from({ length: B }, (_, b) => b < batch.length ? 1 / all.length : 0));
        await executable.enqueue();
      }
      const tokens = all.reduce((sum, { sequence }) => sum + sequence.tokens.length - sequence.promptLength, 0);
      const { desirableWeight: lambdaDesirable, undesirableWeight: lambdaUndesirable } = options;
      const step = { items: all.length, lambdaDesirable, lambdaUndesirable };
      for (const { T, batch, arrays } of batches(all, ({ sequence }) => sequence)) {
        const { inputs, given, executable } = await planFor(T);
        write(gpu, given.metricWeight!, arrays.mask.map((m) => m / tokens));
        batch.forEach(({ sequence, weights }, b) => weights && placeWeights(arrays.mask, b * T, sequence, weights));
        writeBatch(model, inputs, arrays);
        write(gpu, given.reference, Float32Array.from({ length: B }, (_, b) => batch[b]?.reference ?? 0));
        write(gpu, given.items, ktoItems(batch.map(({ desirable }) => desirable), B, step));
        await executable.enqueue(); // the last one goes with the update
      }
      const desirable = all.filter((item) => item.desirable).length;
      counts = [counts[0] + desirable, counts[1] + all.length - desirable];
      return tokens;
    },
    async metrics(steps) {
      const [loss, sums, tokenMeans, klMean, norm] = await reader.read();
      for (const tensor of [lossSum, sampleSums, tokenSums, klSum]) {
        write(gpu, tensor, new Float32Array(tensor.shape[0]));
      }
      const means: Record<string, number> = {};
      // Of a kind that was not there nothing is said.
      for (const [kind, side] of ["chosen", "rejected"].entries()) {
        for (const name of [`rewards/${side}`, `logps/${side}`] as typeof KTO_METRICS[number][]) {
          if (counts[kind] > 0) means[name] = sums[KTO_METRICS.indexOf(name)] / counts[kind];
        }
      }
      if (counts[0] > 0 && counts[1] > 0) {
        means["rewards/margins"] = means["rewards/chosen"] - means["rewards/rejected"];
      }
      counts = [0, 0];
      return {
        loss: loss[0] / steps,
        ...means,
        kl: klMean[0] / steps,
        entropy: tokenMeans[1] / steps,
        mean_token_accuracy: tokenMeans[2] / steps,
        grad_norm: norm[0],
      };
    },
    async sums() {
      return [...(await reader.read()).slice(0, 4).map((sum) => Array.from(sum)), counts];
    },
    restoreSums(sums) {
      [lossSum, sampleSums, tokenSums, klSum].forEach((tensor, i) => write(gpu, tensor, Float32Array.from(sums[i])));
      counts = [...sums[4]];
    },
    destroy() {
      for (const { inputs, given, executable } of [...plans.values(), ...estimates.values()]) {
        executable.destroy();
        destroyInputs({ ...inputs, ...given });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ lossSum, sampleSums, tokenSums, kl, klSum, hyper });
    },
  };
}
