/**
 * One optimizer step of PPO's epochs (Schulman et al. 2017) on rollouts that are given: micro-batches accumulate gradients,
 * metrics stay on the GPU. Where this differs from the usual implementations for language models:
 * 1. Means are over the completion tokens of the whole step, metrics too: neither padding nor the split into micro-batches counts.
 * 2. Policy and value head share one trunk, one optimizer and one learning rate.
 * 3. No temperature: rollouts are sampled at 1, so that old, new and reference log-probabilities are of one distribution.
 * 4. No entropy bonus.
 */
import {
  compile,
  createReader,
  type Executable,
  persistent,
  Plan,
  type Tensor,
  type Weights,
  write,
} from "../plan/mod.ts";
import { accumulateInto, PPO_POLICY_METRICS, PPO_VALUE_METRICS, tokenLogprob } from "../../kernels/mod.ts";
import { ppoLoss, type PpoTensors } from "../loss/ppo.ts";
import { tokenMetrics } from "../loss/sft.ts";
import { attendWithin, forward, headWeight, type Llama } from "../model/llama.ts";
import { type Recompute, saveMemory, type Saving } from "../model/saving.ts";
import { predictValues } from "../model/value_head.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { type BatchInputs, batchInputs, destroyInputs, writeBatch } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

/** A sampled sequence with one number of each kind per completion token, the end token's included. */
export interface Rollout {
  sequence: Sequence;
  /** Log-probabilities and values under the weights that sampled it. */
  oldLogprobs: ArrayLike<number>;
  oldValues: ArrayLike<number>;
  /** Log-probabilities under the frozen reference. */
  reference: ArrayLike<number>;
  advantages: ArrayLike<number>;
  returns: ArrayLike<number>;
}

export interface PpoStepOptions extends Saving {
  /** Rollouts that run at a time. */
  microBatch: number;
  padId: number;
  /** Clip range of the ratio, usually 0.2, and how many times its advantage a bad token may cost, usually 3; 0 for no bound. */
  clip: number;
  dualClip: number;
  /** Clip range of values around the old ones, and the factor of their loss. */
  valueClip: number;
  valueFactor: number;
  adamw: AdamWConfig;
}

const PER_TOKEN = ["oldLogprobs", "oldValues", "reference", "advantages", "returns"] as const;

interface Compiled {
  inputs: BatchInputs;
  given: Omit<PpoTensors, "policyHyper" | "valueHyper">;
  executable: Executable;
}

/** Token log-probabilities and values of a batch: what the loss is recorded on, and what a rollout keeps as old. */
export function scoreWithValues(
  plan: Plan,
  model: Llama,
  valueHead: Weights,
  inputs: BatchInputs,
  recompute: Recompute,
) {
  const { B, T, ids, positions, targets } = inputs;
  const hidden = forward(plan, model, ids, positions, attendWithin(model.config, B, T), recompute);
  const scored = tokenLogprob(plan, hidden, headWeight(model), targets);
  return { scored, values: predictValues(plan, hidden, valueHead) };
}

export async function createPpoStep(
  model: Llama,
  valueHead: Weights,
  options: PpoStepOptions,
): Promise<StepEngine<Rollout>> {
  const { gpu } = model;
  const { microBatch: B, padId } = options;
  const plans = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "ppo.loss", [1]);
  const policySums = persistent(gpu, "ppo.policy", [PPO_POLICY_METRICS.length]);
  const valueSums = persistent(gpu, "ppo.value", [PPO_VALUE_METRICS.length]);
  const tokenSums = persistent(gpu, "ppo.tokens", [3]); // logsumexp, entropy, accuracy
  const sums = [lossSum, policySums, valueSums, tokenSums];
  const policyHyper = persistent(gpu, "ppo.policy.hyper", [2]);
  const valueHyper = persistent(gpu, "ppo.value.hyper", [2]);
  write(gpu, policyHyper, Float32Array.of(options.clip, options.dualClip));
  write(gpu, valueHyper, Float32Array.of(options.valueClip, options.valueFactor));
  const trained = { ...model.weights, pages: [...model.weights.pages, ...valueHead.pages] };
  const optimizer = await createOptimizer(gpu, trained, options.adamw);
  const reader = createReader(gpu, [...sums, optimizer.norm]);

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const perToken = (name: string): Tensor => persistent(gpu, name, [B, T]);
    const given = {
      oldLogprobs: perToken("old.logprobs"),
      oldValues: perToken("old.values"),
      reference: perToken("reference"),
      advantages: perToken("advantages"),
      returns: perToken("returns"),
      weights: perToken("weights"),
    };
    const plan = new Plan(`ppo.${B}x${T}`, gpu);
    const { scored, values } = scoreWithValues(plan, model, valueHead, inputs, options.recompute);
    const { loss, policyMetrics, valueMetrics } = ppoLoss(plan, scored.logprob, values, {
      ...given,
      policyHyper,
      valueHyper,
    });
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, policyMetrics, policySums);
    accumulateInto(plan, valueMetrics, valueSums);
    accumulateInto(plan, tokenMetrics(plan, scored, given.weights), tokenSums);
    plan.backward(loss, model.one);
    saveMemory(plan, options);
    const compiled = { inputs, given, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  return {
    optimizer,
    async accumulate(rollouts) {
      rollouts.forEach(requireWhole);
      // Neighbours in length share a micro-batch; ties keep their order, so a step is the same wherever it is resumed.
      const ordered = [...rollouts].sort((a, b) => positionsOf(a.sequence) - positionsOf(b.sequence));
      const total = ordered.reduce((sum, { sequence }) => sum + completionTokens(sequence), 0);
      for (let start = 0; start < ordered.length; start += B) {
        const batch = ordered.slice(start, start + B);
        const T = bucketOf(positionsOf(batch[batch.length - 1].sequence), model.config.maxPositions);
        const { inputs, given, executable } = await planFor(T);
        const arrays = batchArrays(batch.map(({ sequence }) => sequence), B, T, padId);
        writeBatch(model, inputs, arrays);
        for (const name of PER_TOKEN) write(gpu, given[name], placed(batch, name, B, T));
        write(gpu, given.weights, arrays.mask.map((m) => m / total));
        await executable.enqueue(); // the last one goes with the update
      }
      return total;
    },
    async metrics(steps) {
      const [loss, policy, value, token, norm] = await reader.read();
      for (const tensor of sums) write(gpu, tensor, new Float32Array(tensor.shape[0]));
      const means = Object.fromEntries([
        ...PPO_POLICY_METRICS.map((name, i) => [name, policy[i] / steps] as const),
        ...PPO_VALUE_METRICS.map((name, i) => [name, value[i] / steps] as const),
      ]);
      const {
        "val/ratio_spread": spread,
        "val/returns": returns,
        "val/returns_squared": returnsSquared,
        "val/errors": errors,
        "val/errors_squared": errorsSquared,
        ...reported
      } = means;
      const variance = returnsSquared - returns ** 2;
      return {
        loss: loss[0] / steps,
        ...reported,
        "val/ratio_var": spread - (means["val/ratio"] - 1) ** 2,
        "val/mean": returns - errors,
        // Of returns that are all the same there is nothing to explain.
        "val/explained_variance": variance > 0 ? 1 - (errorsSquared - errors ** 2) / variance : 0,
        "policy/entropy_avg": token[1] / steps,
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
      for (const { inputs, given, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, ...given });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ ...sums, policyHyper, valueHyper });
    },
  };
}

const completionTokens = ({ tokens, promptLength }: Sequence) => tokens.length - promptLength;

function requireWhole(rollout: Rollout): void {
  const tokens = completionTokens(rollout.sequence);
  for (const name of PER_TOKEN) {
    const { length } = rollout[name];
    if (length !== tokens) {
      throw new Error(`Cannot train on a rollout: ${name} has ${length} numbers for ${tokens} completion tokens`);
    }
  }
}

/** [B,T]: each number where its token is the target, 0 elsewhere. */
function placed(batch: readonly Rollout[], name: typeof PER_TOKEN[number], B: number, T: number): Float32Array {
  const array = new Float32Array(B * T);
  batch.forEach((rollout, b) => array.set(Array.from(rollout[name]), b * T + rollout.sequence.promptLength - 1));
  return array;
}
