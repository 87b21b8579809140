/** What the tuner found on this machine, kept in a small file per adapter, and the shapes of a model's recipes to tune for. */
import type { Host } from "../host/host.ts";
import { type Gpu, tunable, tune, type Tuned } from "../plan/mod.ts";
import { createGenerator } from "../model/generate.ts";
import type { Llama } from "../model/llama.ts";
import { ADAMW } from "../optim/adamw.ts";
import type { Sequence } from "./batches.ts";
import { createDpoStep } from "./dpo_step.ts";
import { whole } from "./policy.ts";
import { createSftStep } from "./sft_step.ts";

/** Raised when kernels or their timing change so that old winners mean nothing. */
const VERSION = 2;

interface TunedFile {
  version: number;
  adapter: string;
  /** `"<op> <shape class>"` -> the winner and what each variant took. */
  entries: Record<string, { winner: string; microseconds: Record<string, number> }>;
}

/** A name for the adapter that any file system takes. */
export function tunedName(gpu: Gpu): string {
  return `tuned-${gpu.adapterName.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}.json`;
}

/**
 * Lets later recordings use what was found on this adapter. Returns the number of shape classes; 0 without a file. A damaged
 * file or one of another adapter is an error: silence would hide that a run is slower than it was.
 */
export async function loadTuned(host: Host, gpu: Gpu, path: string): Promise<number> {
  const file = await readTuned(host, gpu, path);
  const entries = Object.entries(file.entries);
  gpu.choices.learn(Object.fromEntries(entries.map(([key, { winner }]) => [key, winner])));
  return entries.length;
}

/** Tunes what the adapter has been asked for so far and adds it to the file, class by class: a stop loses nothing. */
export async function* tuneUsed(host: Host, gpu: Gpu, path: string, rounds: number): AsyncGenerator<Tuned> {
  const file = await readTuned(host, gpu, path);
  for await (const tuned of tune(gpu, tunable(gpu), rounds)) {
    file.entries[`${tuned.op} ${tuned.shapeClass}`] = {
      winner: tuned.winner,
      microseconds: Object.fromEntries(tuned.timings.map((each) => [each.variant, Math.round(each.microseconds)])),
    };
    await host.write(path, JSON.stringify(file, null, 2) + "\n");
    yield tuned;
  }
}

async function readTuned(host: Host, gpu: Gpu, path: string): Promise<TunedFile> {
  const fresh = { version: VERSION, adapter: gpu.adapterName, entries: {} };
  if (!await host.exists(path)) return fresh;
  let file: TunedFile;
  try {
    file = JSON.parse(await host.readText(path));
  } catch (error) {
    throw new Error(`Cannot read ${path}: not JSON (${(error as Error).message}); remove it to tune again`);
  }
  if (file?.version !== VERSION) return fresh; // kernels of another time
  if (file.adapter !== gpu.adapterName) {
    throw new Error(`Cannot use ${path}: field adapter is "${file.adapter}", this adapter is "${gpu.adapterName}"`);
  }
  const broken = Object.entries(file.entries ?? { entries: undefined }).find(([, entry]) =>
    typeof entry?.winner !== "string"
  );
  if (broken) throw new Error(`Cannot use ${path}: "${broken[0]}" has no winner; remove the file to tune again`);
  return file;
}

export interface TuneShapes {
  /** Sequences of a micro-batch and their tokens, prompt included. */
  batch: number;
  tokens: number;
  /** Sequences that are sampled at a time. */
  samples: number;
}

/** Compiles the plans of SFT, DPO and sampling at these shapes, so that the adapter knows what there is to tune. */
export async function useRecipes(model: Llama, { batch, tokens, samples }: TuneShapes): Promise<void> {
  const { maxPositions, V } = model.config;
  const T = Math.min(tokens, maxPositions);
  const row = (): Sequence => ({ tokens: Array.from({ length: T }, (_, i) => i % V), promptLength: 1 });
  const rows = Array.from({ length: batch }, row);
  const common = { padId: 0, adamw: ADAMW, recompute: "none" as const };
  const sft = await createSftStep(whole(model), { microBatch: batch, ...common });
  await sft.accumulate(rows);
  sft.destroy();
  const pairs = Math.max(1, batch >> 1);
  const dpo = await createDpoStep(whole(model), {
    microBatch: pairs,
    beta: 0.1,
    labelSmoothing: 0,
    alpha: 1,
    ...common,
  });
  await dpo.accumulate(
    rows.slice(0, pairs).map((chosen) => ({ chosen, rejected: row(), referenceChosen: 0, referenceRejected: 0 })),
  );
  dpo.destroy();
  const generator = await createGenerator(model, samples, T);
  generator.destroy();
}
