/** Token embedding: y[N,C] = table[V,C] at ids[N], and its deterministic scatter-add gradient. */
import forwardCode from "../wgsl/embedding.wgsl" with { type: "text" };
import backwardCode from "../wgsl/embedding_backward.wgsl" with { type: "text" };
import { elements, showTensor } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, type Tensor } from "./kernel.ts";

const dims = ["N", "C"];
const forward = kernel("embedding.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read_write"],
  dims,
});
const bindings = ["read", "read_write", "read", "read_write"] as const;
const link = kernel("embedding.link", backwardCode, { entry: "link", bindings, dims });
const scatter = kernel("embedding.backward", backwardCode, { entry: "scatter", bindings, dims });

/** ids [..] u32 below V -> [.., C]. A table with a gradient must be a weight. The caller checks the ids: an id beyond the table reads some other row. */
export function embedding(plan: Plan, ids: Tensor, table: Tensor): Tensor {
  const [, C] = table.shape;
  const N = elements(ids.shape);
  const y = plan.value("embedded", [...ids.shape, C]);
  plan.dispatch(forward, [ids, table, y], { dims: { N, C }, workgroups: groups(N * C, 64) });
  plan.op([y], [table], () => {
    const target = plan.target(table);
    if (!target) return;
    // Rows that no id names are never written, so there must be a sum already.
    if (!target.add) {
      throw new Error(`Cannot record embedding.backward: ${showTensor(table)} is a value, its gradient needs a weight`);
    }
    const dy = plan.gradient(y);
    const chain = plan.value("embedding.chain", [N, 2], "u32");
    const tensors = [ids, chain, dy, target.tensor];
    plan.dispatch(link, tensors, { dims: { N, C }, workgroups: groups(N, 64) });
    plan.dispatch(scatter, tensors, { dims: { N, C }, workgroups: groups(N * C, 64), flops: N * C });
  });
  return y;
}
