/** One optimizer step of ETA-DPO: pairs in micro-batches, gradients accumulated, metrics kept on the GPU. */
import { compile, createReader, type Executable, persistent, Plan, write } from "../plan/mod.ts";
import { accumulateInto, DPO_METRICS } from "../../kernels/mod.ts";
import { dpoLoss, type DpoTensors } from "../loss/dpo.ts";
import { tokenMetrics } from "../loss/sft.ts";
import type { Llama } from "../model/llama.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { type BatchInputs, batchInputs, destroyInputs, score, writeBatch } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

export interface PreferencePair {
  chosen: Sequence;
  rejected: Sequence;
  /** Sums of completion log-probabilities under the frozen reference. */
  referenceChosen: number;
  referenceRejected: number;
}

interface Compiled {
  inputs: BatchInputs;
  given: Omit<DpoTensors, "mask">;
  metricWeight: BatchInputs["mask"];
  executable: Executable;
}

export async function createDpoStep(
  model: Llama,
  options: {
    /** Pairs that run at a time. */
    microBatch: number;
    padId: number;
    beta: number;
    labelSmoothing: number;
    /** Weight of the SFT term on winners. */
    alpha: number;
    adamw: AdamWConfig;
    recompute: boolean;
  },
): Promise<StepEngine<PreferencePair>> {
  const { gpu } = model;
  const { microBatch: P, padId, alpha } = options;
  const plans = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "dpo.loss", [1]);
  const pairSums = persistent(gpu, "dpo.sums", [DPO_METRICS.length]);
  const tokenSums = persistent(gpu, "dpo.tokens", [3]);
  const hyper = persistent(gpu, "dpo.hyper", [2]);
  write(gpu, hyper, Float32Array.of(options.beta, options.labelSmoothing));
  const optimizer = await createOptimizer(gpu, model.weights, options.adamw);
  const reader = createReader(gpu, [lossSum, pairSums, tokenSums, optimizer.norm]);

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, 2 * P, T);
    const given = {
      reference: persistent(gpu, "reference", [2 * P]),
      pairWeight: persistent(gpu, "pair.weight", [P]),
      sftWeight: persistent(gpu, "sft.weight", [2 * P, T]),
      hyper,
    };
    const metricWeight = persistent(gpu, "metric.weight", [2 * P, T]);
    const plan = new Plan(`dpo.${P}x${T}`, gpu);
    const scored = score(plan, model, inputs, options.recompute);
    const { loss, metrics } = dpoLoss(plan, scored.logprob, { ...given, mask: inputs.mask });
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, metrics, pairSums);
    accumulateInto(plan, tokenMetrics(plan, scored, metricWeight), tokenSums);
    plan.backward(loss, model.one);
    const compiled = { inputs, given, metricWeight, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  return {
    optimizer,
    async accumulate(pairs) {
      const longest = (pair: PreferencePair) => Math.max(positionsOf(pair.chosen), positionsOf(pair.rejected));
      const completion = ({ tokens, promptLength }: Sequence) => tokens.length - promptLength;
      const ordered = [...pairs].sort((a, b) => longest(a) - longest(b));
      const winnerTokens = ordered.reduce((sum, pair) => sum + completion(pair.chosen), 0);
      const allTokens = ordered.reduce((sum, pair) => sum + completion(pair.rejected), winnerTokens);
      for (let start = 0; start < ordered.length; start += P) {
        const batch = ordered.slice(start, start + P);
        const T = bucketOf(longest(batch[batch.length - 1]), model.config.maxPositions);
        const { inputs, given, metricWeight, executable } = await planFor(T);
        // Rows [0, P) are winners, [P, 2P) losers; a short batch leaves empty rows with weight 0 in both halves.
        const empty: Sequence = { tokens: [padId], promptLength: 1 };
        const fill = Array.from({ length: P - batch.length }, () => empty);
        const rows = [...batch.map((pair) => pair.chosen), ...fill, ...batch.map((pair) => pair.rejected), ...fill];
        const arrays = batchArrays(rows, 2 * P, T, padId);
        writeBatch(model, inputs, arrays);
        const reference = new Float32Array(2 * P);
        batch.forEach((pair, p) => {
          reference[p] = pair.referenceChosen;
          reference[P + p] = pair.referenceRejected;
        });
        write(gpu, given.reference, reference);
        write(
          gpu,
          given.pairWeight,
          Float32Array.from({ length: P }, (_, p) => p < batch.length ? 1 / pairs.length : 0),
        );
        write(gpu, given.sftWeight, arrays.mask.map((m, i) => i < P * T ? -alpha * m / winnerTokens : 0));
        write(gpu, metricWeight, arrays.mask.map((m) => m / allTokens));
        await executable.enqueue(); // the last one goes with the update
      }
      return allTokens;
    },
    async metrics(steps) {
      const [loss, pairMeans, tokenMeans, norm] = await reader.read();
      for (const sums of [lossSum, pairSums, tokenSums]) write(gpu, sums, new Float32Array(sums.shape[0]));
      return {
        loss: loss[0] / steps,
        ...Object.fromEntries(DPO_METRICS.map((name, i) => [name, pairMeans[i] / steps])),
        entropy: tokenMeans[1] / steps,
        mean_token_accuracy: tokenMeans[2] / steps,
        grad_norm: norm[0],
      };
    },
    async sums() {
      return (await reader.read()).slice(0, 3).map((sum) => Array.from(sum));
    },
    restoreSums(sums) {
      [lossSum, pairSums, tokenSums].forEach((tensor, i) => write(gpu, tensor, Float32Array.from(sums[i])));
    },
    destroy() {
      for (const { inputs, given, metricWeight, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, ...given, metricWeight });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ lossSum, pairSums, tokenSums, hyper });
    },
  };
}
