/** RMSNorm (Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019): y[N,C] = x / rms(x) * gain[C]. */
import forwardCode from "../wgsl/rmsnorm.wgsl" with { type: "text" };
import backwardCode from "../wgsl/rmsnorm_backward.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";
import { totalRows } from "./sum_rows.ts";

const forward = kernel("rmsnorm.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write", "read_write"],
  dims: ["N", "C", "eps:f32"],
});
const backward = { bindings: ["read", "read", "read", "read", "read_write"] as const, dims: ["N", "C", "S"] };
const inputGradient = kernel("rmsnorm.input", backwardCode, { entry: "input", ...backward });
const gainPartial = kernel("rmsnorm.gain", backwardCode, { entry: "gain_partial", ...backward });

/** x [.., C], gain [C] -> [.., C]. `eps` is added to the mean of squares. */
export function rmsnorm(plan: Plan, x: Tensor, gain: Tensor, eps: number): Tensor {
  const C = gain.shape[0];
  same("rmsnorm.forward", "C", x.shape[x.shape.length - 1], x, C, gain);
  const N = elements(x.shape) / C;
  const y = plan.value(`${gain.name}.out`, x.shape);
  const inv = plan.value(`${gain.name}.inv`, [N]);
  plan.dispatch(forward, [x, gain, y, inv], { dims: { N, C, eps }, workgroups: groups(N), flops: 4 * N * C });
  plan.op([y], [x, gain], () => {
    const dy = plan.gradient(y);
    const S = Math.ceil(N / 32);
    const dims = { N, C, S };
    const dGain = plan.target(gain);
    if (dGain) {
      const parts = plan.value(`${gain.name}.partials`, [S, C]);
      const workgroups = [Math.ceil(C / 64), S, 1] as const;
      plan.dispatch(gainPartial, [x, gain, inv, dy, parts], { dims, workgroups, flops: 3 * N * C });
      totalRows(plan, parts, dGain.tensor, S, C, dGain.add);
    }
    const dx = plan.target(x);
    if (dx) {
      const constants = { ADD: Number(dx.add) };
      const tensors = [x, gain, inv, dy, dx.tensor];
      plan.dispatch(inputGradient, tensors, { dims, constants, workgroups: groups(N), flops: 8 * N * C });
    }
  });
  return y;
}
