/**
 * The two losses of PPO on given rollouts (Schulman et al., "Proximal Policy Optimization Algorithms", 2017): the clipped
 * surrogate on token log-probabilities and the clipped value loss. Both come with their metrics. There is no entropy term:
 * the entropy of `tokenLogprob` has no gradient.
 */
import finishCode from "../wgsl/ppo_finish.wgsl" with { type: "text" };
import policyCode from "../wgsl/ppo_policy.wgsl" with { type: "text" };
import policyBackwardCode from "../wgsl/ppo_policy_backward.wgsl" with { type: "text" };
import valueCode from "../wgsl/ppo_value.wgsl" with { type: "text" };
import valueBackwardCode from "../wgsl/ppo_value_backward.wgsl" with { type: "text" };
import { elements, type Kernel } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const reads = (count: number) => Array<"read">(count).fill("read");
const policyForward = kernel("ppo_policy.forward", policyCode, {
  entry: "forward",
  bindings: [...reads(6), "read_write"],
  dims: ["N"],
});
const policyBackward = kernel("ppo_policy.backward", policyBackwardCode, {
  entry: "backward",
  bindings: [...reads(6), "read_write"],
  dims: ["N"],
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
 * Weighted sums over tokens, in the order of the kernel: token means where the weights are mask / tokens. The surrogate, k2 and
 * the clipped share of the new policy against the old; the ratio and its mean square distance from 1; k1 and k3 of the new
 * policy against the reference (Schulman 2020, "Approximating KL divergence"). Names as TRL's where it has one.
 */
export const PPO_POLICY_METRICS = [
  "loss/policy_avg",
  "policy/approxkl_avg",
  "policy/clipfrac_avg",
  "val/ratio",
  "val/ratio_spread",
  "policy/reference_k1",
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
  /** [N] of the tokens under the policy that is trained, the one that sampled them, and the frozen reference. */
  logprobs: Tensor;
  old: Tensor;
  reference: Tensor;
  /** [N] */
  advantages: Tensor;
  /** [N] 1 / (tokens of the step) on completion tokens, 0 elsewhere. */
  weights: Tensor;
  /** [2] the clip range, and the dual clip (0 for none). */
  hyper: Tensor;
}

/** -> loss [1] and metrics [7]; a gradient to `logprobs` alone. */
export function ppoPolicy(plan: Plan, inputs: PolicyInputs): { loss: Tensor; metrics: Tensor } {
  const { logprobs, old, reference, advantages, weights, hyper } = inputs;
  const given = [old, reference, advantages, weights];
  const columns = 1 + PPO_POLICY_METRICS.length;
  const sums = record(plan, "ppo_policy", policyForward, logprobs, given, hyper, columns, 24);
  plan.op([sums.loss], [logprobs], () => {
    recordBackward(plan, policyBackward, logprobs, [old, advantages, weights, hyper], sums.loss, 12);
  });
  return sums;
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
  const columns = 1 + PPO_VALUE_METRICS.length;
  const sums = record(plan, "ppo_value", valueForward, values, given, hyper, columns, 20);
  plan.op([sums.loss], [values], () => {
    recordBackward(plan, valueBackward, values, [...given, hyper], sums.loss, 10);
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
  M: number,
  flopsPerToken: number,
): { loss: Tensor; metrics: Tensor } {
  const N = elements(trained.shape);
  for (const tensor of given) same(forward.name, "N", N, trained, elements(tensor.shape), tensor);
  same(forward.name, "hyper", 2, { ...trained, shape: [2] }, elements(hyper.shape), hyper);
  const S = Math.ceil(N / TOKENS);
  const parts = plan.value(`${name}.parts`, [S, M]);
  const loss = plan.value(`${name}.loss`, [1]);
  const metrics = plan.value(`${name}.metrics`, [M - 1]);
  plan.dispatch(forward, [trained, ...given, hyper, parts], {
    dims: { N },
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
  flopsPerToken: number,
): void {
  const target = plan.target(trained);
  if (!target) return;
  const N = elements(trained.shape);
  plan.dispatch(backward, [trained, ...given, plan.gradient(loss), target.tensor], {
    dims: { N },
    constants: { ADD: Number(target.add) },
    workgroups: groups(N, 64),
    flops: flopsPerToken * N,
  });
}
