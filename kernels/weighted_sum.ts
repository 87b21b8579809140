/** Row sums with given weights: masked sequence log-probabilities, token means, and every scalar metric. */
import forwardCode from "../wgsl/weighted_sum.wgsl" with { type: "text" };
import backwardCode from "../wgsl/weighted_sum_backward.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("weighted_sum.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write"],
  dims: ["B", "T", "R"],
});
const backward = kernel("weighted_sum.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read_write"],
  dims: ["B", "T", "R"],
});

/** out[B] = sum over T of x w; x has B*T elements, w has T or a divisor of B times T (then repeated). No gradient to w. */
export function weightedSum(plan: Plan, x: Tensor, w: Tensor, B: number): Tensor {
  const T = elements(x.shape) / B;
  const R = elements(w.shape) / T;
  if (!Number.isInteger(R) || B % R !== 0) same("weighted_sum.forward", "B*T", B * T, x, elements(w.shape), w);
  const out = plan.value(`${x.name}.sum`, [B]);
  plan.dispatch(forward, [x, w, out], { dims: { B, T, R }, workgroups: [B, 1, 1], flops: 2 * B * T });
  plan.op([out], [x], () => {
    const dx = plan.target(x);
    if (!dx) return;
    plan.dispatch(backward, [w, plan.gradient(out), dx.tensor], {
      dims: { B, T, R },
      constants: { ADD: Number(dx.add) },
      workgroups: groups(B * T, 64),
      flops: B * T,
    });
  });
  return out;
}
