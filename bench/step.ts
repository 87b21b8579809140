/** `bench step`: SFT, DPO and PPO micro-steps and the update by wall clock, what recomputation costs and what sharing saves. */
import {
  compile,
  type Executable,
  flush,
  type Gpu,
  openDryGpu,
  type Plan,
  planMemory,
  type Tensor,
} from "../src/plan/mod.ts";
import { RECOMPUTE, type Saving } from "../src/model/saving.ts";
import { ADAMW, createOptimizer } from "../src/optim/adamw.ts";
import type { Ceiling } from "./ceiling.ts";
import { movedBytes } from "./kernels.ts";
import type { Row, Suite } from "./report.ts";
import type { StepShape } from "./shapes.ts";
import { gigaPerSecond } from "./units.ts";
import {
  createModel,
  destroyModel,
  randomModel,
  type Recipe,
  recordMicroStep,
  recordUpdate,
  timeInTurns,
} from "./workload.ts";

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

/** Submits until `work` is done. */
export async function countSubmits({ device: { queue } }: Gpu, work: () => Promise<unknown>): Promise<number> {
  const own = queue as unknown as Record<string, unknown>;
  const submit = queue.submit.bind(queue);
  let submits = 0;
  own.submit = (buffers: Iterable<GPUCommandBuffer>) => (submits++, submit(buffers));
  try {
    await work();
  } finally {
    delete own.submit;
  }
  return submits;
}

/** The most bytes in buffers while a step is set up and runs: weights, gradients, moments, inputs, values. */
async function peakBytes(gpu: Gpu, { config, B, T }: StepShape, recipe: Recipe, saving: Saving): Promise<number> {
  const dry = openDryGpu(gpu);
  const model = createModel(dry, config);
  const { plan } = recordMicroStep(model, recipe, B, T, saving);
  await createOptimizer(dry, model.weights, ADAMW);
  await compile(dry, plan);
  return dry.peak.bytes;
}

/** Several plans as one: they go to the GPU in one submit, which ends with the readback. */
function inTurn(gpu: Gpu, executables: readonly Executable[]): Pick<Executable, "run" | "reader"> {
  return {
    async run(times = 1) {
      for (let i = 0; i < times; i++) for (const executable of executables) await executable.enqueue();
      flush(gpu);
    },
    reader: (tensors) => executables[0].reader(tensors),
  };
}

export async function benchStep(gpu: Gpu, shape: StepShape, ceiling: Ceiling, rounds: number): Promise<Suite> {
  const { B, T } = shape;
  const model = randomModel(gpu, shape.config);
  const rows: Row[] = [];
  const submitsOf = async (executables: readonly Executable[], watch: Tensor) => {
    const reader = executables[0].reader([watch]);
    const count = await countSubmits(gpu, async () => {
      for (const executable of executables) await executable.enqueue();
      await reader.read();
    });
    reader.destroy();
    return count;
  };
  for (const recipe of ["sft", "dpo", "ppo"] as const) {
    const savings = shape.savings && recipe !== "ppo" ? SAVINGS : SAVINGS.slice(0, 1);
    const variants = await Promise.all(savings.map(async (saving) => {
      const { plan, loss, destroy } = recordMicroStep(model, recipe, B, T, saving);
      return { plan, watch: loss, executable: await compile(gpu, plan), destroy };
    }));
    const times = await timeInTurns(variants, rounds);
    // The FLOPs of the plain step in all rows: work done twice is no speed.
    const flops = flopsOf(variants[0].plan);
    for (const [i, { plan, watch, executable, destroy }] of variants.entries()) {
      const { shared, unshared } = valueBytes(plan);
      rows.push({
        name: [recipe, ...savingWords(savings[i])].join(", "),
        values: {
          ...stepValues(B * T, flops, times[i], ceiling),
          ...(savings.length > 1 && { "x plain": times[i] / times[0] }),
          dispatches: plan.dispatches.length,
          submits: await submitsOf([executable], watch),
          "peak MB": await peakBytes(gpu, shape, recipe, savings[i]) / 1e6,
          "values MB": shared / 1e6,
          "unshared MB": unshared / 1e6,
        },
      });
      executable.destroy();
      destroy();
    }
  }
  const step = recordMicroStep(model, "sft", B, T), update = recordUpdate(model);
  const executables = [await compile(gpu, step.plan), await compile(gpu, update.plan)];
  const [updateMs, stepMs] = await timeInTurns([
    { executable: executables[1], watch: update.norm },
    { executable: inTurn(gpu, executables), watch: step.loss },
  ], rounds);
  const bytes = update.plan.dispatches.reduce((sum, dispatch) => sum + movedBytes(dispatch), 0);
  const gigabytes = gigaPerSecond(bytes, updateMs * 1000);
  rows.push({
    name: "update",
    values: {
      ms: updateMs,
      dispatches: update.plan.dispatches.length,
      "GB/s": gigabytes,
      "% of copy": 100 * gigabytes / ceiling.gigabytes,
    },
  }, {
    name: "sft and update",
    values: {
      ...stepValues(B * T, flopsOf(step.plan) + flopsOf(update.plan), stepMs, ceiling),
      dispatches: step.plan.dispatches.length + update.plan.dispatches.length,
      submits: await submitsOf(executables, step.loss),
    },
  });
  for (const each of [...executables, step, update]) each.destroy();
  destroyModel(model);
  return {
    name: `step ${shape.name}`,
    workload:
      `forward and backward of ${B} sequences (DPO: ${B / 2} pairs, PPO: ${B} rollouts) of ${T} tokens; wall clock ` +
      `with a readback; peak: weights, gradients, moments, inputs and values`,
    rows,
  };
}
