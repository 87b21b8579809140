/** A tensor times a number that stays what it is for the life of a plan: temperatures, the factor of a LoRA branch. */
import code from "../wgsl/scale.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, type Tensor, widths } from "./kernel.ts";

const kernels = widths("scale", code, { entry: "main", bindings: ["read", "read_write"], dims: ["N", "factor:f32"] });

function record(plan: Plan, x: Tensor, y: Tensor, factor: number, add: boolean): void {
  const N = elements(x.shape);
  const lanes = lanesOf(N);
  plan.dispatch(kernels[lanes], [x, y], {
    dims: { N: N / lanes, factor },
    constants: add ? { ADD: 1 } : {},
    workgroups: groups(N / lanes, 64),
    flops: N,
  });
}

/** factor * x in new memory, without a gradient rule. */
export function timesFactor(plan: Plan, x: Tensor, factor: number): Tensor {
  const y = plan.value(`${x.name}.scaled`, x.shape);
  record(plan, x, y, factor, false);
  return y;
}

/** factor * x in new memory. */
export function scale(plan: Plan, x: Tensor, factor: number): Tensor {
  const y = timesFactor(plan, x, factor);
  plan.op([y], [x], () => {
    const dx = plan.target(x);
    if (dx) record(plan, plan.gradient(y), dx.tensor, factor, dx.add);
  });
  return y;
}
