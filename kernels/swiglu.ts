/** SwiGLU: y = silu(gate) * up, elementwise (Shazeer 2020). */
import code from "../wgsl/swiglu.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const options = { bindings: ["read", "read", "read_write"] as const, dims: ["N", "F"] };
const forward = widths("swiglu.forward", code, { entry: "forward", ...options });
const backward = widths("swiglu.backward", code, { entry: "backward", ...options });

/** gateUp [.., 2F], the gate in front, as one projection gives both -> [.., F]. */
export function swiglu(plan: Plan, gateUp: Tensor): Tensor {
  const wide = gateUp.shape[gateUp.shape.length - 1];
  const F = Math.floor(wide / 2);
  same("swiglu.forward", "2F", wide, gateUp, 2 * F, { ...gateUp, name: "gate and up", shape: [2, F] });
  const N = elements(gateUp.shape) / wide;
  const lanes = lanesOf(F);
  const dims = { N, F: F / lanes };
  const workgroups = groups(N * F / lanes, 64);
  const y = plan.value("swiglu", [...gateUp.shape.slice(0, -1), F]);
  plan.dispatch(forward[lanes], [gateUp, gateUp, y], { dims, workgroups, flops: 5 * N * F });
  plan.op([y], [gateUp], () => {
    const target = plan.target(gateUp)!;
    const constants = { ADD: Number(target.add) };
    const tensors = [gateUp, plan.gradient(y), target.tensor];
    plan.dispatch(backward[lanes], tensors, { dims, constants, workgroups, flops: 12 * N * F });
  });
  return y;
}
