/** Weighted sums over the positions of each sequence: its first or last token, or the mean of its tokens. */
import code from "../wgsl/pool_rows.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const options = { bindings: ["read", "read", "read_write"] as const, dims: ["B", "T", "C"] };
const forward = widths("pool_rows.forward", code, { entry: "forward", ...options });
const backward = widths("pool_rows.backward", code, { entry: "backward", ...options });

/**
 * x [..,C] over B*T positions, w [B,T] -> y [B,C], the sum over t of w[b,t] x[b,t]. Positions of weight 0 change no bit of it.
 * No gradient to w.
 */
export function poolRows(plan: Plan, x: Tensor, w: Tensor): Tensor {
  const [B, T] = w.shape;
  const C = x.shape[x.shape.length - 1];
  same("pool_rows.forward", "B*T", elements(x.shape) / C, x, B * T, w);
  const y = plan.value("pooled", [B, C]);
  const lanes = lanesOf(C);
  const dims = { B, T, C: C / lanes };
  plan.dispatch(forward[lanes], [x, w, y], { dims, workgroups: groups(B * C / lanes, 64), flops: 2 * B * T * C });
  plan.op([y], [x], () => {
    const dx = plan.target(x)!;
    plan.dispatch(backward[lanes], [plan.gradient(y), w, dx.tensor], {
      dims,
      constants: { ADD: Number(dx.add) },
      workgroups: groups(B * T * C / lanes, 64),
      flops: B * T * C,
    });
  });
  return y;
}
