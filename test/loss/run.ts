// Runs a loss on a handful of numbers: its value, its metrics and its gradient, with shaders as they are or changed.
import {
  compile,
  createReader,
  createWeights,
  type Gpu,
  type Kernel,
  persistent,
  Plan,
  type Recorder,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";

/** Changes the shader of one kernel as it is recorded. */
export type Change = (kernel: Kernel) => Kernel;

class ChangedPlan extends Plan {
  constructor(name: string, recorder: Recorder, private readonly change: Change) {
    super(name, recorder);
  }
  override dispatch(...[kernel, tensors, options]: Parameters<Plan["dispatch"]>): void {
    super.dispatch(this.change(kernel), tensors, options);
  }
}

/** The inputs of a run by name; numbers go in as f32 unless they are a Uint32Array. */
export type Given = (name: string, shape: number[], data: ArrayLike<number>) => Tensor;

/**
 * Records a loss on `trained`, a weight of the given shape and numbers, and runs it forward and backward once. `gradient` is
 * that of all of `trained`.
 */
export async function runLoss(
  gpu: Gpu,
  trained: { shape: number[]; data: ArrayLike<number> },
  record: (plan: Plan, trained: Tensor, given: Given) => { loss: Tensor; metrics?: Tensor },
  change: Change = (kernel) => kernel,
): Promise<{ loss: number; metrics: number[]; gradient: number[] }> {
  const weights = createWeights(gpu, [{ name: "trained", shape: trained.shape, decay: false }], true);
  const tensor = weights.tensors.get("trained")!;
  write(gpu, tensor, Float32Array.from(trained.data));
  const given: Given = (name, shape, data) => {
    const input = persistent(gpu, name, shape, data instanceof Uint32Array ? "u32" : "f32");
    write(gpu, input, data instanceof Uint32Array ? data : Float32Array.from(data));
    return input;
  };
  const plan = new ChangedPlan("loss", gpu, change);
  const { loss, metrics } = record(plan, tensor, given);
  const kept = metrics ? [loss, metrics] : [loss];
  for (const each of kept) plan.keep(each);
  plan.backward(loss, given("one", [1], [1]));
  const executable = await compile(gpu, plan);
  await executable.run();
  const [[value], means = []] = await executable.reader(kept).read();
  const reader = createReader(gpu, [weights.pages[0].gradients!]);
  const [gradient] = await reader.read();
  reader.destroy();
  executable.destroy();
  return { loss: value, metrics: [...means], gradient: [...gradient.subarray(0, trained.data.length)] };
}

/** The largest |got - want| in units of 1e-5 + 1e-4 |want|: above 1 is wrong. Infinite where a number is none. */
export function largestError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) throw new Error(`Cannot compare ${got.length} numbers with ${want.length}`);
  return Array.from(want, (w, i) => {
    const error = Math.abs(got[i] - w) / (1e-5 + 1e-4 * Math.abs(w));
    return Number.isFinite(error) ? error : Infinity;
  }).reduce((most, error) => Math.max(most, error), 0);
}
