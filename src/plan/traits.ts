/** What a recording may depend on: the features and limits of the adapter, and which variant of an op to use there. */
import { type Choices, createChoices } from "./choices.ts";

export interface Traits {
  /** Row of the table of default variants: "llvmpipe", "swiftshader", "nvidia", "apple" and so on. */
  readonly family: string;
  /** An adapter that runs on the CPU: no fast workgroup memory, dear loads, no idle lanes to hide them. */
  readonly software: boolean;
  /** Lanes of a subgroup where every pipeline has the same number; 0 where they differ or subgroups are missing. */
  readonly subgroupSize: number;
  readonly f16: boolean;
  /** Bytes of a workgroup's shared memory, invocations of a workgroup, bytes of one storage binding. */
  readonly workgroupBytes: number;
  readonly workgroupInvocations: number;
  readonly bindingBytes: number;
}

/** Where and with what a plan is recorded. A `Gpu` is one. */
export interface Recorder {
  readonly traits: Traits;
  readonly choices: Choices;
}

/** The least that every WebGPU adapter has: what a plan without a GPU is recorded for. */
export const PORTABLE: Recorder = {
  traits: {
    family: "*",
    software: false,
    subgroupSize: 0,
    f16: false,
    workgroupBytes: 16384,
    workgroupInvocations: 256,
    bindingBytes: 128 << 20,
  },
  choices: createChoices("*"),
};

/** The family of an adapter by what it calls itself. */
export function familyOf(info: { vendor: string; architecture: string; device: string; description: string }): string {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  for (const family of ["llvmpipe", "swiftshader", "nvidia", "apple", "intel", "amd", "qualcomm", "arm"]) {
    if (text.includes(family)) return family;
  }
  return /radeon/.test(text) ? "amd" : /geforce|rtx|tesla|\bh\d00/.test(text) ? "nvidia" : "*";
}
