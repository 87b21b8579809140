/**
 * Sums of completion log-probabilities under the frozen reference, computed once for all sequences of a run and kept beside its
 * checkpoints: training then holds one model, and a resumed run needs no second one.
 *
 * The reference is the policy as it is before its first step. With LoRA that is the same model with its adapters off, which
 * can be scored at any time; either way gives the same numbers.
 */
import { sha256 } from "../files/sha256.ts";
import type { Host } from "../host/host.ts";
import type { Llama } from "../model/llama.ts";
import type { Sequence } from "./batches.ts";
import { sequenceLogprobs } from "./scorer.ts";

/** A sequence to score, with one weight for each completion token, or all 1. */
export interface Scored {
  sequence: Sequence;
  weights?: ArrayLike<number>;
}

export interface ReferenceGiven {
  host: Host;
  /** The model to score with, should the cache be empty. */
  model: Llama;
  padId: number;
  /** Folder of the run's checkpoints; the sums lie in its `reference.json`. */
  checkpoints: string;
  /** Names the reference's weights, e.g. a hash of their file. */
  modelId: string;
}

/**
 * A sum for each of `scored`, `batch` of them at a time: from the cache if it belongs to these weights and this data, else
 * computed and kept. `data` is all that the run learns from. Error: checkpoints that belong to other weights or data.
 */
export async function referenceSums(
  given: ReferenceGiven,
  data: unknown,
  scored: readonly Scored[],
  batch: number,
): Promise<ArrayLike<number>> {
  const { host, model, padId, checkpoints, modelId } = given;
  const path = `${checkpoints}/reference.json`;
  const key = await sha256(
    JSON.stringify([modelId, data], (_, value) => ArrayBuffer.isView(value) ? plain(value) : value),
  );
  if (await host.exists(path)) {
    const cached = JSON.parse(await host.readText(path));
    // A loss without a reference leaves no sums: another loss on the same pairs must not take that for zeros.
    if (cached.key === key && cached.sums.length === scored.length) return cached.sums;
  }
  if (await host.exists(`${checkpoints}/latest.json`)) {
    throw new Error(`Cannot resume ${checkpoints}: its reference was computed for other weights or pairs`);
  }
  const weights = scored.map(({ weights }) => weights);
  const sums = await sequenceLogprobs(model, scored.map(({ sequence }) => sequence), batch, padId, weights);
  // A float32 survives JSON unchanged: the shortest text that names it as a float64 is exact.
  await host.write(path, JSON.stringify({ key, sums: Array.from(sums) }) + "\n");
  return sums;
}

/** A typed array as JSON writes a list. */
const plain = (view: ArrayBufferView) => Array.from(view as unknown as ArrayLike<number>);
