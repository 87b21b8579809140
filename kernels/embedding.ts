/** Token embedding, with or without learned positions added, and its deterministic scatter-add gradient. */
import forwardCode from "../wgsl/embedding.wgsl" with { type: "text" };
import backwardCode from "../wgsl/embedding_backward.wgsl" with { type: "text" };
import { elements, rowRanges, rows, showTensor } from "../src/plan/mod.ts";
import { groups, kernel, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const dims = ["N", "C", "first", "count"];
const forward = widths("embedding.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read_write"],
  dims,
});
const bindings = ["read", "read_write", "read", "read_write"] as const;
const link = kernel("embedding.link", backwardCode, { entry: "link", bindings, dims });
const scatter = kernel("embedding.backward", backwardCode, { entry: "scatter", bindings, dims });

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
  const chain = plan.value("embedding.chain", [N, 2], "u32");
  rowRanges(target.tensor, plan.traits.bindingBytes).forEach(({ first, count }, i) => {
    const tensors = [ids, chain, dy, rows(target.tensor, first, count)];
    const dims = { N, C, first, count };
    if (i === 0) plan.dispatch(link, tensors, { dims, workgroups: groups(N, 64) });
    plan.dispatch(scatter, tensors, { dims, workgroups: groups(N * C, 64), flops: N * C });
  });
}
