/** Runs a ladder: every version on the same inputs, checked against the last one, then timed round by round in turn. */
import { compile, type Executable, type Gpu, persistent, Plan, type Tensor, write } from "../../src/plan/mod.ts";
import { uniformStream } from "../../src/model/philox.ts";
import { median } from "../units.ts";
import type { Ladder } from "./op.ts";

export interface Rung {
  name: string;
  /** Largest difference from the last version, as a share of its largest output. */
  difference: number;
  /** Median GPU time; NaN with no rounds. */
  microseconds: number;
  valueBytes: number;
}

/** f32 sums in another order differ by about 1e-6 of the largest output at these lengths. */
const TOLERANCE = 1e-4;

/** Throws if a version disagrees. The versions take turns, so a machine that slows down slows all of them. */
export async function climb(gpu: Gpu, ladder: Ladder, rounds: number): Promise<Rung[]> {
  const uniform = uniformStream(7, 0);
  const inputs = ladder.inputs.map((shape, i) => {
    const tensor = persistent(gpu, `input${i}`, shape);
    const length = shape.reduce((product, size) => product * size, 1);
    write(gpu, tensor, Float32Array.from({ length }, () => 2 * uniform() - 1));
    return tensor;
  });
  const built: { name: string; executable: Executable; output: Float32Array }[] = [];
  for (const { name, fits, record } of ladder.versions) {
    const plan = new Plan(name, gpu);
    if (fits?.(plan) === false) continue;
    const out: Tensor = plan.keep(record(plan, inputs));
    const executable = await compile(gpu, plan);
    await executable.run();
    const reader = executable.reader([out]);
    const [output] = await reader.read();
    reader.destroy();
    built.push({ name, executable, output: output as Float32Array });
  }
  const last = built[built.length - 1].output;
  const samples: number[][] = built.map(() => []);
  try {
    const differences = built.map(({ name, output }) => {
      const difference = relativeDifference(output, last);
      if (!(difference <= TOLERANCE)) {
        throw new Error(
          `Version "${name}" is wrong: it differs from the last one by ${difference.toExponential(1)} of the largest ` +
            `output, at most ${TOLERANCE} is rounding`,
        );
      }
      return difference;
    });
    for (let round = 0; round < rounds; round++) {
      for (const [i, { executable }] of built.entries()) {
        const rows = await executable.profile(1);
        samples[i].push(rows.reduce((sum, row) => sum + row.microseconds, 0));
      }
    }
    return built.map(({ name, executable }, i) => ({
      name,
      difference: differences[i],
      microseconds: median(samples[i]),
      valueBytes: executable.valueBytes,
    }));
  } finally {
    for (const { executable } of built) executable.destroy();
    for (const tensor of inputs) tensor.storage.buffer!.destroy();
  }
}

/** Largest |a - b| over largest |b|; NaN if either holds one, or if all of b is 0. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  let gap = a.length === b.length ? 0 : NaN, largest = 0;
  for (let i = 0; i < b.length; i++) {
    gap = Math.max(gap, Math.abs(a[i] - b[i]));
    largest = Math.max(largest, Math.abs(b[i]));
  }
  return gap / largest;
}
