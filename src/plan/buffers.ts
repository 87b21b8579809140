/** Where GPU buffers are made, and the memory that the values of all plans share. */
import type { Gpu } from "./device.ts";

/** A buffer, or one error that names it: at once where the adapter could never hold it, else at the next `gpu.check()`. */
export function makeBuffer(gpu: Gpu, label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
  const { device, limits } = gpu;
  if (size > limits.maxBufferSize) {
    throw new Error(
      `Cannot allocate ${label}: ${size} bytes, the adapter's buffers hold at most ${limits.maxBufferSize}`,
    );
  }
  device.pushErrorScope("out-of-memory");
  const buffer = device.createBuffer({ label, size, usage });
  device.popErrorScope().then(
    (error) => error && gpu.fail(`Cannot allocate ${label}: the GPU has no ${size} bytes left`),
    () => {}, // the device is gone, and says so itself
  );
  return buffer;
}

export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  readonly size: number;
  users: number;
}

/**
 * One buffer for each size, from those that other plans use already where they are large enough. Plans run one after the
 * other and their values mean nothing between two runs, so plans of all length buckets live in the memory of the largest:
 * compile that one first.
 */
export function takeValueBuffers(gpu: Gpu, label: string, sizes: readonly number[]): GPUBuffer[] {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const free = new Set(gpu.valuePool);
  const taken = new Array<GPUBuffer>(sizes.length);
  const fallingSize = sizes.map((_, i) => i).sort((a, b) => sizes[b] - sizes[a]);
  for (const i of fallingSize) {
    const fitting = [...free].filter(({ size }) => size >= sizes[i]);
    let entry = fitting.sort((a, b) => a.size - b.size)[0];
    if (!entry) {
      entry = { buffer: makeBuffer(gpu, `values.${label}.${i}`, sizes[i], usage), size: sizes[i], users: 0 };
      gpu.valuePool.push(entry);
    }
    free.delete(entry);
    entry.users++;
    taken[i] = entry.buffer;
  }
  return taken;
}

/** Destroys those buffers that no other plan uses. */
export function releaseValueBuffers(gpu: Gpu, buffers: readonly GPUBuffer[]): void {
  for (const buffer of buffers) {
    const at = gpu.valuePool.findIndex((entry) => entry.buffer === buffer);
    if (at < 0 || --gpu.valuePool[at].users > 0) continue;
    gpu.valuePool.splice(at, 1);
    buffer.destroy();
  }
}
