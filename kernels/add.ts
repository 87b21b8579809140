/** Residual add: y = a + b. Its gradient passes to both sides unchanged. */
import addCode from "../wgsl/add.wgsl" with { type: "text" };
import accumulateCode from "../wgsl/accumulate.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("add.forward", addCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write"],
  dims: ["N"],
});
const pass = kernel("add.backward", accumulateCode, { entry: "main", bindings: ["read", "read_write"], dims: ["N"] });

export function add(plan: Plan, a: Tensor, b: Tensor): Tensor {
  const N = elements(a.shape);
  same("add.forward", "N", N, a, elements(b.shape), b);
  const y = plan.value("sum", a.shape);
  const workgroups = groups(N, 64);
  plan.dispatch(forward, [a, b, y], { dims: { N }, workgroups, flops: N });
  plan.op([y], [a, b], () => {
    const dy = plan.gradient(y);
    const copy = (target: ReturnType<Plan["target"]>) => {
      if (!target) return;
      plan.dispatch(pass, [dy, target.tensor], { dims: { N }, constants: { ADD: Number(target.add) }, workgroups });
    };
    copy(plan.target(b));
    copy(plan.passGradient(y, a)); // last: a may take the memory of dy over
  });
  return y;
}

/** destination += x, outside of the gradient: sums of metrics that stay on the GPU over many steps. */
export function accumulateInto(plan: Plan, x: Tensor, destination: Tensor): void {
  const N = elements(x.shape);
  same("accumulate", "N", N, x, elements(destination.shape), destination);
  plan.dispatch(pass, [x, destination], { dims: { N }, constants: { ADD: 1 }, workgroups: groups(N, 64) });
}
