/** Counts what a program asks of WebGPU, whoever wrote it, by wrapping the methods of WebGPU's own prototypes. */
import type { DeviceWork } from "./workload.ts";

export interface GpuCounter {
  /** Totals since the counter was set up. */
  read(): DeviceWork;
}

/**
 * Wraps createBuffer, destroy, submit and dispatchWorkgroups of this realm; once. A buffer counts as live until somebody
 * destroys it (or its device): garbage collection does not free it on the spot. Bytes are the sizes asked for,
 * without the driver's own padding; textures and what pipelines take are not in them.
 */
export function countGpu(): GpuCounter {
  const total: DeviceWork = { submits: 0, buffers: 0, dispatches: 0, peakBytes: 0 };
  const live = new WeakSet<GPUBuffer>(); // the sizes are the buffers' own
  let liveBytes = 0;

  after(GPUDevice.prototype, "createBuffer", (buffer) => {
    total.buffers++;
    live.add(buffer);
    liveBytes += buffer.size;
    total.peakBytes = Math.max(total.peakBytes, liveBytes);
  });
  after(GPUBuffer.prototype, "destroy", (_, buffer) => {
    if (live.delete(buffer)) liveBytes -= buffer.size;
  });
  after(GPUQueue.prototype, "submit", () => total.submits++);
  after(GPUComputePassEncoder.prototype, "dispatchWorkgroups", () => total.dispatches++);
  after(GPUComputePassEncoder.prototype, "dispatchWorkgroupsIndirect", () => total.dispatches++);
  return { read: () => ({ ...total }) };
}

type Method = (...args: unknown[]) => unknown;

/** Replaces `owner[name]` by a method that does the same and then calls `note` with the result and with `this`. */
function after<Owner extends object, Name extends keyof Owner>(
  owner: Owner,
  name: Name,
  note: (result: Owner[Name] extends (...args: never[]) => infer Result ? Result : never, self: Owner) => void,
): void {
  const original = owner[name] as Method;
  const wrapped = function (this: Owner, ...args: unknown[]) {
    const result = original.apply(this, args);
    note(result as Parameters<typeof note>[0], this);
    return result;
  };
  Object.defineProperty(owner, name, { value: wrapped, configurable: true, writable: true });
}
