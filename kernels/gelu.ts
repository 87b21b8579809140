/** GELU in its tanh form, elementwise (Hendrycks & Gimpel, "Gaussian Error Linear Units", 2016). */
import code from "../wgsl/gelu.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, type Tensor, widths } from "./kernel.ts";

const options = { bindings: ["read", "read", "read_write"] as const, dims: ["N"] };
const forward = widths("gelu.forward", code, { entry: "forward", ...options });
const backward = widths("gelu.backward", code, { entry: "backward", ...options });

/** y = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), of any shape. */
export function gelu(plan: Plan, x: Tensor): Tensor {
  const lanes = lanesOf(elements(x.shape));
  const N = elements(x.shape) / lanes;
  const workgroups = groups(N, 64);
  const y = plan.value("gelu", x.shape);
  plan.dispatch(forward[lanes], [x, x, y], { dims: { N }, workgroups, flops: 10 * N * lanes });
  plan.op([y], [x], () => {
    const dx = plan.target(x)!;
    const constants = { ADD: Number(dx.add) };
    const tensors = [x, plan.gradient(y), dx.tensor];
    plan.dispatch(backward[lanes], tensors, { dims: { N }, constants, workgroups, flops: 16 * N * lanes });
  });
  return y;
}
