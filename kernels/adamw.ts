/** One optimizer step over flat pages: global gradient norm, clipping and AdamW, all on the GPU. */
import adamwCode from "../wgsl/adamw.wgsl" with { type: "text" };
import adamw8Code from "../wgsl/adamw8.wgsl" with { type: "text" };
import normCode from "../wgsl/grad_norm.wgsl" with { type: "text" };
import type { WeightPage } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, type Tensor } from "./kernel.ts";

const norm = { bindings: ["read", "read", "read_write"] as const, dims: ["N", "first", "count"] };
const squares = kernel("grad_norm.squares", normCode, { entry: "squares", ...norm });
const finish = kernel("grad_norm.finish", normCode, { entry: "finish", ...norm });
const update = {
  entry: "main",
  bindings: ["read", "read", "read_write", "read_write", "read_write", "read_write"] as const,
  dims: ["N", "decay"],
};
const main = kernel("adamw", adamwCode, update);
const main8 = kernel("adamw8", adamw8Code, update);

/** Adam's moments of one page: f32 over the page's elements, or 8-bit codes with the largest of each block of 256. */
export type Moments =
  | { readonly kind: "f32"; readonly first: Tensor; readonly second: Tensor }
  | {
    readonly kind: "8bit";
    /** [elements/4, 2] u32: four first moments, four second ones. */
    readonly codes: Tensor;
    /** [blocks, 2] */
    readonly scales: Tensor;
  };

/** Elements that share a scale. */
export const MOMENT_BLOCK = 256;

/** vec4s that one workgroup of the norm adds up. */
const VECTORS = 4096;

/** out [2] = global L2 norm of all gradients, and min(1, largest / (norm + 1e-6)) with `largest` = hyper[7]. */
export function gradNorm(plan: Plan, pages: readonly WeightPage[], hyper: Tensor, out: Tensor): void {
  const counts = pages.map((page) => Math.ceil(page.elements / (4 * VECTORS)));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const partials = plan.value("grad_norm.partials", [total]);
  let first = 0;
  pages.forEach((page, i) => {
    if (!page.gradients) throw new Error(`Cannot record grad_norm: page ${page.weights.name} has no gradients`);
    const dims = { N: page.elements / 4, first, count: counts[i] };
    const workgroups = groups(counts[i]);
    plan.dispatch(squares, [page.gradients, hyper, partials], { dims, workgroups, flops: 2 * page.elements });
    first += counts[i];
  });
  const dims = { N: total, first: 0, count: 0 };
  plan.dispatch(finish, [partials, hyper, out], { dims, workgroups: [1, 1, 1], flops: total });
}

/**
 * Updates weights and moments and zeroes the gradients. hyper [8]: see adamw.wgsl. `moments` of each page in turn.
 */
export function adamw(
  plan: Plan,
  pages: readonly WeightPage[],
  moments: readonly Moments[],
  hyper: Tensor,
  normAndScale: Tensor,
): void {
  pages.forEach((page, i) => {
    const { gradients } = page;
    if (!gradients) throw new Error(`Cannot record adamw: page ${page.weights.name} was not made for training`);
    const of = moments[i];
    const [use, state] = of.kind === "f32" ? [main, [of.first, of.second]] : [main8, [of.codes, of.scales]];
    plan.dispatch(use, [hyper, normAndScale, page.weights, gradients, ...state], {
      dims: { N: page.elements / 4, decay: Number(page.decay) },
      workgroups: groups(page.elements / 4, 64),
      flops: 16 * page.elements,
    });
  });
}
