/** Column sums: the gradient of everything that is broadcast over rows (biases, norm gains). */
import code from "../wgsl/sum_rows.wgsl" with { type: "text" };
import { kernel, type Plan, type Tensor } from "./kernel.ts";

const dims = ["N", "C", "S"];
const partial = kernel("sum_rows.partial", code, { entry: "partial_sums", bindings: ["read", "read_write"], dims });
const total = kernel("sum_rows.total", code, { entry: "total", bindings: ["read", "read_write"], dims });

/** out[C] (+)= sum over N of x[N,C]. */
export function sumRows(plan: Plan, x: Tensor, out: Tensor, N: number, C: number, add: boolean): void {
  const S = Math.ceil(N / 32);
  const parts = plan.value(`${x.name}.partials`, [S, C]);
  const wide = Math.ceil(C / 64);
  plan.dispatch(partial, [x, parts], { dims: { N, C, S }, workgroups: [wide, S, 1], flops: N * C });
  totalRows(plan, parts, out, S, C, add);
}

/** out[C] (+)= sum over S of parts[S,C], in order. */
export function totalRows(plan: Plan, parts: Tensor, out: Tensor, S: number, C: number, add: boolean): void {
  const constants = { ADD: Number(add) };
  plan.dispatch(total, [parts, out], {
    dims: { N: S, C, S },
    constants,
    workgroups: [Math.ceil(C / 64), 1, 1],
    flops: S * C,
  });
}
