/** One WebGPU device with what belongs to it: limits, compiled pipelines, debug words, and the first error it met. */

import type { PooledBuffer } from "./buffers.ts";
import { createChoices } from "./choices.ts";
import type { Replay } from "./queue.ts";
import type { Pick } from "./variants.ts";
import { familyOf, type Recorder, type Traits } from "./traits.ts";

export type DebugWord = "plan" | "time" | "nan" | "wgsl" | "noshare";
const DEBUG_WORDS: readonly DebugWord[] = ["plan", "time", "nan", "wgsl", "noshare"];

export interface Gpu extends Recorder {
  readonly device: GPUDevice;
  readonly adapterName: string;
  readonly limits: GPUSupportedLimits;
  readonly debug: ReadonlySet<DebugWord>;
  /** Pipelines by content: the shader text, entry point, constants and binding kinds. */
  readonly pipelines: Map<string, GPUComputePipeline>;
  readonly layouts: Map<string, GPUBindGroupLayout>;
  readonly modules: Map<string, GPUShaderModule>;
  /** Every op and shape class that a compiled plan used: what the tuner has to choose for. */
  readonly used: Map<string, Pick>;
  /** The memory that the values of all compiled plans share: see buffers.ts. */
  readonly valuePool: PooledBuffer[];
  /** Replays that wait for the next submit: see queue.ts. */
  readonly pending: Replay[];
  /** Bytes of sentinels behind every buffer: a test aid, see guard.ts. 0 otherwise. */
  readonly guard: number;
  /** What goes in front of a shader that uses subgroups: Tint wants `enable subgroups;`, naga refuses that line. */
  readonly subgroupHeader: string;
  /** The buffers that carry sentinels. */
  readonly guarded: Map<GPUBuffer, { name: string; bytes: number; word: number }>;
  /** Throws the first uncaptured GPU error or the loss of the device. Called after every submit and readback. */
  check(): void;
  /** Lets the next check throw this, if nothing has failed before. */
  fail(message: string): void;
  close(): void;
}

/** Parses `DEBUG=plan,time`: words, not levels. Unknown words belong to other programs and are left alone. */
export function debugWords(text: string | undefined): Set<DebugWord> {
  const asked = (text ?? "").split(",").map((word) => word.trim());
  return new Set(DEBUG_WORDS.filter((word) => asked.includes(word)));
}

export interface GpuOptions {
  debug?: ReadonlySet<DebugWord>;
  guard?: number;
  /** Bind at most so many bytes at once, where the adapter would bind more: a test aid. */
  bindingBytes?: number;
}

/** A device with all of its adapter's limits. Errors when there is no adapter; says what to install. */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  if (!navigator.gpu) throw new Error("Cannot open a GPU: this runtime has no WebGPU (navigator.gpu is missing)");
  // One adapter gives one device by the standard, so each call asks for an adapter of its own.
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Error("Cannot open a GPU: no WebGPU adapter (on Debian: apt-get install -y mesa-vulkan-drivers)");
  }
  const wanted: (keyof GPUSupportedLimits)[] = [
    "maxStorageBufferBindingSize",
    "maxBufferSize",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX",
    "maxComputeWorkgroupStorageSize",
    "maxStorageBuffersPerShaderStage",
  ];
  const requiredLimits: Record<string, number> = {};
  for (const name of wanted) requiredLimits[name] = adapter.limits[name] as number;
  const optional: GPUFeatureName[] = ["timestamp-query", "shader-f16", "subgroups"];
  const requiredFeatures = optional.filter((name) => adapter.features.has(name));
  const info = adapter.info;
  // Deno has subgroups without listing them; that it knows their size gives it away.
  if (!requiredFeatures.includes("subgroups") && info.subgroupMinSize > 0) requiredFeatures.push("subgroups");
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
  const family = familyOf(info);
  const subgroups = device.features.has("subgroups") || requiredFeatures.includes("subgroups");
  const traits: Traits = {
    family,
    software: family === "llvmpipe" || family === "swiftshader",
    subgroupSize: subgroups && info.subgroupMinSize === info.subgroupMaxSize ? info.subgroupMinSize : 0,
    f16: device.features.has("shader-f16"),
    workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
    workgroupInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    bindingBytes: Math.min(device.limits.maxStorageBufferBindingSize, options.bindingBytes ?? Infinity),
  };

  let failure: string | null = null;
  let closing = false;
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    failure ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  device.lost.then((info) => {
    if (!closing) failure ??= `device lost: ${info.message || info.reason}`;
  });
  return {
    device,
    traits,
    choices: createChoices(family),
    subgroupHeader: subgroups ? await subgroupHeader(device) : "",
    adapterName: [info.description || info.device, info.vendor].filter(Boolean).join(", ") || "unnamed adapter",
    limits: device.limits,
    debug: options.debug ?? new Set(),
    pipelines: new Map(),
    layouts: new Map(),
    modules: new Map(),
    used: new Map(),
    valuePool: [],
    pending: [],
    guard: options.guard ?? 0,
    guarded: new Map(),
    check() {
      if (failure !== null) throw new Error(`GPU error: ${failure.trim()}`);
    },
    fail(message) {
      failure ??= message;
    },
    close() {
      closing = true;
      device.destroy();
    },
  };
}

/** Which of the two engines this is shows in what it takes: a try is safer than a guess by name. */
async function subgroupHeader(device: GPUDevice): Promise<string> {
  const line = "enable subgroups;\n";
  device.pushErrorScope("validation");
  device.createShaderModule({ label: "subgroup header", code: line });
  return await device.popErrorScope() ? "" : line;
}
