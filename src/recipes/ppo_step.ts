/**
 * One optimizer step of the epochs of PPO (Schulman et al. 2017), GRPO (Shao et al. 2024) or RLOO (Ahmadian et al. 2024) on rollouts
 * that are given: micro-batches accumulate gradients, metrics stay on the GPU. With a value head it is PPO, without one the
 * others. Where this differs from the usual implementations for language models:
 * 1. Every sum is over the completion tokens of the whole step: neither padding nor the split into micro-batches counts.
 * 2. Metrics are token means, however the loss is aggregated; only `loss`, `loss/policy_avg` and `loss/kl_avg` are sums by its weights.
 * 3. Policy and value head share one trunk, one optimizer and one learning rate.
 * 4. The value loss and the entropy bonus are token means.
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
import {
  accumulateInto,
  type KlLoss,
  PPO_POLICY_METRICS,
  PPO_VALUE_METRICS,
  type Surrogate,
} from "../../kernels/mod.ts";
import { type Aggregation, aggregationWeights } from "../loss/advantages.ts";
import { ppoLoss } from "../loss/ppo.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { joinWeights } from "../model/weights.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import type { Policy } from "./policy.ts";
import { scoreTokens } from "./rollout_scorer.ts";
import { type BatchInputs, batchInputs, destroyInputs, writeBatch } from "./scorer.ts";
import type { StepEngine } from "./training_loop.ts";

/** A sampled sequence with one number of each kind per completion token, the end token's included. */
export interface Rollout {
  sequence: Sequence;
  /** Log-probabilities under the weights that sampled it, at the temperature of the step. */
  oldLogprobs: ArrayLike<number>;
  /** Of groupAdvantages or gae, times what step-wise credit says. */
  advantages: ArrayLike<number>;
  /** Log-probabilities under the frozen reference, where the step compares with one. */
  reference?: ArrayLike<number>;
  /** Of the value head when it was sampled, and what it should have said: where there is a value head. */
  oldValues?: ArrayLike<number>;
  returns?: ArrayLike<number>;
}

export interface PpoStepOptions extends Saving {
  /** Rollouts that run at a time. */
  microBatch: number;
  padId: number;
  /** How far the ratio may fall below 1 and rise above it, usually 0.2 each (DAPO: 0.2 and 0.28). */
  clipLow: number;
  clipHigh: number;
  /** How many times its advantage a bad token may cost, usually 3; 0 for no bound. */
  dualClip: number;
  /** Default "clip". */
  surrogate?: Surrogate;
  /** How losses of tokens become the loss of the step; `maxLength`, in tokens, is for "dr-grpo". */
  aggregation: Aggregation;
  maxLength?: number;
  /** Whether rollouts bring log-probabilities of a frozen reference: for the metrics, and for a penalty in the loss. */
  reference: boolean;
  /** The penalty on the divergence from the reference in the loss, by default 0 x k2: none. */
  klCoefficient?: number;
  klLoss?: KlLoss;
  /** Of the mean entropy, by default 0: none, and no time spent on its gradient. */
  entropyCoefficient?: number;
  /** What logits are divided by, that of the sampler. Default 1. */
  temperature?: number;
  /** Where there is a value head: clip range of values around the old ones, factor of their loss. Defaults 0.2 and 0.1. */
  valueClip?: number;
  valueFactor?: number;
  adamw: AdamWConfig;
}

type PerToken = Exclude<keyof Rollout, "sequence">;

interface Compiled {
  inputs: BatchInputs;
  /** Per-token numbers of rollouts. */
  given: Partial<Record<PerToken, Tensor>>;
  weights: { weights: Tensor; means: Tensor };
  executable: Executable;
}

/** Errors name what the options ask for and the value head or the reference lacks. */
export async function createPpoStep(
  policy: Pick<Policy, "model" | "trained">,
  valueHead: Weights | null,
  options: PpoStepOptions,
): Promise<StepEngine<Rollout>> {
  const { model, trained } = policy;
  const { gpu } = model;
  const { microBatch: B, padId, aggregation, maxLength, klCoefficient = 0, entropyCoefficient = 0 } = options;
  if (klCoefficient !== 0 && !options.reference) {
    throw new Error(`Cannot train with klCoefficient ${klCoefficient}: rollouts come without a reference`);
  }
  aggregationWeights(aggregation, [1], { maxLength }); // whatever it misses shows before anything is sampled
  const perToken: PerToken[] = [
    "oldLogprobs",
    "advantages",
    ...(options.reference ? ["reference"] as const : []),
    ...(valueHead ? ["oldValues", "returns"] as const : []),
  ];
  const plans = new Map<number, Compiled>();
  const lossSum = persistent(gpu, "ppo.loss", [1]);
  const policySums = persistent(gpu, "ppo.policy", [PPO_POLICY_METRICS.length]);
  const valueSums = persistent(gpu, "ppo.value", [PPO_VALUE_METRICS.length]);
  const tokenSums = persistent(gpu, "ppo.tokens", [3]); // logsumexp, entropy, accuracy
  const sums = [lossSum, policySums, valueSums, tokenSums];
  const hyper = (name: string, ...values: number[]) => {
    const tensor = persistent(gpu, name, [values.length]);
    write(gpu, tensor, Float32Array.from(values));
    return tensor;
  };
  const policyHyper = hyper("policy.hyper", options.clipLow, options.clipHigh, options.dualClip, klCoefficient);
  const valueHyper = hyper("value.hyper", options.valueClip ?? 0.2, options.valueFactor ?? 0.1);
  const entropyHyper = hyper("entropy.hyper", 0, -entropyCoefficient, 0);
  const all = valueHead ? joinWeights(trained.weights, valueHead) : trained.weights;
  const optimizer = await createOptimizer(gpu, all, options.adamw);
  const reader = createReader(gpu, [...sums, optimizer.norm]);

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const given: Compiled["given"] = {};
    for (const name of perToken) given[name] = persistent(gpu, name, [B, T]);
    const weights = { weights: persistent(gpu, "weights", [B, T]), means: persistent(gpu, "means", [B, T]) };
    const plan = new Plan(`ppo.${B}x${T}`, gpu);
    const { scored, values } = scoreTokens(plan, model, valueHead, inputs, {
      recompute: options.recompute,
      temperature: options.temperature,
      auxGradient: entropyCoefficient !== 0,
    });
    const { loss, policyMetrics, tokenMetrics, valueMetrics } = ppoLoss(plan, scored, {
      oldLogprobs: given.oldLogprobs!,
      reference: given.reference ?? given.oldLogprobs!,
      advantages: given.advantages!,
      ...weights,
      policyHyper,
      entropyHyper: entropyCoefficient !== 0 ? entropyHyper : undefined,
      critic: values ? { values, oldValues: given.oldValues!, returns: given.returns!, hyper: valueHyper } : undefined,
    }, options);
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, policyMetrics, policySums);
    accumulateInto(plan, tokenMetrics, tokenSums);
    if (valueMetrics) accumulateInto(plan, valueMetrics, valueSums);
    plan.backward(loss, model.one);
    saveMemory(plan, options);
    const compiled = { inputs, given, weights, executable: await compile(gpu, plan) };
    plans.set(T, compiled);
    return compiled;
  }

  return {
    optimizer,
    async accumulate(rollouts) {
      for (const rollout of rollouts) requireWhole(rollout, perToken);
      // Neighbours in length share a micro-batch; ties keep their order, so a step is the same wherever it is resumed.
      const ordered = [...rollouts].sort((a, b) => positionsOf(a.sequence) - positionsOf(b.sequence));
      const counts = ordered.map(({ sequence }) => completionTokens(sequence));
      const total = counts.reduce((sum, count) => sum + count, 0);
      const shares = aggregationWeights(aggregation, counts, { maxLength, localBatch: B });
      for (let start = 0; start < ordered.length; start += B) {
        const batch = ordered.slice(start, start + B);
        const T = bucketOf(positionsOf(batch[batch.length - 1].sequence), model.config.maxPositions);
        const { inputs, given, weights, executable } = await planFor(T);
        const arrays = batchArrays(batch.map(({ sequence }) => sequence), B, T, padId);
        writeBatch(model, inputs, arrays);
        for (const name of perToken) write(gpu, given[name]!, placed(batch, name, B, T));
        write(gpu, weights.weights, arrays.mask.map((m, i) => m && shares[start + Math.floor(i / T)]));
        write(gpu, weights.means, arrays.mask.map((m) => m / total));
        await executable.enqueue(); // the last one goes with the update
      }
      return total;
    },
    async metrics(steps) {
      const [loss, policySum, value, token, norm] = await reader.read();
      for (const tensor of sums) write(gpu, tensor, new Float32Array(tensor.shape[0]));
      const named = (names: readonly string[], of: ArrayLike<number>) =>
        Object.fromEntries(names.map((name, i) => [name, of[i] / steps]));
      const { "val/ratio_spread": spread, ...means } = named(PPO_POLICY_METRICS, policySum);
      const compared = ([name]: [string, number]) =>
        name === "loss/kl_avg" ? klCoefficient !== 0 : options.reference || !name.includes("reference");
      return {
        loss: loss[0] / steps,
        ...Object.fromEntries(Object.entries(means).filter(compared)),
        "val/ratio_var": spread - (means["val/ratio"] - 1) ** 2,
        ...(valueHead ? valueMetricsOf(named(PPO_VALUE_METRICS, value)) : {}),
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
      for (const { inputs, given, weights, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, ...given, ...weights });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ ...sums, policyHyper, valueHyper, entropyHyper });
    },
  };
}

/** Means of the value kernel as what is reported of them. */
function valueMetricsOf(means: Record<string, number>): Record<string, number> {
  const {
    "val/returns": returns,
    "val/returns_squared": returnsSquared,
    "val/errors": errors,
    "val/errors_squared": errorsSquared,
    ...reported
  } = means;
  const variance = returnsSquared - returns ** 2;
  return {
    ...reported,
    "val/mean": returns - errors,
    // Of returns that are all the same there is nothing to explain.
    "val/explained_variance": variance > 0 ? 1 - (errorsSquared - errors ** 2) / variance : 0,
  };
}

const completionTokens = ({ tokens, promptLength }: Sequence) => tokens.length - promptLength;

function requireWhole(rollout: Rollout, names: readonly PerToken[]): void {
  const tokens = completionTokens(rollout.sequence);
  for (const name of names) {
    const length = rollout[name]?.length ?? 0;
    if (length !== tokens) {
      throw new Error(`Cannot train on a rollout: ${name} has ${length} numbers for ${tokens} completion tokens`);
    }
  }
}

/** [B,T]: each number where its token is the target, 0 elsewhere. */
function placed(batch: readonly Rollout[], name: PerToken, B: number, T: number): Float32Array {
  const array = new Float32Array(B * T);
  batch.forEach((rollout, b) => array.set(Array.from(rollout[name]!), b * T + rollout.sequence.promptLength - 1));
  return array;
}
