/**
 * A GPU that only counts: everything that sets up a run works on it as on a real one, and no memory is taken. What a run
 * will take is found by setting it up here first, so the prediction cannot drift away from the code that allocates.
 */
import type { Gpu } from "./device.ts";
import type { Recorder } from "./traits.ts";

export interface DryGpu extends Gpu {
  /** Bytes of live buffers now. */
  readonly bytes: number;
  /** The most bytes there ever were, and which labels they had. */
  readonly peak: { readonly bytes: number; readonly labels: ReadonlyMap<string, number> };
}

/** Records as `like` does. Buffers beyond `maxBufferSize` are refused as on a real adapter. */
export function openDryGpu(like: Recorder, maxBufferSize = Infinity): DryGpu {
  const labels = new Map<string, number>();
  let bytes = 0;
  let peak = { bytes: 0, labels: new Map<string, number>() };
  const count = (label: string, size: number) => {
    bytes += size;
    labels.set(label, (labels.get(label) ?? 0) + size);
  };
  const nothing = () => {};
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: nothing, finish: () => ({}) };
  const device = {
    features: new Set(like.traits.f16 ? ["shader-f16"] : []),
    pushErrorScope: nothing,
    popErrorScope: () => Promise.resolve(null),
    createBuffer({ label = "", size }: GPUBufferDescriptor) {
      count(label, size);
      if (bytes > peak.bytes) peak = { bytes, labels: new Map(labels) };
      let alive = true;
      const destroy = () => {
        if (alive) count(label, -size);
        alive = false;
      };
      return { label, size, destroy };
    },
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createCommandEncoder: () => encoder,
    createComputePipelineAsync: () => Promise.resolve({}),
    queue: { writeBuffer: nothing, submit: nothing },
    destroy: nothing,
  };
  return {
    device: device as unknown as GPUDevice,
    adapterName: `${like.traits.family}, counted only`,
    traits: like.traits,
    choices: like.choices,
    limits: { maxBufferSize, maxStorageBufferBindingSize: like.traits.bindingBytes } as GPUSupportedLimits,
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
    get bytes() {
      return bytes;
    },
    get peak() {
      return peak;
    },
  };
}
