/** The KTO loss on sums of log-probabilities of unpaired completions (Ethayarajh et al. 2024, "Model alignment as prospect theoretic optimization"). */
import forwardCode from "../wgsl/kto.wgsl" with { type: "text" };
import backwardCode from "../wgsl/kto_backward.wgsl" with { type: "text" };
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("kto.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read", "read_write", "read_write", "read_write"],
  dims: ["P"],
});
const backward = kernel("kto.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read_write"],
  dims: ["P"],
});

/** Means over the items of a kind, in the order of the kernel; TRL's names. Its `rewards/margins` is the first less the second. */
export const KTO_METRICS = ["rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected"] as const;

export interface KtoInputs {
  /** [P] weighted sums of token log-probabilities under the policy. */
  logprobs: Tensor;
  /** [P] the same under the frozen reference. */
  reference: Tensor;
  /**
   * [P,3] of each item: its weight in the loss, 1 if it is desirable, else 0, and its weight in the metrics of its kind (0 for
   * padding, which is not looked at).
   */
  items: Tensor;
  /** [1] the KL estimate of the step, taken as 0 where it is negative. No gradient. */
  kl: Tensor;
  /** [1] beta. */
  hyper: Tensor;
}

/** -> loss [1] and metrics [4]; a gradient to `logprobs` alone. */
export function kto(plan: Plan, inputs: KtoInputs): { loss: Tensor; metrics: Tensor } {
  const { logprobs, reference, items, kl, hyper } = inputs;
  const P = items.shape[0];
  same("kto.forward", "P", logprobs.shape[0], logprobs, P, items);
  same("kto.forward", "P", reference.shape[0], reference, P, items);
  same("kto.forward", "numbers of an item", items.shape[1], items, 3, { ...items, shape: [P, 3] });
  const loss = plan.value("kto.loss", [1]);
  const metrics = plan.value("kto.metrics", [KTO_METRICS.length]);
  const pulls = plan.value("kto.pulls", [P]);
  plan.dispatch(forward, [logprobs, reference, items, kl, hyper, loss, metrics, pulls], {
    dims: { P },
    workgroups: [1, 1, 1],
  });
  plan.op([loss], [logprobs], () => {
    const target = plan.target(logprobs);
    if (!target) return;
    plan.dispatch(backward, [pulls, plan.gradient(loss), target.tensor], {
      dims: { P },
      constants: { ADD: Number(target.add) },
      workgroups: groups(P, 64),
    });
  });
  return { loss, metrics };
}
