/** Token embedding, with or without learned positions added, and its deterministic scatter-add gradient. */
import forwardCode from "../wgsl/embedding.wgsl" with { type: "text" };
import orderCode from "../wgsl/embedding_order.wgsl" with { type: "text" };
import backwardCode from "../wgsl/embedding_backward.wgsl" with { type: "text" };
import { elements, rowRanges, rows, showTensor } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const dims = ["N", "C", "first", "count"];
const forward = widths("embedding.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read_write"],
  dims,
});
const order = widths("embedding.order", orderCode, {
  entry: "order",
  bindings: ["read", "read", "read_write"],
  dims: ["N"],
});
const backward = {
  bindings: ["read", "read", "read_write", "read_write"] as const,
  dims: ["N", "C", "K", "first", "count"],
};
const segment = widths("embedding.backward", backwardCode, { entry: "segment", ...backward });
const join = widths("embedding.join", backwardCode, { entry: "join", ...backward });

/** Rows of a table by their numbers. */
interface Lookup {
  ids: Tensor;
  table: Tensor;
}

/**
 * ids [..] u32 below V, table [V,C] -> [.., C]; with `positions`, their rows are added. A table with a gradient must be a weight.
 * The caller checks the ids: an id beyond the table reads some other row.
 */
export function embedding(plan: Plan, ids: Tensor, table: Tensor, positions?: Lookup): Tensor {
  const [, C] = table.shape;
  const N = elements(ids.shape);
  if (positions) {
    same("embedding.forward", "C", C, table, positions.table.shape[1], positions.table);
    same("embedding.forward", "N", N, ids, elements(positions.ids.shape), positions.ids);
  }
  const y = plan.value("embedded", [...ids.shape, C]);
  const lanes = lanesOf(C);
  // A table longer than the adapter binds is looked up run by run of its rows; each token finds its row in one of them.
  for (const { first, count } of rowRanges(table, plan.traits.bindingBytes)) {
    const part = rows(table, first, count);
    plan.dispatch(forward[lanes], [ids, part, positions?.ids ?? ids, positions?.table ?? part, y], {
      dims: { N, C: C / lanes, first, count },
      constants: { POSITIONS: Number(positions !== undefined) },
      workgroups: groups(N * C / lanes, 64),
      flops: positions ? N * C : 0,
    });
  }
  plan.op([y], positions ? [table, positions.table] : [table], () => {
    const dy = plan.gradient(y);
    scatterAdd(plan, { ids, table }, dy);
    if (positions) scatterAdd(plan, positions, dy);
  });
  return y;
}

/** d_table[ids[n], :] += dy[n, :]. */
function scatterAdd(plan: Plan, { ids, table }: Lookup, dy: Tensor): void {
  const target = plan.target(table);
  if (!target) return;
  // Rows that no id names are never written, so there must be a sum already.
  if (!target.add) {
    throw new Error(`Cannot record embedding.backward: ${showTensor(table)} is a value, its gradient needs a weight`);
  }
  const N = elements(ids.shape);
  const C = table.shape[1];
  const sorted = plan.value("embedding.sorted", [N, 2], "u32");
  plan.dispatch(order[lanesOf(N)], [ids, ids, sorted], { dims: { N }, workgroups: groups(N, 4 * 32) });
  const K = 2 ** Math.ceil(Math.log2(N) / 2);
  const S = Math.ceil(N / K);
  const parts = plan.value("embedding.partials", [S, 2, C]);
  const lanes = lanesOf(C);
  for (const { first, count } of rowRanges(target.tensor, plan.traits.bindingBytes)) {
    const tensors = [sorted, dy, parts, rows(target.tensor, first, count)];
    const dims = { N, C: C / lanes, K, first, count };
    const workgroups = groups(S * C / lanes, 64);
    plan.dispatch(segment[lanes], tensors, { dims, workgroups, flops: N * C });
    if (S > 1) plan.dispatch(join[lanes], tensors, { dims, workgroups, flops: S * C });
  }
}
