/**
 * Times every variant of an op on this adapter, checks them against each other, and names the fastest. Works on what plans
 * recorded (`gpu.used`), so it knows no op by name and tunes exactly the shapes that a run will use.
 */
import type { Gpu } from "./device.ts";
import { compile, type Executable } from "./executable.ts";
import { timeReplays } from "./profile.ts";
import { Plan } from "./plan.ts";
import { persistent, write } from "./store.ts";
import { elements, showTensor, type Tensor } from "./tensor.ts";
import { fitting, type Op, type Pick, type Variant } from "./variants.ts";

export interface Tuned {
  readonly op: string;
  readonly shapeClass: string;
  /** Fastest first. */
  readonly timings: readonly { variant: string; microseconds: number }[];
  readonly winner: string;
  /** What would have run untuned. */
  readonly before: string;
  /** Largest difference between two variants as a share of the largest magnitude. */
  readonly difference: number;
}

/** What compiled plans used and there is a choice for, one pick for each op and shape class. */
export function tunable(gpu: Gpu): Pick[] {
  return [...gpu.used.values()].filter((pick) => fitting(pick.op, pick.sizes, gpu.traits).length > 1);
}

/**
 * Medians of `rounds` runs of each variant, in turns so that a slow moment of the machine hits them alike. Throws if two variants
 * disagree beyond the op's tolerance: a fast wrong kernel must not win.
 */
export async function* tune(gpu: Gpu, picks: readonly Pick[], rounds = 5): AsyncGenerator<Tuned> {
  for (const pick of picks) yield await tuneOne(gpu, pick, rounds);
}

async function tuneOne(gpu: Gpu, pick: Pick, rounds: number): Promise<Tuned> {
  const { op, shapeClass, variant: before } = pick;
  const tensors = standIns(gpu, pick);
  const runs: Run[] = [];
  try {
    for (const variant of op.variants.filter((variant) => variant.fits(pick.sizes, gpu.traits))) {
      runs.push(await firstRun(gpu, pick, variant, tensors));
    }
    const difference = largestDifference(runs, op, tensors);
    for (let round = 0; round < rounds; round++) {
      for (const { executable, samples, times } of runs) samples.push(await timeReplays(gpu, executable, times));
    }
    const timings = runs.map(({ variant, samples }) => ({
      variant,
      microseconds: samples.sort((a, b) => a - b)[samples.length >> 1],
    })).sort((a, b) => a.microseconds - b.microseconds);
    return { op: op.name, shapeClass, timings, winner: timings[0].variant, before, difference };
  } finally {
    for (const { executable } of runs) executable.destroy();
    for (const { buffer } of new Set(tensors.map((tensor) => tensor.storage))) buffer!.destroy();
  }
}

interface Run {
  readonly variant: string;
  readonly executable: Executable;
  /** What it wrote, from the contents that every variant starts with. */
  readonly output: readonly Float32Array[];
  /** Replays of one sample: long enough for a clock that is rounded, and for the rest of the machine to average out. */
  readonly times: number;
  readonly samples: number[];
}

async function firstRun(gpu: Gpu, pick: Pick, variant: Variant<unknown>, tensors: readonly Tensor[]): Promise<Run> {
  const plan = new Plan(`tune.${pick.op.name}.${variant.name}`, gpu);
  variant.record(plan, tensors, pick.sizes);
  const executable = await compile(gpu, plan);
  // The same before every variant: some add to what is there, some work in place.
  for (const index of pick.op.writes) write(gpu, tensors[index], contents(pick, index));
  await executable.run();
  const reader = executable.reader(pick.op.writes.map((index) => tensors[index]));
  const output = (await reader.read()).map((data) => Float32Array.from(data));
  reader.destroy();
  const times = Math.min(100, Math.max(1, Math.ceil(2000 / await timeReplays(gpu, executable, 1))));
  return { variant: variant.name, executable, output, times, samples: [] };
}

/** Tensors of the same shapes with memory of their own; two that were one stay one. */
function standIns(gpu: Gpu, pick: Pick): Tensor[] {
  const known = new Map<string, Tensor>();
  return pick.tensors.map((tensor, index) => {
    const key = `${tensor.storage.id}+${tensor.offset}`;
    let made = known.get(key);
    if (!made) {
      made = persistent(gpu, `tune.${tensor.name}`, tensor.shape, tensor.dtype);
      write(gpu, made, contents(pick, index));
      known.set(key, made);
    }
    return { ...made, shape: tensor.shape };
  });
}

function contents({ op, tensors, sizes }: Pick, index: number): Float32Array | Uint32Array {
  const tensor = tensors[index];
  const count = elements(tensor.shape);
  if (tensor.dtype === "f32" || tensor.dtype === "f16") return noise(count, index);
  return op.fill?.(index, tensor, sizes) ?? new Uint32Array(count);
}

/** Seeded numbers in [-1, 1), the same every time. */
function noise(count: number, seed: number): Float32Array {
  let state = (seed + 1) * 0x9e3779b9;
  return Float32Array.from({ length: count }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5 | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/** Of every variant against the first, which is the plainest one. */
function largestDifference(
  results: readonly Run[],
  op: Op,
  tensors: readonly Tensor[],
): number {
  const [first, ...others] = results;
  let worst = 0;
  first.output.forEach((want, k) => {
    const magnitude = want.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
    for (const { variant, output } of others) {
      const at = output[k].findIndex((value, i) => !(Math.abs(value - want[i]) <= (op.tolerance ?? 1e-4) * magnitude));
      if (at >= 0) {
        throw new Error(
          `Cannot tune ${op.name} for ${showTensor(tensors[op.writes[k]])}: element ${at} is ${want[at]} in variant ` +
            `${first.variant} but ${output[k][at]} in ${variant}`,
        );
      }
      worst = output[k].reduce((most, value, i) => Math.max(most, Math.abs(value - want[i]) / magnitude), worst);
    }
  });
  return worst;
}
