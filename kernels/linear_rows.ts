/**
 * A linear layer whose weight is longer than the adapter binds at once: one product for each run of its rows, which are columns of
 * the output. The products go through a part of their own; that costs one copy of the output and of its gradient.
 */
import columnsCode from "../wgsl/columns.wgsl" with { type: "text" };
import { elements, rowRanges, rows, showTensor } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, type Tensor } from "./kernel.ts";
import { recordNn, recordNt, recordTn } from "./matmul.ts";
import { sumRows } from "./sum_rows.ts";

const options = { bindings: ["read", "read", "read_write"] as const, dims: ["M", "W", "N", "first"] };
const put = kernel("columns.put", columnsCode, { entry: "put", ...options });
const take = kernel("columns.take", columnsCode, { entry: "take", ...options });

/** y[N,O] = x[N,I] w[O,I]^T + bias[O], as `linear`. All f32. */
export function linearByRows(plan: Plan, x: Tensor, w: Tensor, bias?: Tensor): Tensor {
  for (const each of [x, w]) {
    if (each.dtype !== "f32") {
      throw new Error(
        `Cannot record linear by rows: ${showTensor(each)} is ${each.dtype}, and ${
          showTensor(w)
        } is longer than what ` +
          `this adapter binds (${plan.traits.bindingBytes} bytes), which takes f32`,
      );
    }
  }
  const [O, K] = w.shape;
  const M = elements(x.shape) / K;
  const ranges = rowRanges(w, plan.traits.bindingBytes, 4); // the quick products want multiples of 4
  const copy = (kernel: typeof put, source: Tensor, out: Tensor, { first, count }: (typeof ranges)[0], bias?: Tensor) =>
    plan.dispatch(kernel, [source, bias ?? source, out], {
      dims: { M, W: count, N: O, first },
      constants: kernel === put ? { BIAS: Number(bias !== undefined) } : {},
      workgroups: groups(M * count, 64),
    });
  const y = plan.value(`${w.name}.out`, [...x.shape.slice(0, -1), O]);
  for (const range of ranges) {
    const part = plan.value(`${w.name}.part`, [M, range.count]);
    recordNt(plan, x, rows(w, range.first, range.count), part, { M, N: range.count, K }, false);
    copy(put, part, y, range, bias);
  }
  plan.op([y], bias ? [x, w, bias] : [x, w], () => {
    const dy = plan.gradient(y);
    const dw = plan.target(w); // once: every run writes rows of its own
    for (const range of ranges) {
      const { first, count } = range;
      const part = plan.value(`d_${w.name}.part`, [M, count]);
      copy(take, dy, part, range);
      const dx = plan.target(x);
      if (dx) recordNn(plan, part, rows(w, first, count), dx.tensor, { M, N: K, K: count }, dx.add);
      if (dw) recordTn(plan, part, x, rows(dw.tensor, first, count), { M: count, N: K, K: M }, dw.add);
    }
    const db = bias && plan.target(bias);
    if (db) sumRows(plan, dy, db.tensor, M, O, db.add);
  });
  return y;
}
