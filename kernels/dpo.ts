/** The DPO loss on sequence log-probabilities (Rafailov et al., "Direct Preference Optimization", 2023). */
import forwardCode from "../wgsl/dpo.wgsl" with { type: "text" };
import backwardCode from "../wgsl/dpo_backward.wgsl" with { type: "text" };
import { kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("dpo.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read_write", "read_write"],
  dims: ["P"],
});
const backward = kernel("dpo.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read", "read", "read", "read_write"],
  dims: ["P"],
});

/** Means over pairs, in the order of the kernel; the names are TRL's, `rewards/chosen_falling` is the share with c < 0. */
export const DPO_METRICS = [
  "rewards/chosen",
  "rewards/rejected",
  "rewards/margins",
  "rewards/accuracies",
  "rewards/chosen_falling",
  "logps/chosen",
  "logps/rejected",
] as const;

interface DpoInputs {
  /** [2P] sums of the policy: P chosen, then P rejected. */
  logprobs: Tensor;
  /** [2P] sums of the frozen reference. */
  reference: Tensor;
  /** [P] 1/pairs for a real pair, 0 for padding. */
  weight: Tensor;
  /** [2] beta and the label smoothing. */
  hyper: Tensor;
}

/** -> loss [1] and metrics [7]. */
export function dpo(plan: Plan, inputs: DpoInputs): { loss: Tensor; metrics: Tensor } {
  const { logprobs, reference, weight, hyper } = inputs;
  const P = weight.shape[0];
  same("dpo.forward", "2P", logprobs.shape[0], logprobs, 2 * P, { ...weight, shape: [2 * P] });
  same("dpo.forward", "2P", reference.shape[0], reference, 2 * P, { ...weight, shape: [2 * P] });
  const loss = plan.value("dpo.loss", [1]);
  const metrics = plan.value("dpo.metrics", [DPO_METRICS.length]);
  const dims = { P };
  plan.dispatch(forward, [logprobs, reference, weight, hyper, loss, metrics], { dims, workgroups: [1, 1, 1] });
  plan.op([loss], [logprobs], () => {
    const target = plan.target(logprobs);
    if (!target) return;
    plan.dispatch(backward, [logprobs, reference, weight, hyper, plan.gradient(loss), target.tensor], {
      dims,
      constants: { ADD: Number(target.add) },
      workgroups: [Math.ceil(P / 64), 1, 1],
    });
  });
  return { loss, metrics };
}
