/** The ceilings every other figure is a share of, measured in the same run on the same adapter. */
import code from "./ceiling.wgsl" with { type: "text" };
import { compile, type Gpu, persistent, Plan, type Tensor } from "../src/plan/mod.ts";
import { kernel } from "../kernels/kernel.ts";
import type { Suite } from "./report.ts";
import { gigaPerSecond } from "./units.ts";

const spec = { bindings: ["read", "read_write"] as const, dims: ["N", "iterations", "factor:f32", "addend:f32"] };
const multiplyAddKernel = kernel("ceiling.multiply_add", code, { entry: "multiply_add", ...spec });
const copyKernel = kernel("ceiling.copy", code, { entry: "copy", ...spec });

/** `N` invocations, each 16 * iterations vec4 multiply-adds; out [N,4]. With factor and addend 1, out = x + y + 16 iterations. */
export function recordMultiplyAdd(plan: Plan, source: Tensor, N: number, iterations: number): Tensor {
  const out = plan.keep(plan.value("ceiling.out", [N, 4]));
  plan.dispatch(multiplyAddKernel, [source, out], {
    dims: { N, iterations, factor: 1, addend: 1 },
    workgroups: [Math.ceil(N / 64), 1, 1],
    flops: N * iterations * 128,
  });
  return out;
}

export function recordCopy(plan: Plan, source: Tensor): Tensor {
  const N = source.shape[0];
  const out = plan.keep(plan.value("ceiling.out", source.shape));
  const dims = { N, iterations: 0, factor: 0, addend: 0 };
  plan.dispatch(copyKernel, [source, out], { dims, workgroups: [Math.ceil(N / 64), 1, 1] });
  return out;
}

export interface Ceiling {
  gflops: number;
  /** Of main memory: kernels on tensors that fit a cache can exceed it. Bytes read plus bytes written. */
  gigabytes: number;
}

/** A quarter of a million invocations fill the widest GPU; the rounds grow until one dispatch takes about 50 ms. */
const INVOCATIONS = 1 << 18;
const AIM_MICROSECONDS = 50_000;

export async function measureCeiling(gpu: Gpu, rounds: number): Promise<Ceiling> {
  // At least 64 MiB where the adapter binds that much: caches of large GPUs hold 50 MB.
  const bytes = Math.min(gpu.limits.maxStorageBufferBindingSize, 64 << 20);
  const source = persistent(gpu, "ceiling.source", [Math.min(Math.floor(bytes / 16), 65535 * 64), 4]);
  const time = async (record: (plan: Plan) => void, times: number) => {
    const plan = new Plan("ceiling", gpu);
    record(plan);
    const executable = await compile(gpu, plan);
    await executable.run();
    // The fastest round and not the median: other work on the machine can only lower a ceiling.
    let [best] = await executable.profile(1);
    for (let round = 1; round < times; round++) {
      const [row] = await executable.profile(1);
      if (row.microseconds < best.microseconds) best = row;
    }
    executable.destroy();
    return best;
  };
  const trial = await time((plan) => recordMultiplyAdd(plan, source, INVOCATIONS, 16), 1);
  const iterations = Math.min(1 << 16, Math.max(16, Math.round(16 * AIM_MICROSECONDS / trial.microseconds)));
  const compute = await time((plan) => recordMultiplyAdd(plan, source, INVOCATIONS, iterations), rounds);
  const copy = await time((plan) => recordCopy(plan, source), rounds);
  source.storage.buffer!.destroy();
  return {
    gflops: gigaPerSecond(compute.flops, compute.microseconds),
    gigabytes: gigaPerSecond(2 * source.storage.bytes, copy.microseconds),
  };
}

export function ceilingSuite(ceiling: Ceiling): Suite {
  return {
    name: "ceiling",
    workload: "multiply-adds in registers, and a copy of 64 MiB (bytes read and written)",
    rows: [
      { name: "multiply-add", values: { "GFLOP/s": ceiling.gflops } },
      { name: "copy", values: { "GB/s": ceiling.gigabytes } },
    ],
  };
}
