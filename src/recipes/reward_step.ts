/** One optimizer step of a reward model: pairs in micro-batches, gradients accumulated, metrics kept on the GPU. */
import {
  compile,
  createReader,
  type Executable,
  persistent,
  Plan,
  type Reader,
  type Tensor,
  write,
} from "../plan/mod.ts";
import { accumulateInto, REWARD_METRICS } from "../../kernels/mod.ts";
import { rewardLoss } from "../loss/reward.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { bucketOf } from "./batches.ts";
import {
  recordRewards,
  type RewardInputs,
  rewardInputs,
  type RewardNetwork,
  writeRewardBatch,
} from "./reward_network.ts";
import { destroyInputs } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

/** Tokens of the better and of the worse one, specials included. */
export interface RewardItem {
  chosen: readonly number[];
  rejected: readonly number[];
  /** By how much the chosen one should lead; default 0. */
  margin?: number;
}

export interface RewardStepOptions extends Saving {
  /** Pairs that run at a time. */
  microBatch: number;
  padId: number;
  /** c of the loss. */
  center: number;
  adamw: AdamWConfig;
}

interface Compiled {
  inputs: RewardInputs;
  margin: Tensor;
  pairWeight: Tensor;
  executable: Executable;
}

export async function createRewardStep(
  network: RewardNetwork,
  options: RewardStepOptions,
): Promise<StepEngine<RewardItem>> {
  const { gpu } = network;
  const { microBatch: P, padId } = options;
  const plans = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "reward.loss", [1]);
  const metricSums = persistent(gpu, "reward.sums", [REWARD_METRICS.length]);
  const sums = [lossSum, metricSums];
  const hyper = persistent(gpu, "reward.hyper", [1]);
  write(gpu, hyper, Float32Array.of(options.center));
  const optimizer = await createOptimizer(gpu, network.trained.weights, options.adamw);
  const reader = createReader(gpu, [...sums, optimizer.norm]);

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = rewardInputs(network, 2 * P, T);
    const margin = persistent(gpu, "margin", [P]);
    const pairWeight = persistent(gpu, "pair.weight", [P]);
    const plan = new Plan(`reward.${2 * P}x${T}`, gpu);
    const rewards = recordRewards(plan, network, inputs, options.recompute);
    const { loss, metrics } = rewardLoss(plan, rewards, { margin, pairWeight, hyper });
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, metrics, metricSums);
    plan.backward(loss, network.body.model.one);
    saveMemory(plan, options);
    const compiled = { inputs, margin, pairWeight, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  const lengthOf = ({ chosen, rejected }: RewardItem) => Math.max(chosen.length, rejected.length);

  return {
    optimizer,
    async accumulate(items) {
      // Neighbours in length share a micro-batch; ties keep their order, so a step is the same wherever it is resumed.
      const ordered = [...items].sort((a, b) => lengthOf(a) - lengthOf(b));
      for (let start = 0; start < ordered.length; start += P) {
        const pairs = ordered.slice(start, start + P);
        const T = bucketOf(lengthOf(pairs[pairs.length - 1]), network.longest);
        const { inputs, margin, pairWeight, executable } = await planFor(T);
        // Rows [0, P) are chosen, [P, 2P) rejected; a short batch leaves empty rows with weight 0 in both halves.
        const fill = Array<readonly number[]>(P - pairs.length).fill([]);
        const rows = [...pairs.map(({ chosen }) => chosen), ...fill, ...pairs.map(({ rejected }) => rejected), ...fill];
        writeRewardBatch(network, inputs, rows, padId);
        write(gpu, margin, Float32Array.from({ length: P }, (_, p) => pairs[p]?.margin ?? 0));
        write(gpu, pairWeight, Float32Array.from({ length: P }, (_, p) => p < pairs.length ? 1 / items.length : 0));
        await executable.enqueue(); // the last one goes with the update
      }
      return items.reduce((sum, { chosen, rejected }) => sum + chosen.length + rejected.length, 0);
    },
    async metrics(steps) {
      const [loss, means, norm] = await reader.read();
      for (const sum of sums) write(gpu, sum, new Float32Array(sum.shape[0]));
      return {
        loss: loss[0] / steps,
        ...Object.fromEntries(REWARD_METRICS.map((name, i) => [name, means[i] / steps])),
        grad_norm: norm[0],
      };
    },
    async sums() {
      return (await reader.read()).slice(0, sums.length).map((sum) => Array.from(sum));
    },
    restoreSums(saved) {
      sums.forEach((tensor, i) => write(gpu, tensor, Float32Array.from(saved[i])));
    },
    destroy() {
      for (const { inputs, margin, pairWeight, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, margin, pairWeight });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ lossSum, metricSums, hyper });
    },
  };
}

export interface RewardScorer {
  /** Raw rewards, in the order given. */
  score(sequences: readonly (readonly number[])[]): Promise<Float32Array>;
  destroy(): void;
}

/** Scores with the weights as they are at each call; `B` sequences run at a time, one plan per length bucket. */
export function createRewardScorer(network: RewardNetwork, B: number, padId: number): RewardScorer {
  const { gpu } = network;
  const plans = new Map<number, { inputs: RewardInputs; executable: Executable; reader: Reader }>();
  async function planFor(T: number) {
    const known = plans.get(T);
    if (known) return known;
    const inputs = rewardInputs(network, B, T);
    const plan = new Plan(`reward.score.${T}`, gpu);
    const rewards = plan.keep(recordRewards(plan, network, inputs, "none"));
    const executable = await compile(gpu, plan);
    const made = { inputs, executable, reader: executable.reader([rewards]) };
    plans.set(T, made);
    return made;
  }
  return {
    async score(sequences) {
      const rewards = new Float32Array(sequences.length);
      const byBucket = new Map<number, number[]>();
      sequences.forEach((tokens, i) => {
        const T = bucketOf(tokens.length, network.longest);
        byBucket.set(T, [...(byBucket.get(T) ?? []), i]);
      });
      for (const [T, members] of byBucket) {
        const { inputs, executable, reader } = await planFor(T);
        for (let start = 0; start < members.length; start += B) {
          const batch = members.slice(start, start + B);
          writeRewardBatch(network, inputs, batch.map((i) => sequences[i]), padId);
          await executable.run();
          const [got] = await reader.read();
          batch.forEach((i, b) => rewards[i] = got[b]);
        }
      }
      return rewards;
    },
    destroy() {
      for (const { inputs, executable, reader } of plans.values()) {
        reader.destroy();
        executable.destroy();
        destroyInputs(inputs);
      }
    },
  };
}
