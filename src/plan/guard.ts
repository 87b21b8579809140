/**
 * A test aid: `openGpu({ guard: 256 })` leaves that many bytes (a multiple of 256) behind every buffer, fills them with a
 * word of the buffer's own and binds them along with the tensor in front. A store behind the end of a tensor is dropped in
 * silence otherwise. Values then share no memory, and hold NaN until something writes them.
 */
import type { Gpu } from "./device.ts";
import { byteLength, type Tensor } from "./tensor.ts";

let placed = 0;

export function placeSentinels(gpu: Gpu, buffer: GPUBuffer, name: string, bytes: number): void {
  if (gpu.guard === 0) return;
  const word = 0x5eed0000 + placed++; // distinct, so that a stray copy from one buffer to another shows too
  gpu.guarded.set(buffer, { name, bytes, word });
  gpu.device.queue.writeBuffer(buffer, bytes, new Uint32Array((buffer.size - bytes) / 4).fill(word));
}

/** All bits set: a NaN as f32, far out of range as an index. */
export function fillWithNan(gpu: Gpu, buffer: GPUBuffer, bytes: number): void {
  if (gpu.guard > 0) gpu.device.queue.writeBuffer(buffer, 0, new Uint32Array(bytes / 4).fill(0xffffffff));
}

/** Bytes to bind for a tensor: the last one of its storage takes the sentinels along. */
export function boundBytes(gpu: Gpu, tensor: Tensor, buffer: GPUBuffer): number {
  const bytes = byteLength(tensor);
  const last = Math.ceil((tensor.offset + bytes) / 256) * 256 >= tensor.storage.bytes;
  return gpu.guard > 0 && last ? buffer.size - tensor.offset : bytes;
}

/**
 * Throws if a dispatch wrote behind the end of a buffer, and names every such buffer; the next check leaves those out. No
 * buffer that was guarded may have been destroyed, but by the executable that owned it.
 */
export async function checkGuards(gpu: Gpu): Promise<void> {
  const { device } = gpu;
  if (gpu.guarded.size === 0) throw new Error("Cannot check guards: open the GPU with a guard");
  const entries = [...gpu.guarded];
  const size = entries.reduce((sum, [buffer, { bytes }]) => sum + buffer.size - bytes, 0);
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const [buffer, { bytes }] of entries) {
    encoder.copyBufferToBuffer(buffer, bytes, staging, at, buffer.size - bytes);
    at += buffer.size - bytes;
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  gpu.check();
  const words = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  at = 0;
  const strays: string[] = [];
  for (const [buffer, { name, bytes, word }] of entries) {
    const count = (buffer.size - bytes) / 4;
    const wrong = words.subarray(at, at + count).findIndex((each) => each !== word);
    if (wrong >= 0) {
      strays.push(`${wrong * 4} bytes behind the end of ${name}`);
      gpu.guarded.delete(buffer);
    }
    at += count;
  }
  if (strays.length > 0) throw new Error(`Stray write: ${strays.join(", ")}`);
}
