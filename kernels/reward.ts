/** The pairwise loss of reward models on scalar rewards, with margins and centring (Bradley & Terry 1952; Ouyang et al. 2022). */
import forwardCode from "../wgsl/reward.wgsl" with { type: "text" };
import backwardCode from "../wgsl/reward_backward.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("reward.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read_write", "read_write"],
  dims: ["P"],
});
const backward = kernel("reward.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read", "read", "read", "read_write"],
  dims: ["P"],
});

/**
 * In the order of the kernel; the names are TRL's. Means over pairs; the lowest and the highest reward are those of the batch times
 * its share of the step, so that sums over micro-batches are means, as TRL's are over batches.
 */
export const REWARD_METRICS = ["accuracy", "margin", "min_reward", "mean_reward", "max_reward"] as const;

interface RewardInputs {
  /** [2P]: of P chosen sequences, then of P rejected ones. */
  rewards: Tensor;
  /** [P] */
  margin: Tensor;
  /** [P] 1/pairs for a real pair, 0 for padding; soft labels are two pairs that share it. */
  weight: Tensor;
  /** [1] the centring coefficient c. */
  hyper: Tensor;
}

/** -> loss [1], the sum of weight (-log sigmoid(r_w - r_l - margin) + c (r_w + r_l)^2), and metrics [5]. */
export function pairwiseReward(plan: Plan, inputs: RewardInputs): { loss: Tensor; metrics: Tensor } {
  const { rewards, margin, weight, hyper } = inputs;
  const P = weight.shape[0];
  same("reward.forward", "2P", elements(rewards.shape), rewards, 2 * P, { ...weight, shape: [2 * P] });
  same("reward.forward", "P", elements(margin.shape), margin, P, weight);
  const loss = plan.value("reward.loss", [1]);
  const metrics = plan.value("reward.metrics", [REWARD_METRICS.length]);
  const dims = { P };
  plan.dispatch(forward, [rewards, margin, weight, hyper, loss, metrics], { dims, workgroups: [1, 1, 1] });
  plan.op([loss], [rewards], () => {
    const target = plan.target(rewards);
    if (!target) return;
    plan.dispatch(backward, [rewards, margin, weight, hyper, plan.gradient(loss), target.tensor], {
      dims,
      constants: { ADD: Number(target.add) },
      workgroups: [Math.ceil(P / 64), 1, 1],
    });
  });
  return { loss, metrics };
}
