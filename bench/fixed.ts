/**
 * `bench kernels`, at sizes that never change: every variant that fits of the products, of attention, of norms and of the
 * cross-entropy, and AdamW, as shares of the adapter's ceilings. Variants are timed and checked against each other by the tuner.
 */
import {
  byteLength,
  compile,
  createWeights,
  elements,
  type Gpu,
  openDryGpu,
  persistent,
  type Pick,
  Plan,
  type Tensor,
  tune,
  type Variant,
  write,
} from "../src/plan/mod.ts";
import { attention, layernorm, linear, rmsnorm, tokenLogprob, weightedSum } from "../kernels/mod.ts";
import type { Ceiling } from "./ceiling.ts";
import { kernelRows } from "./kernels.ts";
import type { Row, Suite } from "./report.ts";
import { gigaPerSecond } from "./units.ts";
import { recordUpdate } from "./workload.ts";

/** Tensors that want gradients, so that the backward pass is recorded too. */
function trained(gpu: Gpu, shapes: Record<string, number[]>): Record<string, Tensor> {
  const specs = Object.entries(shapes).map(([name, shape]) => ({ name, shape, decay: true }));
  return Object.fromEntries(createWeights(gpu, specs, true).tensors);
}

/** Records an op and its gradient. */
function bothWays(gpu: Gpu, name: string, record: (plan: Plan) => Tensor): Plan {
  const plan = new Plan(name, gpu);
  const y = record(plan);
  plan.backward(weightedSum(plan, y, persistent(gpu, "mix", [elements(y.shape)]), 1), persistent(gpu, "one", [1]));
  return plan;
}

/** The picks of ops whose name starts with one of `names`: recorded where nothing is allocated, for the tuner to time. */
function picksOf(gpu: Gpu, names: readonly string[], record: (gpu: Gpu, plan: Plan) => Tensor): Pick[] {
  const dry = openDryGpu(gpu);
  const { picks } = bothWays(dry, "fixed", (plan) => record(dry, plan));
  return picks.filter(({ op }) => names.some((name) => op.name.startsWith(name)));
}

export const flopsOfPick = (gpu: Gpu, pick: Pick): number => {
  const plan = new Plan("flops", gpu);
  const variant = pick.op.variants.find(({ name }) => name === pick.variant) as Variant<unknown>;
  variant.record(plan, pick.tensors, pick.sizes);
  return plan.dispatches.reduce((sum, { flops }) => sum + flops, 0);
};

/** Each distinct tensor once, and what is added to twice. */
export function bytesOfPick({ op, tensors, sizes }: Pick): number {
  const add = (sizes as { add?: boolean }).add ?? false;
  const distinct = new Map<string, number>();
  tensors.forEach((tensor, k) => {
    const times = add && op.writes.includes(k) ? 2 : 1;
    distinct.set(`${tensor.storage.id}+${tensor.offset}`, times * byteLength(tensor));
  });
  return [...distinct.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** One row a variant, fastest first; the one that a recording would use is marked. */
async function variantRows(
  gpu: Gpu,
  picks: readonly Pick[],
  title: string,
  rounds: number,
  values: (pick: Pick, microseconds: number) => Row["values"],
): Promise<Row[]> {
  const rows: Row[] = [];
  let k = 0;
  for await (const { op, timings, before } of tune(gpu, picks, rounds)) {
    const pick = picks[k++];
    for (const { variant, microseconds } of timings) {
      const mark = variant === before ? " *" : "";
      rows.push({ name: `${op} ${title}, ${variant}${mark}`, values: values(pick, microseconds) });
    }
  }
  return rows;
}

export async function benchFixed(gpu: Gpu, ceiling: Ceiling, rounds: number): Promise<Suite[]> {
  return [await computeBound(gpu, ceiling, rounds), await memoryBound(gpu, ceiling, rounds)];
}

async function computeBound(gpu: Gpu, ceiling: Ceiling, rounds: number): Promise<Suite> {
  const size = 1024;
  const products = picksOf(gpu, ["matmul"], (dry, plan) => {
    const { x, w } = trained(dry, { x: [size, size], w: [size, size] });
    return linear(plan, x, w);
  });
  const rate = (pick: Pick, microseconds: number) => gigaPerSecond(flopsOfPick(gpu, pick), microseconds);
  const rows = await variantRows(gpu, products, `${size}^3`, rounds, (pick, microseconds) => ({
    ms: microseconds / 1000,
    "GFLOP/s": rate(pick, microseconds),
    "% of ceiling": 100 * rate(pick, microseconds) / ceiling.gflops,
  }));
  const matmul = Math.max(...rows.map(({ values }) => values["GFLOP/s"]));
  const H = 8;
  for (const [B, T, D] of [[4, 256, 32], [gpu.traits.software ? 1 : 4, 1024, 64]]) {
    const picks = picksOf(gpu, ["attention"], (dry, plan) => {
      const { qkv } = trained(dry, { qkv: [B, T, 3 * H * D] });
      return attention(plan, qkv, { B, T, H, G: H, D });
    });
    rows.push(
      ...await variantRows(gpu, picks, `${B}x${T} D ${D}`, rounds, (pick, microseconds) => ({
        ms: microseconds / 1000,
        "GFLOP/s": rate(pick, microseconds),
        "% of ceiling": 100 * rate(pick, microseconds) / ceiling.gflops,
        "% of matmul": 100 * rate(pick, microseconds) / matmul,
      })),
    );
  }
  return {
    name: "kernels bound by FLOPs",
    workload:
      "matmul 1024 x 1024 x 1024; causal attention of B x T tokens, 8 heads, masked pairs not counted; * is what " +
      "a plan would use, matmul's rate is its best",
    rows,
  };
}

async function memoryBound(gpu: Gpu, ceiling: Ceiling, rounds: number): Promise<Suite> {
  // GPUs have caches of 50 MB, so tensors are larger there; on software adapters that would take minutes.
  const [N, C, V] = gpu.traits.software ? [2048, 1024, 2048] : [16_384, 2048, 16_384];
  const values = (pick: Pick, microseconds: number) => {
    const gigabytes = gigaPerSecond(bytesOfPick(pick), microseconds);
    return { ms: microseconds / 1000, "GB/s": gigabytes, "% of copy": 100 * gigabytes / ceiling.gigabytes };
  };
  const rows: Row[] = [];
  for (const [title, bias] of [["RMSNorm", false], ["LayerNorm", true]] as const) {
    const picks = picksOf(gpu, ["norm"], (dry, plan) => {
      const { x, gain, bias: b } = trained(dry, { x: [N, C], gain: [C], bias: [C] });
      return bias ? layernorm(plan, x, gain, b, 1e-5) : rmsnorm(plan, x, gain, 1e-5);
    });
    rows.push(...await variantRows(gpu, picks, `${title} ${N}x${C}`, rounds, values));
  }
  // The head is as narrow as it can be: its product is timed above.
  const tokens = gpu.traits.software ? N : N / 8;
  const crossEntropy = (on: Gpu, plan: Plan) => {
    const { h, w } = trained(on, { h: [tokens, 4], w: [V, 4] });
    return tokenLogprob(plan, h, w, persistent(on, "targets", [tokens], "u32"), V).logprob;
  };
  const picks = picksOf(gpu, ["token_logprob"], crossEntropy);
  rows.push(...await variantRows(gpu, picks, `cross-entropy ${tokens}x${V}`, rounds, values));
  rows.push(...await dispatchRows(gpu, [bothWays(gpu, "logprob", (plan) => crossEntropy(gpu, plan))], ceiling, rounds));
  return {
    name: "kernels bound by bytes",
    workload: "share of the copy's rate, bytes read and written by the op as a whole; * is what a plan would use",
    rows,
  };
}

/** Of kernels without variants: the gradient of the cross-entropy, and AdamW with the gradient norm. */
async function dispatchRows(gpu: Gpu, plans: readonly Plan[], ceiling: Ceiling, rounds: number): Promise<Row[]> {
  const size = gpu.traits.software ? 2 << 20 : 32 << 20;
  const weights = createWeights(gpu, [{ name: "w", shape: [size], decay: true }], true);
  write(gpu, weights.tensors.get("w")!, new Float32Array(size).fill(1));
  const update = recordUpdate({ gpu, weights });
  const rows: Row[] = [];
  for (const plan of [...plans, update.plan]) {
    const executable = await compile(gpu, plan);
    await executable.run();
    const wanted = /^(token_logprob\.backward|adamw|grad_norm\.squares)$/;
    for (const { name, values } of kernelRows(plan, await executable.profile(rounds), ceiling)) {
      if (!wanted.test(name)) continue;
      const { ms, "GB/s": gigabytes } = values;
      const figures = { ms, "GB/s": gigabytes, "% of copy": 100 * gigabytes / ceiling.gigabytes };
      rows.push({ name: plan === update.plan ? `${name} of ${size}` : name, values: figures });
    }
    executable.destroy();
  }
  update.destroy();
  for (const { weights: page, gradients } of weights.pages) {
    for (const { storage } of [page, gradients!]) storage.buffer!.destroy();
  }
  return rows;
}
