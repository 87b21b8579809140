/** Weighted sums over the segments of packed rows: the log-probability of each sequence. */
import forwardCode from "../wgsl/segment_sum.wgsl" with { type: "text" };
import backwardCode from "../wgsl/segment_sum_backward.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("segment_sum.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read_write"],
  dims: ["N"],
});
const backward = kernel("segment_sum.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read", "read_write"],
  dims: ["N", "S"],
});

/**
 * out[S] = sum of x w over the positions of each segment; x, w and segments (u32) have N elements. Positions whose segment is
 * S or more belong to none. No gradient to w.
 */
export function segmentSum(plan: Plan, x: Tensor, w: Tensor, segments: Tensor, S: number): Tensor {
  const N = elements(x.shape);
  same("segment_sum.forward", "N", N, x, elements(w.shape), w);
  same("segment_sum.forward", "N", N, x, elements(segments.shape), segments);
  const out = plan.value(`${x.name}.sum`, [S]);
  plan.dispatch(forward, [x, w, segments, out], { dims: { N }, workgroups: [S, 1, 1], flops: 2 * N });
  plan.op([out], [x], () => {
    const dx = plan.target(x);
    if (!dx) return;
    plan.dispatch(backward, [w, segments, plan.gradient(out), dx.tensor], {
      dims: { N, S },
      constants: { ADD: Number(dx.add) },
      workgroups: groups(N, 64),
      flops: N,
    });
  });
  return out;
}
