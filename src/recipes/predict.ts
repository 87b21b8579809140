/**
 * What a training run will take of the GPU's memory, before it takes any: the run is set up on a GPU that only counts, by
 * the code that sets it up on a real one.
 */
import { createReader, type Gpu, openDryGpu, type Tensor } from "../plan/mod.ts";
import type { LlamaConfig } from "../model/config.ts";
import { createGenerator } from "../model/generate.ts";
import { RECOMPUTE, type Recompute } from "../model/saving.ts";
import { createLlama } from "../model/llama.ts";
import { bucketOf } from "./batches.ts";
import { type DpoConfig, dpoStepOptions } from "./dpo.ts";
import { createDpoStep } from "./dpo_step.ts";
import { whole } from "./policy.ts";
import { createScorer } from "./scorer.ts";
import { type SftConfig, sftStepOptions } from "./sft.ts";
import { createSftStep } from "./sft_step.ts";

/** A run to be predicted: a recipe with its configuration, and the positions of the sequences it will meet. */
export type Workload =
  | { recipe: "sft"; config: SftConfig; model: LlamaConfig; lengths: readonly number[] }
  | { recipe: "dpo"; config: DpoConfig; model: LlamaConfig; lengths: readonly number[]; sampling?: Sampling };

/** A generator that lives beside the training: sequences at a time, and the most tokens of one. */
export interface Sampling {
  B: number;
  S: number;
}

export interface Prediction {
  /** The most bytes in GPU buffers at one time. */
  peakBytes: number;
  /** Where they go at that time, largest first. */
  parts: { name: string; bytes: number }[];
  parameters: number;
}

const PARTS: [name: string, labels: RegExp][] = [
  ["weights", /^weights\./],
  ["gradients of weights", /^gradients\./],
  ["Adam's moments", /^(first|second|codes|scales) of |Moments/],
  ["activations and their gradients", /^values\./],
  ["key/value cache", /^cache\./],
  ["staging for readbacks", /^readback/],
  ["sizes of dispatches", /^dims\./],
];

/** Like the adapter of `gpu`; nothing is allocated there. */
export async function predict(gpu: Gpu, workload: Workload): Promise<Prediction> {
  const dry = openDryGpu(gpu, gpu.limits.maxBufferSize);
  const { maxPositions } = workload.model;
  // Every bucket has a plan of its own: the longest sequence of each stands for all, longest first.
  const longestOf = new Map<number, number>();
  for (const length of [...workload.lengths].sort((a, b) => a - b)) {
    longestOf.set(bucketOf(length, maxPositions), length);
  }
  const lengths = [...longestOf.values()].reverse();
  if (lengths.length === 0) throw new Error("Cannot predict: no sequences");
  const model = createLlama(dry, workload.model, true);
  const sequences = lengths.map((length) => ({ tokens: new Array<number>(length + 1).fill(0), promptLength: 1 }));
  let state: readonly Tensor[];
  if (workload.recipe === "sft") {
    const step = await createSftStep(whole(model), sftStepOptions(workload.config, 0, lengths[0]));
    for (const sequence of sequences) await step.accumulate([sequence]);
    state = step.optimizer.state;
  } else {
    const { config, sampling } = workload;
    if (sampling) await createGenerator(model, sampling.B, sampling.S);
    (await createScorer(model, 2 * config.microBatch, bucketOf(lengths[0], maxPositions))).destroy(); // the sums of the reference
    const step = await createDpoStep(whole(model), dpoStepOptions(config, 0, lengths[0]));
    for (const sequence of sequences) {
      await step.accumulate([{ chosen: sequence, rejected: sequence, referenceChosen: 0, referenceRejected: 0 }]);
    }
    state = step.optimizer.state;
  }
  for (const saved of [[...model.weights.tensors.values()], state]) createReader(dry, saved).destroy(); // a checkpoint
  const sums = new Map<string, number>();
  for (const [label, bytes] of dry.peak.labels) {
    const name = PARTS.find(([, labels]) => labels.test(label))?.[0] ?? "inputs and state";
    sums.set(name, (sums.get(name) ?? 0) + bytes);
  }
  const parts = [...sums].flatMap(([name, bytes]) => bytes > 0 ? [{ name, bytes }] : []);
  parts.sort((a, b) => b.bytes - a.bytes);
  return { peakBytes: dry.peak.bytes, parts, parameters: model.weights.parameters };
}

export interface Saving {
  /** What to put on the command line. */
  option: string;
  peakBytes: number;
}

/** What each option that saves memory would leave, and all of them together, by predicting the run with it. */
export async function savings(gpu: Gpu, workload: Workload): Promise<Saving[]> {
  const found: Saving[] = [];
  let all = workload;
  const add = async (changed: Workload, option: string) => {
    found.push({ option, peakBytes: (await predict(gpu, changed)).peakBytes });
  };
  const options = new Map<string, string | number>(); // a flag that two changes set ends at the second
  for (const change of CHANGES) {
    const [one, together] = [change(workload), change(all)];
    if (!one || !together) continue;
    await add(one.workload, `${one.flag} ${one.value}`);
    all = together.workload;
    options.set(together.flag, together.value);
  }
  if (options.size > 1) await add(all, [...options].flat().join(" "));
  return found.sort((a, b) => a.peakBytes - b.peakBytes);
}

type Change = (workload: Workload) => { flag: string; value: string | number; workload: Workload } | null;

const withConfig = (workload: Workload, change: Partial<SftConfig & DpoConfig>): Workload =>
  ({ ...workload, config: { ...workload.config, ...change } }) as Workload;

/** Recomputing more than a run does already. */
const recomputing = (recompute: Recompute): Change => (workload) =>
  RECOMPUTE.indexOf(workload.config.recompute) >= RECOMPUTE.indexOf(recompute)
    ? null
    : { flag: "--recompute", value: recompute, workload: withConfig(workload, { recompute }) };

/** Options of the recipes that save memory; null where one is on already. */
const CHANGES: readonly Change[] = [
  recomputing("cheap"),
  recomputing("block"),
  (workload) =>
    workload.config.activations === "f16"
      ? null
      : { flag: "--activations", value: "f16", workload: withConfig(workload, { activations: "f16" }) },
  (workload) =>
    workload.config.moments === "8bit"
      ? null
      : { flag: "--moments", value: "8bit", workload: withConfig(workload, { moments: "8bit" }) },
  (workload) => {
    const half = workload.config.microBatch >> 1;
    if (half < 1) return null;
    return { flag: "--micro-batch", value: half, workload: withConfig(workload, { microBatch: half }) };
  },
  (workload) => {
    if (workload.recipe !== "dpo" || !workload.sampling || workload.sampling.B < 2) return null;
    const B = workload.sampling.B >> 1;
    return { flag: "--sample-batch", value: B, workload: { ...workload, sampling: { ...workload.sampling, B } } };
  },
];

/** Throws one line that says what would help if the run needs more than `budgetBytes`. */
export async function requireMemory(
  gpu: Gpu,
  workload: Workload,
  prediction: Prediction,
  budgetBytes: number,
): Promise<void> {
  if (prediction.peakBytes <= budgetBytes) return;
  const all = await savings(gpu, workload);
  const [most] = prediction.parts;
  const lines = all.map(({ option, peakBytes }) =>
    `${option}: ${bytesText(peakBytes)}${peakBytes <= budgetBytes ? "" : ", still too much"}`
  );
  throw new Error(
    `Cannot train: ${bytesText(prediction.peakBytes)} of GPU memory needed, ${bytesText(budgetBytes)} there ` +
      `(${most.name} take ${bytesText(most.bytes)}). With ${lines.join("; with ")}`,
  );
}

/** 1234567 -> "1.23 MB". */
export function bytesText(bytes: number): string {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (bytes >= size) return `${(bytes / size).toPrecision(3)} ${unit}`;
  }
  return `${bytes} B`;
}

/** The prediction as a table. */
export function formatPrediction({ peakBytes, parts, parameters }: Prediction): string {
  const rows = [...parts, { name: "peak", bytes: peakBytes }];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, bytes }) =>
    `  ${name.padEnd(width)} ${bytesText(bytes).padStart(9)} ${(100 * bytes / peakBytes).toFixed(1).padStart(6)} %`
  );
  return [`GPU memory of a run (${parameters} parameters):`, ...lines].join("\n");
}
