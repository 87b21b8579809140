/** Residual add: y = a + b. Its gradient passes to both sides unchanged. */
import addCode from "../wgsl/add.wgsl" with { type: "text" };
import accumulateCode from "../wgsl/accumulate.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const forward = widths("add.forward", addCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write"],
  dims: ["N"],
});
const pass = widths("add.backward", accumulateCode, { entry: "main", bindings: ["read", "read_write"], dims: ["N"] });

export function add(plan: Plan, a: Tensor, b: Tensor): Tensor {
  const N = elements(a.shape);
  same("add.forward", "N", N, a, elements(b.shape), b);
  const y = plan.value("sum", a.shape);
  const lanes = lanesOf(N);
  plan.dispatch(forward[lanes], [a, b, y], { dims: { N: N / lanes }, workgroups: groups(N / lanes, 64), flops: N });
  plan.op([y], [a, b], () => {
    const dy = plan.gradient(y);
    const toB = plan.target(b);
    if (toB) accumulate(plan, dy, toB.tensor, toB.add);
    const toA = plan.passGradient(y, a); // last: a may take the memory of dy over
    if (toA) accumulate(plan, dy, toA.tensor, toA.add);
  });
  return y;
}

/** destination += x, outside of the gradient: sums of metrics that stay on the GPU over many steps. */
export function accumulateInto(plan: Plan, x: Tensor, destination: Tensor): void {
  same("accumulate", "N", elements(x.shape), x, elements(destination.shape), destination);
  accumulate(plan, x, destination, true);
}

/** destination (+)= x. */
export function accumulate(plan: Plan, x: Tensor, destination: Tensor, add: boolean): void {
  const N = elements(x.shape);
  const lanes = lanesOf(N);
  plan.dispatch(pass[lanes], [x, destination], {
    dims: { N: N / lanes },
    constants: { ADD: Number(add) },
    workgroups: groups(N / lanes, 64),
  });
}
