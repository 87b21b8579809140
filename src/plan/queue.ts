/**
 * Work that waits to be submitted. A step is one submit: its plans are enqueued, and go to the GPU together with the last one,
 * or before something is written that one of them reads.
 */
import type { Gpu } from "./device.ts";
import type { Storage } from "./tensor.ts";

/** What a pass replays: flat arrays, so that encoding a dispatch allocates nothing. */
export interface Replay {
  readonly pipelines: readonly GPUComputePipeline[];
  readonly bindGroups: readonly GPUBindGroup[];
  /** x, y and z of every dispatch. */
  readonly workgroups: Uint32Array;
  /** Persistent memory that the dispatches bind. */
  readonly bound: ReadonlySet<Storage>;
}

/** Submits all that waits, in order, in one pass and one submit, which ends with what `also` encodes (copies for a readback). */
export function flush(gpu: Gpu, also?: (encoder: GPUCommandEncoder) => void): void {
  const { pending, device } = gpu;
  if (pending.length === 0 && !also) return;
  const encoder = device.createCommandEncoder();
  if (pending.length > 0) encodePending(gpu, encoder);
  also?.(encoder);
  device.queue.submit([encoder.finish()]);
  gpu.check();
}

function encodePending({ pending }: Gpu, encoder: GPUCommandEncoder): void {
  const pass = encoder.beginComputePass();
  let pipeline: GPUComputePipeline | null = null;
  for (let p = 0; p < pending.length; p++) {
    const { pipelines, bindGroups, workgroups } = pending[p];
    for (let i = 0, w = 0; i < pipelines.length; i++, w += 3) {
      if (pipelines[i] !== pipeline) pass.setPipeline(pipeline = pipelines[i]);
      pass.setBindGroup(0, bindGroups[i]);
      pass.dispatchWorkgroups(workgroups[w], workgroups[w + 1], workgroups[w + 2]);
    }
  }
  pass.end();
  pending.length = 0;
}

/** Called before memory is written from the host: what waits was recorded to see the old contents. */
export function flushReaders(gpu: Gpu, storage: Storage): void {
  for (let p = 0; p < gpu.pending.length; p++) {
    if (gpu.pending[p].bound.has(storage)) return flush(gpu);
  }
}
