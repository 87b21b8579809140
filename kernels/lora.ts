/**
 * LoRA (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021) as a branch of a linear layer: y += s (x A^T) B^T, added
 * to the layer's own output in place, so that no second [N,O] tensor exists. Only [N,R] is kept for the backward pass.
 */
import { elements } from "../src/plan/mod.ts";
import { type Plan, same, type Tensor } from "./kernel.ts";
import { recordNn, recordNt, recordTn } from "./matmul.ts";
import { timesFactor } from "./scale.ts";

export interface Adapter {
  /** [R,I], small random numbers at first. */
  a: Tensor;
  /** [O,R], zeros at first: the branch begins as nothing. */
  b: Tensor;
  /** s = alpha / R. */
  scale: number;
}

/**
 * y [.., O] += s (x [.., I] A^T) B^T in place, where y is what a linear layer made of x and nothing has read yet. The gradient goes to
 * A and B and joins the layer's own in x; that of y passes on to the layer as it is.
 */
export function loraBranch(plan: Plan, y: Tensor, x: Tensor, { a, b, scale }: Adapter): void {
  const [R, I] = a.shape;
  const O = b.shape[0];
  same("lora.forward", "I", x.shape[x.shape.length - 1], x, I, a);
  same("lora.forward", "O", y.shape[y.shape.length - 1], y, O, b);
  same("lora.forward", "R", R, a, b.shape[1], b);
  const N = elements(x.shape) / I;
  const low = plan.value("lora.low", [N, R]);
  recordNt(plan, x, a, low, { M: N, N: R, K: I }, false);
  const u = timesFactor(plan, low, scale);
  recordNt(plan, u, b, y, { M: N, N: O, K: R }, true);
  plan.op([y], [x, a, b], () => {
    const dy = plan.gradient(y);
    const db = plan.target(b);
    if (db) recordTn(plan, dy, u, db.tensor, { M: O, N: R, K: N }, db.add);
    const dLow = plan.value("lora.d_low", [N, R]);
    recordNn(plan, dy, b, dLow, { M: N, N: R, K: O }, false);
    const du = timesFactor(plan, dLow, scale);
    const da = plan.target(a);
    if (da) recordTn(plan, du, x, da.tensor, { M: R, N: I, K: N }, da.add);
    const dx = plan.target(x);
    if (dx) recordNn(plan, du, a, dx.tensor, { M: N, N: I, K: R }, dx.add);
  });
}

/** w [O,I] += sign s B A: the adapter becomes part of its layer (1), or leaves it again (-1) but for rounding. */
export function loraMerge(plan: Plan, w: Tensor, { a, b, scale }: Adapter, sign: 1 | -1): void {
  const [O, I] = w.shape;
  const R = a.shape[0];
  same("lora.merge", "O", O, w, b.shape[0], b);
  same("lora.merge", "I", I, w, a.shape[1], a);
  recordNn(plan, timesFactor(plan, b, sign * scale), a, w, { M: O, N: I, K: R }, true);
}
