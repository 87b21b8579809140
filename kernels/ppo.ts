/**
 * The losses of PPO and GRPO on given rollouts (Schulman et al., "Proximal Policy Optimization Algorithms", 2017): the clipped
 * surrogate on token log-probabilities, with a penalty on the divergence from a reference, and the clipped value loss. Both come
 * with their metrics. An entropy bonus is a weighted sum of the entropies of `tokenLogprob`, see src/loss/ppo.ts.
 */
import finishCode from "../wgsl/ppo_finish.wgsl" with { type: "text" };
import policyCode from "../wgsl/ppo_policy.wgsl" with { type: "text" };
import policyBackwardCode from "../wgsl/ppo_policy_backward.wgsl" with { type: "text" };
import sequenceOldCode from "../wgsl/sequence_old.wgsl" with { type: "text" };
import valueCode from "../wgsl/ppo_value.wgsl" with { type: "text" };
import valueBackwardCode from "../wgsl/ppo_value_backward.wgsl" with { type: "text" };
import { elements, type Kernel, showTensor } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const reads = (count: number) => Array<"read">(count).fill("read");
const policyForward = kernel("ppo_policy.forward", policyCode, {
  entry: "forward",
  bindings: [...reads(7), "read_write"],
  dims: ["N"],
});
const policyBackward = kernel("ppo_policy.backward", policyBackwardCode, {
  entry: "backward",
  bindings: [...reads(7), "read_write"],
  dims: ["N"],
});
const sequenceOld = kernel("sequence_old", sequenceOldCode, {
  entry: "main",
  bindings: [...reads(3), "read_write"],
  dims: ["T"],
});
const valueForward = kernel("ppo_value.forward", valueCode, {
  entry: "forward",
  bindings: [...reads(5), "read_write"],
  dims: ["N"],
});
const valueBackward = kernel("ppo_value.backward", valueBackwardCode, {
  entry: "backward",
  bindings: [...reads(6), "read_write"],
  dims: ["N"],
});
const finish = kernel("ppo.finish", finishCode, {
  entry: "finish",
  bindings: ["read", "read_write", "read_write"],
  dims: ["S", "M"],
});

/** Tokens that a workgroup of the forward kernels sums up. */
const TOKENS = 1024;

/**
 * How the new log-probability of a token enters the loss. "clip": PPO and GRPO. "gspo": the same with the ratio of the whole
 * sequence, the geometric mean of those of its tokens (Zheng et al. 2025). "cispo": REINFORCE with the clipped ratio as a constant
 * weight, so that clipped tokens have a gradient too (MiniMax-M1, 2025).
 */
export const SURROGATES = ["clip", "gspo", "cispo"] as const;
export type Surrogate = typeof SURROGATES[number];

/**
 * The penalty on the divergence from the reference as a part of the loss (Schulman 2020, "Approximating KL divergence"), by what its
 * gradient is in expectation under the policy: k2 that of KL(policy || reference); k3, as GRPO was published, that of
 * KL(reference || policy), which ends elsewhere; k3+ has the value of k3 and the gradient of k2 (as in verl).
 */
export const KL_LOSSES = ["k2", "k3", "k3+"] as const;
export type KlLoss = typeof KL_LOSSES[number];

/**
 * Sums over tokens, in the order of the kernel. The first two times `weights`: the surrogate, and the penalty with its coefficient.
 * The others times `means`, so they are token means: k2 of the new policy against the old; the share out of the clip range and
 * that above it; the ratio and its mean square distance from 1; k1, k2 and k3 against the reference. Names as TRL's where it has one.
 */
export const PPO_POLICY_METRICS = [
  "loss/policy_avg",
  "loss/kl_avg",
  "policy/approxkl_avg",
  "policy/clipfrac_avg",
  "policy/clipfrac_high",
  "val/ratio",
  "val/ratio_spread",
  "policy/reference_k1",
  "policy/reference_k2",
  "policy/reference_k3",
] as const;

/** The loss before scaling, the share of clipped tokens, first and second moments of returns and of returns - values. */
export const PPO_VALUE_METRICS = [
  "loss/value_avg",
  "val/clipfrac_avg",
  "val/returns",
  "val/returns_squared",
  "val/errors",
  "val/errors_squared",
] as const;

interface PolicyInputs {
  /** [B,T] of the tokens under the policy that is trained, the one that sampled them, and the frozen reference. */
  logprobs: Tensor;
  old: Tensor;
  reference: Tensor;
  /** [B,T] */
  advantages: Tensor;
  /** [B,T] what a token counts for in the loss of the step, see aggregationWeights; 0 on prompts and padding. */
  weights: Tensor;
  /** [B,T] 1 / (tokens of the step) on completion tokens, 0 elsewhere: what it counts for in the metrics. */
  means: Tensor;
  /** [4] the clip range below and above 1, the dual clip (0 for none), the coefficient of the penalty. */
  hyper: Tensor;
}

/** -> loss [1] and metrics [10]; a gradient to `logprobs` alone. Defaults: clip, k2. */
export function ppoPolicy(
  plan: Plan,
  inputs: PolicyInputs,
  options: { surrogate?: Surrogate; klLoss?: KlLoss } = {},
): { loss: Tensor; metrics: Tensor } {
  const { logprobs, reference, advantages, weights, means, hyper } = inputs;
  const { surrogate = "clip", klLoss = "k2" } = options;
  same(policyForward.name, "hyper", 4, { ...hyper, shape: [4] }, elements(hyper.shape), hyper);
  const old = surrogate === "gspo" ? recordSequenceOld(plan, logprobs, inputs.old, means) : inputs.old;
  const CISPO = Number(surrogate === "cispo");
  const given = [old, reference, advantages, weights];
  const sums = record(plan, "ppo_policy", policyForward, logprobs, [...given, means], hyper, {
    columns: 1 + PPO_POLICY_METRICS.length,
    constants: { CISPO, K3: Number(klLoss !== "k2") },
    flopsPerToken: 32,
  });
  plan.op([sums.loss], [logprobs], () => {
    const constants = { CISPO, K3: Number(klLoss === "k3") };
    recordBackward(plan, policyBackward, logprobs, [...given, hyper], sums.loss, { constants, flopsPerToken: 16 });
  });
  return sums;
}

function recordSequenceOld(plan: Plan, logprobs: Tensor, old: Tensor, means: Tensor): Tensor {
  if (logprobs.shape.length !== 2 && old.shape.length !== 2) {
    throw new Error(`Cannot record ${sequenceOld.name}: ${showTensor(old)} has no rows, a sequence each`);
  }
  const [B, T] = old.shape.length === 2 ? old.shape : logprobs.shape;
  same(sequenceOld.name, "N", elements(logprobs.shape), logprobs, B * T, old);
  const out = plan.value("old.sequence", [B, T]);
  plan.dispatch(sequenceOld, [logprobs, old, means, out], { dims: { T }, workgroups: [B, 1, 1], flops: 4 * B * T });
  return out;
}

interface ValueInputs {
  /** [N] of the value head as it is trained, and as it was at the rollout. */
  values: Tensor;
  old: Tensor;
  /** [N] */
  returns: Tensor;
  /** [N] as those of the policy. */
  weights: Tensor;
  /** [2] the clip range, and the factor of this loss. */
  hyper: Tensor;
}

/** -> loss [1], scaled, and metrics [6]; a gradient to `values` alone. */
export function ppoValue(plan: Plan, inputs: ValueInputs): { loss: Tensor; metrics: Tensor } {
  const { values, old, returns, weights, hyper } = inputs;
  const given = [old, returns, weights];
  same(valueForward.name, "hyper", 2, { ...hyper, shape: [2] }, elements(hyper.shape), hyper);
  const columns = 1 + PPO_VALUE_METRICS.length;
  const sums = record(plan, "ppo_value", valueForward, values, given, hyper, { columns, flopsPerToken: 20 });
  plan.op([sums.loss], [values], () => {
    recordBackward(plan, valueBackward, values, [...given, hyper], sums.loss, { flopsPerToken: 10 });
  });
  return sums;
}

function record(
  plan: Plan,
  name: string,
  forward: Kernel,
  trained: Tensor,
  given: readonly Tensor[],
  hyper: Tensor,
  options: { columns: number; flopsPerToken: number; constants?: Record<string, number> },
): { loss: Tensor; metrics: Tensor } {
  const { columns: M, constants, flopsPerToken } = options;
  const N = elements(trained.shape);
  for (const tensor of given) same(forward.name, "N", N, trained, elements(tensor.shape), tensor);
  const S = Math.ceil(N / TOKENS);
  const parts = plan.value(`${name}.parts`, [S, M]);
  const loss = plan.value(`${name}.loss`, [1]);
  const metrics = plan.value(`${name}.metrics`, [M - 1]);
  plan.dispatch(forward, [trained, ...given, hyper, parts], {
    dims: { N },
    constants,
    workgroups: groups(S),
    flops: flopsPerToken * N,
  });
  plan.dispatch(finish, [parts, loss, metrics], { dims: { S, M }, workgroups: [1, 1, 1], flops: S * M });
  return { loss, metrics };
}

function recordBackward(
  plan: Plan,
  backward: Kernel,
  trained: Tensor,
  given: readonly Tensor[],
  loss: Tensor,
  options: { flopsPerToken: number; constants?: Record<string, number> },
): void {
  const target = plan.target(trained);
  if (!target) return;
  const N = elements(trained.shape);
  plan.dispatch(backward, [trained, ...given, plan.gradient(loss), target.tensor], {
    dims: { N },
    constants: { ...options.constants, ADD: Number(target.add) },
    workgroups: groups(N, 64),
    flops: options.flopsPerToken * N,
  });
}
