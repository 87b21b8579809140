/** `bench step`: SFT and DPO micro-steps and the update by wall clock, what recomputation costs and what sharing saves. */
import { compile, type Gpu, type Plan, planMemory } from "../src/plan/mod.ts";
import type { Ceiling } from "./ceiling.ts";
import { leastBytes } from "./kernels.ts";
import type { Row, Suite } from "./report.ts";
import { RECOMPUTE, type Saving } from "../src/model/saving.ts";
import { gigaPerSecond } from "./units.ts";
import { destroyModel, randomModel, recordMicroStep, recordUpdate, type Shape, timeInTurns } from "./workload.ts";

export const flopsOf = (plan: Plan) => plan.dispatches.reduce((sum, dispatch) => sum + dispatch.flops, 0);

/** Bytes of a plan's values with and without shared buffers. */
export function valueBytes(plan: Plan): { shared: number; unshared: number } {
  const { sizes, unsharedBytes } = planMemory(plan, true);
  return { shared: sizes.reduce((sum, bytes) => sum + bytes, 0), unshared: unsharedBytes };
}

/** `flops` and `milliseconds` of one micro-step of `tokens` tokens. */
export function stepValues(tokens: number, flops: number, milliseconds: number, ceiling: Ceiling): Row["values"] {
  const gflops = gigaPerSecond(flops, milliseconds * 1000);
  return {
    ms: milliseconds,
    "tokens/s": tokens / milliseconds * 1000,
    "GFLOP/s": gflops,
    "% of ceiling": 100 * gflops / ceiling.gflops,
  };
}

/** The plain step, and everything that saves memory of activations. */
const SAVINGS: readonly Saving[] = [
  ...RECOMPUTE.map((recompute): Saving => ({ recompute })),
  { recompute: "cheap", activations: "f16" },
  { recompute: "block", activations: "f16" },
];
const savingWords = ({ recompute, activations }: Saving) => [
  ...recompute === "none" ? [] : [`recompute ${recompute}`],
  ...activations ? [activations] : [],
];

export async function benchStep(gpu: Gpu, shape: Shape, ceiling: Ceiling, rounds: number): Promise<Suite> {
  const { B, T } = shape;
  const model = randomModel(gpu, shape.config);
  const rows: Row[] = [];
  for (const recipe of ["sft", "dpo"] as const) {
    const variants = await Promise.all(SAVINGS.map(async (saving) => {
      const { plan, loss, destroy } = recordMicroStep(model, recipe, B, T, saving);
      return { plan, watch: loss, executable: await compile(gpu, plan), destroy };
    }));
    const times = await timeInTurns(variants, rounds);
    // The FLOPs of the plain step in both rows: work done twice is no speed.
    const flops = flopsOf(variants[0].plan);
    variants.forEach(({ plan, executable, destroy }, i) => {
      const { shared, unshared } = valueBytes(plan);
      rows.push({
        name: [recipe, ...savingWords(SAVINGS[i])].join(", "),
        values: {
          ...stepValues(B * T, flops, times[i], ceiling),
          "x plain": times[i] / times[0],
          "values MB": shared / 1e6,
          "unshared MB": unshared / 1e6,
        },
      });
      executable.destroy();
      destroy();
    });
  }
  const { plan, norm, destroy } = recordUpdate(model);
  const executable = await compile(gpu, plan);
  const [ms] = await timeInTurns([{ executable, watch: norm }], rounds);
  const bytes = plan.dispatches.reduce((sum, dispatch) => sum + leastBytes(dispatch), 0);
  rows.push({ name: "update", values: { ms, "GB/s": gigaPerSecond(bytes, ms * 1000) } });
  executable.destroy();
  destroy();
  destroyModel(model);
  return {
    name: `step ${shape.name}`,
    workload: `forward and backward of ${B} sequences (DPO: ${B / 2} pairs) of ${T} tokens; wall clock with a readback`,
    rows,
  };
}
