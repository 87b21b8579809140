/** Plans that score batches: token log-probabilities with inputs that the loss plans share. One plan per length bucket. */
import { compile, type Executable, persistent, Plan, type Tensor, write } from "../plan/mod.ts";
import { type TokenLogprob, tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import type { Recompute } from "../model/saving.ts";
import { attendWithin, forward, headWeight, type Llama } from "../model/llama.ts";
import { type BatchArrays, batchArrays, bucketOf, placeWeights, positionsOf, type Sequence } from "./batches.ts";
import type { PackedArrays } from "./packing.ts";

export interface BatchInputs {
  readonly B: number;
  readonly T: number;
  /** [B,T] u32 */
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly targets: Tensor;
  /** [B,T] f32 */
  readonly mask: Tensor;
  /** [B,T] u32, of packed rows. */
  readonly segments?: Tensor;
}

/** Inputs of B rows of T positions, each a sequence from position 0 or, packed, several. */
export function batchInputs(model: Llama, B: number, T: number, packed = false): BatchInputs {
  const { gpu } = model;
  if (T > model.config.maxPositions) {
    throw new Error(`Cannot record a batch of ${T} positions: the model has ${model.config.maxPositions}`);
  }
  const positions = persistent(gpu, "positions", [B, T], "u32");
  write(gpu, positions, Uint32Array.from({ length: B * T }, (_, i) => i % T));
  return {
    B,
    T,
    ids: persistent(gpu, "ids", [B, T], "u32"),
    positions,
    targets: persistent(gpu, "targets", [B, T], "u32"),
    mask: persistent(gpu, "mask", [B, T]),
    segments: packed ? persistent(gpu, "segments", [B, T], "u32") : undefined,
  };
}

export function writeBatch(model: Llama, inputs: BatchInputs, arrays: BatchArrays | PackedArrays): void {
  write(model.gpu, inputs.ids, arrays.ids);
  write(model.gpu, inputs.targets, arrays.targets);
  write(model.gpu, inputs.mask, arrays.mask);
  if (!inputs.segments) return;
  if (!("segments" in arrays)) throw new Error("Cannot write a batch: the plan is for packed rows");
  write(model.gpu, inputs.positions, arrays.positions);
  write(model.gpu, inputs.segments, arrays.segments);
}

/** The forward pass of training and scoring: log-probability of every target. */
export function score(plan: Plan, model: Llama, inputs: BatchInputs, recompute: Recompute): TokenLogprob {
  const { B, T, ids, positions, targets, segments } = inputs;
  const h = forward(plan, model, ids, positions, attendWithin(model.config, B, T, segments), recompute);
  return tokenLogprob(plan, h, headWeight(model), targets);
}

export function destroyInputs(inputs: object): void {
  for (const value of Object.values(inputs)) (value as Tensor | undefined)?.storage?.buffer?.destroy();
}

/**
 * Sums of completion log-probabilities of sequences, in the order given: the reference of DPO. `weights` multiply them token
 * by token where there are any, one number for each completion token of a sequence.
 */
export async function sequenceLogprobs(
  model: Llama,
  sequences: readonly Sequence[],
  B: number,
  padId: number,
  weights: readonly (ArrayLike<number> | undefined)[] = [],
): Promise<Float32Array> {
  const sums = new Float32Array(sequences.length);
  const byBucket = new Map<number, number[]>();
  sequences.forEach((sequence, i) => {
    const T = bucketOf(positionsOf(sequence), model.config.maxPositions);
    byBucket.set(T, [...(byBucket.get(T) ?? []), i]);
  });
  for (const [T, members] of byBucket) {
    const { inputs, executable, reader, destroy } = await createScorer(model, B, T);
    for (let start = 0; start < members.length; start += B) {
      const batch = members.slice(start, start + B);
      const arrays = batchArrays(batch.map((i) => sequences[i]), B, T, padId);
      batch.forEach((i, b) => weights[i] && placeWeights(arrays.mask, b * T, sequences[i], weights[i]));
      writeBatch(model, inputs, arrays);
      await executable.run();
      const [got] = await reader.read();
      batch.forEach((i, b) => sums[i] = got[b]);
    }
    destroy();
  }
  return sums;
}

/** The plan of `sequenceLogprobs` for one bucket; its reader gives a sum for each row. */
export async function createScorer(model: Llama, B: number, T: number) {
  const inputs = batchInputs(model, B, T);
  const plan = new Plan(`score.${T}`, model.gpu);
  const out = plan.keep(weightedSum(plan, score(plan, model, inputs, "none").logprob, inputs.mask, B));
  const executable: Executable = await compile(model.gpu, plan);
  const reader = executable.reader([out]);
  const destroy = () => {
    reader.destroy();
    executable.destroy();
    destroyInputs(inputs);
  };
  return { inputs, executable, reader, destroy };
}
