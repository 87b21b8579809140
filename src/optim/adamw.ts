/** AdamW with global-norm clipping: one compiled plan over the flat pages, per-step numbers as inputs. */
import { compile, createReader, type Gpu, persistent, Plan, type Tensor, type Weights, write } from "../plan/mod.ts";
import { adamw, gradNorm } from "../../kernels/mod.ts";

export interface AdamWConfig {
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled; on matrices only. */
  weightDecay: number;
  /** Largest global gradient norm; larger gradients are scaled by max / (norm + 1e-6), as PyTorch does. */
  maxGradNorm: number;
}

export const ADAMW: AdamWConfig = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, maxGradNorm: 1 };

export interface Optimizer {
  /** Applies the accumulated gradients as step `step` (from 1) and zeroes them. */
  update(step: number, learningRate: number): Promise<void>;
  /** [2] norm before clipping, and the clip factor. */
  readonly norm: Tensor;
  /** Both moments of every page, for checkpoints. */
  save(): Promise<Map<string, { shape: number[]; data: Float32Array }>>;
  load(tensors: ReadonlyMap<string, { data: Float32Array }>): void;
  destroy(): void;
}

export async function createOptimizer(gpu: Gpu, weights: Weights, config: AdamWConfig): Promise<Optimizer> {
  const hyper = persistent(gpu, "adamw.hyper", [8]);
  const norm = persistent(gpu, "adamw.norm", [2]);
  const plan = new Plan("update", gpu);
  gradNorm(plan, weights.pages, hyper, norm);
  adamw(plan, weights.pages, hyper, norm);
  const executable = await compile(gpu, plan);
  const moments = weights.pages.flatMap((page, i) => [
    [`first.${i}`, page.firstMoments!] as const,
    [`second.${i}`, page.secondMoments!] as const,
  ]);
  return {
    norm,
    async update(step, learningRate) {
      const { beta1, beta2, eps, weightDecay, maxGradNorm } = config;
      const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
      write(gpu, hyper, Float32Array.of(learningRate, beta1, beta2, eps, weightDecay, ...corrections, maxGradNorm));
      await executable.run();
    },
    async save() {
      const reader = createReader(gpu, moments.map(([, tensor]) => tensor));
      const data = await reader.read();
      reader.destroy();
      return new Map(
        moments.map(([name, tensor], i) => [name, { shape: [...tensor.shape], data: data[i] as Float32Array }]),
      );
    },
    load(tensors) {
      for (const [name, tensor] of moments) {
        const saved = tensors.get(name);
        if (!saved || saved.data.length !== tensor.shape[0]) {
          throw new Error(
            `Cannot resume: optimizer state "${name}" has ${saved?.data.length ?? 0} elements, the model ${
              tensor.shape[0]
            }`,
          );
        }
        write(gpu, tensor, saved.data);
      }
    },
    destroy() {
      executable.destroy();
      for (const tensor of [hyper, norm]) tensor.storage.buffer!.destroy();
    },
  };
}
