/**
 * An op that can be computed in several ways. Each way is a variant: other WGSL files, the same tensors and sizes, the same
 * result within rounding. `plan.variant(op, tensors, sizes)` records one of them; the tuner times them all.
 *
 * ```ts
 * export const product: Op<Sizes> = {
 *   name: "matmul_nt",
 *   writes: [3],                                              // out; the others are read
 *   shapeClass: ({ M, N, K }) => `${power(M)}x${power(N)}x${power(K)}`,
 *   variants: [
 *     { name: "any", fits: () => true, record: (plan, [a, b, bias, out], sizes) => plan.dispatch(...) },
 *     { name: "tile", fits: (sizes, traits) => sizes.K % 4 === 0 && traits.workgroupBytes >= 16384, record: ... },
 *   ],
 *   prefer: ({ M }, traits) => traits.software || M < 64 ? "any" : "tile",
 * };
 * ```
 */
import type { Plan } from "./plan.ts";
import type { Tensor } from "./tensor.ts";
import type { Traits } from "./traits.ts";

export interface Variant<Sizes> {
  readonly name: string;
  /** Whether it can compute these sizes on this adapter. The first variant of an op fits always. */
  fits(sizes: Sizes, traits: Traits): boolean;
  /** May record several dispatches and make values of its own. */
  record(plan: Plan, tensors: readonly Tensor[], sizes: Sizes): void;
}

// Sizes differ from op to op; whoever handles ops of all kinds passes them on unseen.
// deno-lint-ignore no-explicit-any
export interface Op<Sizes = any> {
  readonly name: string;
  /** Indices of the tensors that are written. */
  readonly writes: readonly number[];
  /** Sizes that share a winner, as text: usually each size rounded to a power of two. */
  shapeClass(sizes: Sizes): string;
  readonly variants: readonly Variant<Sizes>[];
  /** The variant to use where nothing has been measured. */
  prefer(sizes: Sizes, traits: Traits): string;
  /**
   * Data for a tensor that the tuner cannot fill with random numbers (ids, positions, segments): called for u32 and i32
   * tensors, zeros if it is missing.
   */
  fill?(index: number, tensor: Tensor, sizes: Sizes): Uint32Array;
  /** Largest difference between variants, as a share of the largest magnitude. Default 1e-4. */
  readonly tolerance?: number;
}

/** One recorded use of an op: what the tuner needs to run it again. */
export interface Pick {
  readonly op: Op;
  readonly shapeClass: string;
  readonly variant: string;
  readonly tensors: readonly Tensor[];
  readonly sizes: unknown;
}

/** Names of the variants that fit. */
export function fitting<Sizes>(op: Op<Sizes>, sizes: Sizes, traits: Traits): string[] {
  return op.variants.filter((variant) => variant.fits(sizes, traits)).map(({ name }) => name);
}

/** The power of two at or above a size, for shape classes: 1000 -> 1024. */
export function power(size: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, size)));
}
