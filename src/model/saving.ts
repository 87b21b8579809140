/** What a training step can do to keep less for its backward pass. */
import { type Plan, rematerialize, type Tensor } from "../plan/mod.ts";
import { keepHalves } from "../../kernels/mod.ts";

/**
 * What the backward pass computes again instead of reading what was kept, from least to most memory saved:
 * cheap = norms and activation functions (next to no time); mlp, attention = that and one half of each block;
 * block = whole blocks, of which only the inputs are kept (one more forward pass). All give the same bits.
 */
export type Recompute = typeof RECOMPUTE[number];
export const RECOMPUTE = ["none", "cheap", "mlp", "attention", "block"] as const;

/** How the kept values are stored. f16 halves them; sums, gradients and everything in use stay f32. */
export type Activations = typeof ACTIVATIONS[number];
export const ACTIVATIONS = ["f32", "f16"] as const;

export interface Saving {
  readonly recompute: Recompute;
  /** Default f32. */
  readonly activations?: Activations;
}

/** Runs a part of a model, again in the backward pass where `recompute` says so. */
export function part(plan: Plan, recompute: Recompute, name: Recompute, run: () => Tensor): Tensor {
  return recompute === name ? plan.recompute(run) : run();
}

/** What is left to do once the backward pass is recorded, before the plan is compiled. */
export function saveMemory(plan: Plan, { recompute, activations = "f32" }: Saving): void {
  if (recompute !== "none") rematerialize(plan);
  if (activations === "f16") keepHalves(plan);
}
