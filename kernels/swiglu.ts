/** SwiGLU: y = silu(gate) * up, elementwise (Shazeer 2020). */
import forwardCode from "../wgsl/swiglu.wgsl" with { type: "text" };
import backwardCode from "../wgsl/swiglu_backward.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("swiglu.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write"],
  dims: ["N"],
});
const backward = kernel("swiglu.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read", "read_write", "read_write"],
  dims: ["N"],
});

/** gate and up of one shape -> the same shape. Both or neither need a gradient (they are projections of one x). */
export function swiglu(plan: Plan, gate: Tensor, up: Tensor): Tensor {
  const N = elements(gate.shape);
  same("swiglu.forward", "N", N, gate, elements(up.shape), up);
  const y = plan.value("swiglu", gate.shape);
  plan.dispatch(forward, [gate, up, y], { dims: { N }, workgroups: groups(N, 64), flops: 5 * N });
  plan.op([y], [gate, up], () => {
    const dGate = plan.target(gate);
    const dUp = plan.target(up);
    if (!dGate || !dUp) throw new Error("Cannot record swiglu.backward: only one of gate and up needs a gradient");
    plan.dispatch(backward, [gate, up, plan.gradient(y), dGate.tensor, dUp.tensor], {
      dims: { N },
      constants: { ADD_GATE: Number(dGate.add), ADD_UP: Number(dUp.add) },
      workgroups: groups(N, 64),
      flops: 12 * N,
    });
  });
  return y;
}
