/** Weights that live in host memory and come to the GPU when they are needed. */
import type { Gpu } from "./device.ts";
import { flush } from "./queue.ts";
import { write } from "./store.ts";
import { byteLength, showTensor, type Tensor } from "./tensor.ts";

/**
 * What the driver may hold of uploads that the GPU has not come to yet. It copies at once what it is given, so without a bound
 * a model that is uploaded faster than it runs would end up in that memory as a whole.
 */
const IN_FLIGHT_BYTES = 512 << 20;

export interface Uploader {
  /**
   * Writes host data into tensors, after all work that was submitted before and ahead of what is submitted next. It returns
   * while the GPU still runs the former, so that the host copies one layer while another one computes; only when more
   * than 512 MiB are under way it waits for the GPU.
   */
  upload(pairs: Iterable<readonly [Tensor, Float32Array]>): Promise<void>;
  /** All there was so far: bytes, and milliseconds in which the host was busy with it or waited. */
  readonly total: { bytes: number; milliseconds: number };
}

export function createUploader(gpu: Gpu): Uploader {
  let inFlight = 0;
  const total = { bytes: 0, milliseconds: 0 };
  return {
    total,
    async upload(pairs) {
      const start = performance.now();
      for (const [tensor, data] of pairs) {
        if (data.byteLength !== byteLength(tensor)) {
          throw new Error(`Cannot upload ${showTensor(tensor)}: ${data.length} elements are given`);
        }
        write(gpu, tensor, data);
        inFlight += data.byteLength;
        total.bytes += data.byteLength;
      }
      if (inFlight > IN_FLIGHT_BYTES) {
        flush(gpu);
        await gpu.device.queue.onSubmittedWorkDone();
        inFlight = 0;
      }
      total.milliseconds += performance.now() - start;
    },
  };
}
