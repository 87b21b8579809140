/** A compiled plan: memory, pipelines and bind groups made once, then replayed in one pass and one submit. */
import type { Gpu } from "./device.ts";
import { describe } from "./describe.ts";
import { boundBytes, fillWithNan, placeSentinels } from "./guard.ts";
import { makeBuffer, releaseValueBuffers, takeValueBuffers } from "./buffers.ts";
import { type MemoryPlan, planMemory } from "./memory.ts";
import { flush, type Replay } from "./queue.ts";
import { firstNonFinite, formatProfile, type ProfileRow, timeDispatches } from "./profile.ts";
import type { Dispatch, Kernel, Plan } from "./plan.ts";
import { createReader, type Reader } from "./store.ts";
import type { Tensor } from "./tensor.ts";

export interface Command {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
}

export interface Executable {
  readonly plan: Plan;
  /** Bytes of the shared value buffers. */
  readonly valueBytes: number;
  readonly commands: readonly Command[];
  /** Submits the recorded dispatches `times` times over. Resolves at once but under DEBUG=nan and DEBUG=time. */
  run(times?: number): Promise<void>;
  /** As `run`, but may wait for the next `run`, read or flush, to go to the GPU in one submit with it. */
  enqueue(times?: number): Promise<void>;
  /** Times every dispatch by itself with timestamp queries (a pass per dispatch), median of `rounds`. */
  profile(rounds?: number): Promise<ProfileRow[]>;
  /** A reader of kept values and persistent tensors. */
  reader(tensors: readonly Tensor[]): Reader;
  destroy(): void;
}

export async function compile(gpu: Gpu, plan: Plan): Promise<Executable> {
  const { device } = gpu;
  const share = gpu.guard === 0 && !gpu.debug.has("noshare");
  const memory = planMemory(plan, share, gpu.limits.maxBufferSize);
  const { buffers, destroyValues } = allocateValues(gpu, plan, memory, share);
  /** The buffer of a tensor, and where it begins there. */
  const placeOf = (tensor: Tensor): { buffer: GPUBuffer; offset: number } => {
    if (tensor.storage.buffer) return { buffer: tensor.storage.buffer, offset: tensor.offset };
    const place = memory.places.get(tensor.storage);
    if (!place) throw new Error(`Cannot bind ${tensor.name}: plan ${plan.name} never writes it`);
    return { buffer: buffers[place.buffer], offset: place.offset + tensor.offset };
  };

  for (const pick of plan.picks) gpu.used.set(`${pick.op.name} ${pick.shapeClass}`, pick);
  const dims = packDims(gpu, plan);
  const pipelines = await Promise.all(plan.dispatches.map((dispatch) => pipelineFor(gpu, dispatch)));
  const commands = plan.dispatches.map((dispatch, i): Command => {
    const entries: GPUBindGroupEntry[] = [
      { binding: 0, resource: { buffer: dims, offset: i * 256, size: dimsBytes(dispatch.kernel) } },
      ...dispatch.tensors.map((tensor, k) => {
        const { buffer, offset } = placeOf(tensor);
        const size = boundBytes(gpu, tensor, buffer);
        return { binding: k + 1, resource: { buffer, offset, size } };
      }),
    ];
    const layout = layoutFor(gpu, dispatch.kernel);
    return { dispatch, pipeline: pipelines[i], bindGroup: device.createBindGroup({ layout, entries }) };
  });
  gpu.check();
  if (gpu.debug.has("plan")) console.error(describe(plan, memory));
  const replay: Replay = {
    pipelines,
    bindGroups: commands.map(({ bindGroup }) => bindGroup),
    workgroups: Uint32Array.from(plan.dispatches.flatMap(({ workgroups }) => workgroups)),
    bound: new Set(plan.dispatches.flatMap(({ tensors }) => tensors.map(({ storage }) => storage))),
  };
  const timing = new Map<string, ProfileRow>();

  const executable: Executable = {
    plan,
    commands,
    valueBytes: memory.sizes.reduce((sum, bytes) => sum + bytes, 0),
    async run(times = 1) {
      await executable.enqueue(times);
      flush(gpu);
    },
    async enqueue(times = 1) {
      if (gpu.debug.has("nan")) {
        for (let i = 0; i < times; i++) await firstNonFinite(gpu, executable);
        return;
      }
      if (gpu.debug.has("time")) {
        for (let i = 0; i < times; i++) {
          for (const row of await timeDispatches(gpu, executable, 1)) {
            const sum = timing.get(row.kernel);
            if (sum) (sum.microseconds += row.microseconds, sum.count += row.count, sum.flops += row.flops);
            else timing.set(row.kernel, { ...row });
          }
        }
        return;
      }
      for (let i = 0; i < times; i++) gpu.pending.push(replay);
    },
    profile(rounds = 5) {
      flush(gpu);
      return timeDispatches(gpu, executable, rounds);
    },
    reader: (tensors) => createReader(gpu, tensors, placeOf),
    destroy() {
      flush(gpu);
      if (timing.size > 0) console.error(formatProfile(plan.name, [...timing.values()]));
      destroyValues();
      dims.destroy();
    },
  };
  return executable;
}

/** Memory for a plan's values: shared with other plans, but for what is kept; buffers of its own under a guard. */
function allocateValues(gpu: Gpu, plan: Plan, memory: MemoryPlan, share: boolean) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const shared = memory.sizes.flatMap((_, i) => share && !memory.kept.has(i) ? [i] : []);
  const pooled = takeValueBuffers(gpu, plan.name, shared.map((i) => memory.sizes[i]));
  const buffers = new Array<GPUBuffer>(memory.sizes.length);
  shared.forEach((i, k) => buffers[i] = pooled[k]);
  const own: GPUBuffer[] = [];
  for (const [storage, place] of memory.places) {
    if (buffers[place.buffer]) continue;
    const buffer = makeBuffer(
      gpu,
      `values.${plan.name}.${storage.name}`,
      memory.sizes[place.buffer] + gpu.guard,
      usage,
    );
    placeSentinels(gpu, buffer, `${plan.name}.${storage.name}`, storage.bytes);
    fillWithNan(gpu, buffer, storage.bytes);
    own.push(buffers[place.buffer] = buffer);
  }
  const destroyValues = () => {
    releaseValueBuffers(gpu, pooled);
    for (const buffer of own) {
      gpu.guarded.delete(buffer);
      buffer.destroy();
    }
  };
  return { buffers, destroyValues };
}

export function encode(pass: GPUComputePassEncoder, command: Command): void {
  pass.setPipeline(command.pipeline);
  pass.setBindGroup(0, command.bindGroup);
  pass.dispatchWorkgroups(...command.dispatch.workgroups);
}

const dimsBytes = (kernel: Kernel) => Math.max(16, Math.ceil(kernel.dims.length / 4) * 16);

/** All dims of a plan in one uniform buffer, each dispatch at a multiple of 256. */
function packDims(gpu: Gpu, plan: Plan): GPUBuffer {
  const size = Math.max(1, plan.dispatches.length) * 256;
  const bytes = new DataView(new ArrayBuffer(size));
  plan.dispatches.forEach((dispatch, i) => {
    dispatch.kernel.dims.forEach(([name, type], k) => {
      if (type === "u32") bytes.setUint32(i * 256 + k * 4, dispatch.dims[name], true);
      else bytes.setFloat32(i * 256 + k * 4, dispatch.dims[name], true);
    });
  });
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = makeBuffer(gpu, `dims.${plan.name}`, size, usage);
  gpu.device.queue.writeBuffer(buffer, 0, bytes.buffer);
  return buffer;
}

function layoutFor(gpu: Gpu, kernel: Kernel): GPUBindGroupLayout {
  const key = kernel.bindings.join();
  let layout = gpu.layouts.get(key);
  if (!layout) {
    const visibility = GPUShaderStage.COMPUTE;
    layout = gpu.device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility, buffer: { type: "uniform" } },
        ...kernel.bindings.map((access, k): GPUBindGroupLayoutEntry => ({
          binding: k + 1,
          visibility,
          buffer: { type: access === "read" ? "read-only-storage" : "storage" },
        })),
      ],
    });
    gpu.layouts.set(key, layout);
  }
  return layout;
}

async function pipelineFor(gpu: Gpu, dispatch: Dispatch): Promise<GPUComputePipeline> {
  const { kernel, constants } = dispatch;
  const key = [kernel.entry, kernel.bindings.join(), JSON.stringify(constants), kernel.code].join("\n");
  const known = gpu.pipelines.get(key);
  if (known) return known;
  // The scope is popped before anything else runs, so that kernels which compile at the same time keep apart.
  gpu.device.pushErrorScope("validation");
  let module = gpu.modules.get(kernel.code);
  if (!module) {
    const code = (/\bsubgroup/.test(kernel.code) ? gpu.subgroupHeader : "") + kernel.code;
    if (gpu.debug.has("wgsl")) console.error(`// ${kernel.name}\n${code}`);
    module = gpu.device.createShaderModule({ label: kernel.name, code });
    gpu.modules.set(kernel.code, module);
  }
  const layout = gpu.device.createPipelineLayout({ bindGroupLayouts: [layoutFor(gpu, kernel)] });
  const compute = { module, entryPoint: kernel.entry, constants };
  const compiled = gpu.device.createComputePipelineAsync({ label: kernel.name, layout, compute }).then(
    (pipeline) => ({ pipeline, message: "" }),
    (error: Error) => ({ pipeline: null, message: error.message }),
  );
  const invalid = await gpu.device.popErrorScope();
  const { pipeline, message } = await compiled;
  if (invalid || !pipeline) {
    throw new Error(`Cannot compile kernel ${kernel.name}: ${(invalid?.message ?? message).trim()}`);
  }
  gpu.pipelines.set(key, pipeline);
  return pipeline;
}
