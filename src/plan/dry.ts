/**
 * A GPU that only counts: everything that sets up a run works on it as on a real one, and no memory is taken. What a run
 * will take is found by setting it up here first, so the prediction cannot drift away from the code that allocates.
 */
import type { Gpu } from "./device.ts";
import { createChoices } from "./choices.ts";
import type { Traits } from "./traits.ts";

export interface CountedBuffer {
  readonly label: string;
  readonly bytes: number;
}

export interface DryGpu extends Gpu {
  /** Live buffers by label, summed. */
  live(): Map<string, number>;
  /** Bytes of live buffers now, and the most there ever were. */
  readonly bytes: number;
  readonly peakBytes: number;
}

/** Buffers beyond `limits.maxBufferSize` are refused as on the real adapter; pass `Infinity` to plan for any. */
export function openDryGpu(like: { traits: Traits; adapterName?: string; maxBufferSize?: number }): DryGpu {
  const alive = new Set<CountedBuffer>();
  let bytes = 0, peakBytes = 0;
  const nothing = () => {};
  const device = {
    features: new Set<string>(),
    pushErrorScope: nothing,
    popErrorScope: () => Promise.resolve(null),
    createBuffer({ label = "", size }: GPUBufferDescriptor) {
      const counted: CountedBuffer = { label, bytes: size };
      alive.add(counted);
      bytes += size;
      peakBytes = Math.max(peakBytes, bytes);
      const destroy = () => {
        if (alive.delete(counted)) bytes -= size;
      };
      return { label, size, destroy };
    },
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createComputePipelineAsync: () => Promise.resolve({}),
    queue: { writeBuffer: nothing, submit: nothing },
    destroy: nothing,
  };
  return {
    device: device as unknown as GPUDevice,
    adapterName: `${like.adapterName ?? like.traits.family}, counted only`,
    traits: like.traits,
    choices: createChoices(like.traits.family),
    limits: {
      maxBufferSize: like.maxBufferSize ?? Infinity,
      maxStorageBufferBindingSize: like.traits.bindingBytes,
    } as GPUSupportedLimits,
    debug: new Set(),
    pipelines: new Map(),
    layouts: new Map(),
    modules: new Map(),
    used: new Map(),
    valuePool: [],
    pending: [],
    guard: 0,
    subgroupHeader: "",
    guarded: new Map(),
    check: nothing,
    fail: nothing,
    close: nothing,
    live() {
      const sums = new Map<string, number>();
      for (const { label, bytes } of alive) sums.set(label, (sums.get(label) ?? 0) + bytes);
      return sums;
    },
    get bytes() {
      return bytes;
    },
    get peakBytes() {
      return peakBytes;
    },
  };
}
