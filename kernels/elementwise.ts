/** Functions of single numbers that encoders and reward heads need: the exact GELU, and tanh. */
import geluCode from "../wgsl/gelu_erf.wgsl" with { type: "text" };
import tanhCode from "../wgsl/tanh.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, type Kernel, lanesOf, type Plan, type Tensor, widths } from "./kernel.ts";

const options = { bindings: ["read", "read", "read_write"] as const, dims: ["N"] };
const geluForward = widths("gelu_erf.forward", geluCode, { entry: "forward", ...options });
const geluBackward = widths("gelu_erf.backward", geluCode, { entry: "backward", ...options });
const tanhForward = widths("tanh.forward", tanhCode, { entry: "forward", ...options });
const tanhBackward = widths("tanh.backward", tanhCode, { entry: "backward", ...options });

/** y = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, of any shape: the GELU of BERT and RoBERTa (Hendrycks & Gimpel 2016). */
export function geluErf(plan: Plan, x: Tensor): Tensor {
  return elementwise(plan, x, "gelu_erf", geluForward, geluBackward, "x");
}

/** y = tanh x, of any shape. Beyond 15 on either side it is 1 in f32, and its slope 0. */
export function tanh(plan: Plan, x: Tensor): Tensor {
  return elementwise(plan, x, "tanh", tanhForward, tanhBackward, "y");
}

/** `slopeOf`: whether the slope is written in terms of what went in or of what came out. */
function elementwise(
  plan: Plan,
  x: Tensor,
  name: string,
  forward: Record<1 | 4, Kernel>,
  backward: Record<1 | 4, Kernel>,
  slopeOf: "x" | "y",
): Tensor {
  const lanes = lanesOf(elements(x.shape));
  const N = elements(x.shape) / lanes;
  const workgroups = groups(N, 64);
  const y = plan.value(name, x.shape);
  plan.dispatch(forward[lanes], [x, x, y], { dims: { N }, workgroups, flops: 15 * N * lanes });
  plan.op([y], [x], () => {
    const dx = plan.target(x)!;
    const constants = { ADD: Number(dx.add) };
    const tensors = [slopeOf === "x" ? x : y, plan.gradient(y), dx.tensor];
    plan.dispatch(backward[lanes], tensors, { dims: { N }, constants, workgroups, flops: 20 * N * lanes });
  });
  return y;
}
