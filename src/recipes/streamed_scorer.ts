/** Scoring with weights in host memory: what scorer.ts does, for models larger than the GPU. */
import { compile, Plan } from "../plan/mod.ts";
import { tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { attendWithin, headWeight } from "../model/llama.ts";
import { createStreamedForward, streamedHidden, type StreamedLlama } from "../model/streamed.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { batchInputs, destroyInputs, writeBatch } from "./scorer.ts";

/**
 * Sums of completion log-probabilities of sequences, in the order given; to the bit what `sequenceLogprobs` gives. Every B
 * sequences take one upload of the whole model, so B should be as large as activations of one layer allow.
 */
export async function streamedLogprobs(
  streamed: StreamedLlama,
  sequences: readonly Sequence[],
  B: number,
  padId: number,
): Promise<Float32Array> {
  const { gpu, resident, config } = streamed;
  const sums = new Float32Array(sequences.length);
  const buckets = Map.groupBy(
    sequences.keys(),
    (i) => bucketOf(positionsOf(sequences[i]), config.maxPositions),
  );
  for (const [T, members] of buckets) {
    const inputs = batchInputs(resident, B, T);
    const forward = await createStreamedForward(streamed, inputs.ids, inputs.positions, attendWithin(config, B, T));
    const plan = new Plan(`score.streamed.${T}`, gpu);
    const h = streamedHidden(plan, streamed, forward.x);
    const { logprob } = tokenLogprob(plan, h, headWeight(resident), inputs.targets);
    const out = plan.keep(weightedSum(plan, logprob, inputs.mask, B));
    const head = await compile(gpu, plan);
    const reader = head.reader([out]);
    for (let start = 0; start < members.length; start += B) {
      const batch = members.slice(start, start + B);
      writeBatch(resident, inputs, batchArrays(batch.map((i) => sequences[i]), B, T, padId));
      await forward.run();
      await head.run();
      const [got] = await reader.read();
      batch.forEach((i, b) => sums[i] = got[b]);
    }
    reader.destroy();
    head.destroy();
    forward.destroy();
    destroyInputs(inputs);
  }
  return sums;
}
