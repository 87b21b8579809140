/** One optimizer step over flat pages: global gradient norm, clipping and AdamW, all on the GPU. */
import adamwCode from "../wgsl/adamw.wgsl" with { type: "text" };
import normCode from "../wgsl/grad_norm.wgsl" with { type: "text" };
import type { WeightPage } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, type Tensor } from "./kernel.ts";

const norm = { bindings: ["read", "read", "read_write"] as const, dims: ["N", "first", "count"] };
const squares = kernel("grad_norm.squares", normCode, { entry: "squares", ...norm });
const finish = kernel("grad_norm.finish", normCode, { entry: "finish", ...norm });
const main = kernel("adamw", adamwCode, {
  entry: "main",
  bindings: ["read", "read", "read_write", "read_write", "read_write", "read_write"],
  dims: ["N", "decay"],
});

/** out [2] = global L2 norm of all gradients, and min(1, largest / (norm + 1e-6)) with `largest` = hyper[7]. */
export function gradNorm(plan: Plan, pages: readonly WeightPage[], hyper: Tensor, out: Tensor): void {
  const counts = pages.map((page) => Math.ceil(page.elements / 4096));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const partials = plan.value("grad_norm.partials", [total]);
  let first = 0;
  pages.forEach((page, i) => {
    if (!page.gradients) throw new Error(`Cannot record grad_norm: page ${page.weights.name} has no gradients`);
    const dims = { N: page.elements, first, count: counts[i] };
    const workgroups = groups(counts[i]);
    plan.dispatch(squares, [page.gradients, hyper, partials], { dims, workgroups, flops: 2 * page.elements });
    first += counts[i];
  });
  const dims = { N: total, first: 0, count: 0 };
  plan.dispatch(finish, [partials, hyper, out], { dims, workgroups: [1, 1, 1], flops: total });
}

/** Updates weights and moments and zeroes the gradients. hyper [8]: see adamw.wgsl. */
export function adamw(plan: Plan, pages: readonly WeightPage[], hyper: Tensor, normAndScale: Tensor): void {
  for (const page of pages) {
    const { gradients, firstMoments, secondMoments } = page;
    if (!gradients || !firstMoments || !secondMoments) {
      throw new Error(`Cannot record adamw: page ${page.weights.name} was not made for training`);
    }
    plan.dispatch(main, [hyper, normAndScale, page.weights, gradients, firstMoments, secondMoments], {
      dims: { N: page.elements, decay: Number(page.decay) },
      workgroups: groups(page.elements, 64),
      flops: 16 * page.elements,
    });
  }
}
