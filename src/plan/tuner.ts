/**
 * Times every variant of an op on this adapter, checks them against each other, and names the fastest. Works on what plans
 * recorded (`gpu.used`), so it knows no op by name and tunes exactly the shapes that a run will use.
 */
import type { Gpu } from "./device.ts";
import { compile } from "./executable.ts";
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
  const { op, sizes, shapeClass } = pick;
  const tensors = standIns(gpu, pick);
  const written = op.writes.map((index) => tensors[index]);
  const results: { variant: string; samples: number[]; output: Float32Array[] }[] = [];
  const runs = [];
  for (const variant of op.variants.filter((variant) => variant.fits(sizes, gpu.traits))) {
    const plan = new Plan(`tune.${op.name}.${variant.name}`, gpu);
    (variant as Variant<unknown>).record(plan, tensors, sizes);
    const executable = await compile(gpu, plan);
    for (const tensor of written) write(gpu, tensor, zeros(tensor)); // a variant may add to what is there
    await executable.run();
    const reader = executable.reader(written);
    const output = (await reader.read()).map((data) => Float32Array.from(data));
    reader.destroy();
    const result = { variant: variant.name, samples: [] as number[], output };
    results.push(result);
    runs.push({ executable, result });
  }
  const difference = largestDifference(results, op, tensors);
  for (let round = 0; round < rounds; round++) {
    for (const { executable, result } of runs) {
      for (const tensor of written) write(gpu, tensor, zeros(tensor)); // or sums grow beyond all bounds
      result.samples.push((await executable.profile(1)).reduce((sum, row) => sum + row.microseconds, 0));
    }
  }
  for (const { executable } of runs) executable.destroy();
  for (const { buffer } of new Set(tensors.map((tensor) => tensor.storage))) buffer!.destroy();
  const timings = results.map(({ variant, samples }) => ({
    variant,
    microseconds: samples.sort((a, b) => a - b)[samples.length >> 1],
  })).sort((a, b) => a.microseconds - b.microseconds);
  const { variant: before } = pick;
  return { op: op.name, shapeClass, timings, winner: timings[0].variant, before, difference };
}

/** Tensors of the same shapes with memory of their own; two that were one stay one. */
function standIns(gpu: Gpu, { op, tensors, sizes }: Pick): Tensor[] {
  const known = new Map<string, Tensor>();
  return tensors.map((tensor, index) => {
    const key = `${tensor.storage.id}+${tensor.offset}`;
    let made = known.get(key);
    if (!made) {
      made = persistent(gpu, `tune.${tensor.name}`, tensor.shape, tensor.dtype);
      if (tensor.dtype === "f32" || tensor.dtype === "f16") write(gpu, made, noise(elements(tensor.shape), index));
      else write(gpu, made, op.fill?.(index, tensor, sizes) ?? new Uint32Array(elements(tensor.shape)));
      known.set(key, made);
    }
    return { ...made, shape: tensor.shape };
  });
}

const zeros = (tensor: Tensor) =>
  tensor.dtype === "u32" ? new Uint32Array(elements(tensor.shape)) : new Float32Array(elements(tensor.shape));

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
  results: readonly { variant: string; output: Float32Array[] }[],
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
