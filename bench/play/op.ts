/** What a ladder is: one op, its inputs, and versions of it that must agree. */
import type { Plan, Tensor } from "../../src/plan/mod.ts";

export interface Version {
  name: string;
  /** Whether this adapter can run it; always, if left out. */
  fits?(plan: Plan): boolean;
  /** Records the op on the inputs and returns its output. */
  record(plan: Plan, inputs: readonly Tensor[]): Tensor;
}

/** One op at one size. */
export interface Ladder {
  /** Shapes in words, for the table's title. */
  workload: string;
  /** Shapes of the inputs, filled with random numbers from -1 to 1. */
  inputs: readonly (readonly number[])[];
  /** FLOPs the op needs, whatever a version spends. */
  flops: number;
  /** From naive to ours; the last one is what training runs. */
  versions: readonly Version[];
}

/** `tiny` has odd sizes and is for tests; `micro` is what the micro model runs; `large` fills a GPU. */
export type Size = "tiny" | "micro" | "large";

export interface Op {
  about: string;
  at(size: Size): Ladder;
}
