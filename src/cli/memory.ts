/** `--memory`: how much of the GPU's memory a run may take, and the refusal of one that would take more. */
import { Option } from "commander";
import { bytesText, type Gpu, predict, type Prediction, requireMemory, type Workload } from "../mod.ts";
import { parseGigabytes } from "./options.ts";

export function memoryOption(): Option {
  return new Option(
    "--memory <GB>",
    "refuse a run that needs more GPU memory (default: what the machine has left, where the adapter is its CPU)",
  ).argParser(parseGigabytes);
}

/**
 * Bytes that a run may take: the flag, else what is left of the system's memory where that is the adapter's too, else null:
 * WebGPU does not say what a card has.
 */
export function memoryBudget(gigabytes: number | undefined, gpu: Gpu): number | null {
  if (gigabytes !== undefined) return gigabytes * 1e9;
  return gpu.traits.software ? Deno.systemMemoryInfo().available : null;
}

/** Predicts a run and refuses it, in one line with what would help, if it does not fit. */
export async function checkMemory(gpu: Gpu, workload: Workload, gigabytes: number | undefined): Promise<Prediction> {
  const prediction = await predict(gpu, workload);
  const budget = memoryBudget(gigabytes, gpu);
  if (budget !== null) await requireMemory(gpu, workload, prediction, budget);
  return prediction;
}

/** "peak GPU memory 213 MB: activations and their gradients 190 MB, weights 3.28 MB, ..." */
export function memoryLine({ peakBytes, parts }: Prediction): string {
  const most = parts.slice(0, 4).map(({ name, bytes }) => `${name} ${bytesText(bytes)}`);
  return `peak GPU memory ${bytesText(peakBytes)}: ${most.join(", ")}`;
}

export function packingLine({ bucketed, packed }: { bucketed: number; packed: number }): string {
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  return `packing: ${percent(packed)} of the positions are padding, unpacked ${percent(bucketed)}`;
}
