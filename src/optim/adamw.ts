/** AdamW with global-norm clipping: one compiled plan over the flat pages, per-step numbers as inputs. */
import { compile, createReader, type Gpu, persistent, Plan, type Tensor, type Weights, write } from "../plan/mod.ts";
import { adamw, gradNorm, type Moments } from "../../kernels/mod.ts";
import { createMoments, momentTensors } from "./moments.ts";

export interface AdamWConfig {
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled; on what the weights' specs say decays. */
  weightDecay: number;
  /** Largest global gradient norm; larger gradients are scaled by max / (norm + 1e-6), as PyTorch does. 0: no clipping. */
  maxGradNorm: number;
  /** Whether to measure the norm where nothing is clipped, for the metrics. Default true. */
  gradNorm?: boolean;
  /** How the moments are kept: 8 bytes a parameter or 2. Default f32. */
  moments?: Moments["kind"];
}

export const ADAMW: AdamWConfig = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, maxGradNorm: 1 };

/** Of a checkpoint; bytes are 8-bit codes. */
export interface OptimizerTensor {
  shape: readonly number[];
  data: Float32Array | Uint8Array;
}

export interface Optimizer {
  /** Applies the accumulated gradients as step `step` (from 1) and zeroes them. */
  update(step: number, learningRate: number): Promise<void>;
  /** [2] norm before clipping (0 where it is not measured), and the clip factor. */
  readonly norm: Tensor;
  /** Both moments of every page, as they lie on the GPU. */
  readonly state: readonly Tensor[];
  /** Bytes of both moments on the GPU. */
  readonly momentBytes: number;
  /** Both moments of every page, for checkpoints. */
  save(): Promise<Map<string, OptimizerTensor>>;
  load(tensors: ReadonlyMap<string, OptimizerTensor>): void;
  destroy(): void;
}

/** Stands for no limit: finite, since WGSL need not know infinity, and so large that every clip factor is 1. */
const NO_LIMIT = 1e30;

export async function createOptimizer(gpu: Gpu, weights: Weights, config: AdamWConfig): Promise<Optimizer> {
  const { gradNorm: measured = true, moments: kind = "f32" } = config;
  const limit = config.maxGradNorm > 0 && config.maxGradNorm < NO_LIMIT ? config.maxGradNorm : NO_LIMIT;
  const hyper = persistent(gpu, "adamw.hyper", [8]);
  const norm = persistent(gpu, "adamw.norm", [2]);
  write(gpu, norm, Float32Array.of(0, 1));
  const moments = createMoments(gpu, weights.pages, kind);
  const plan = new Plan("update", gpu);
  if (measured || limit < NO_LIMIT) gradNorm(plan, weights.pages, hyper, norm);
  adamw(plan, weights.pages, moments, hyper, norm);
  const executable = await compile(gpu, plan);
  const state = moments.flatMap(momentTensors);
  return {
    norm,
    state: state.map(([, tensor]) => tensor),
    momentBytes: state.reduce((sum, [, tensor]) => sum + tensor.storage.bytes, 0),
    async update(step, learningRate) {
      const { beta1, beta2, eps, weightDecay } = config;
      const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
      write(gpu, hyper, Float32Array.of(learningRate, beta1, beta2, eps, weightDecay, ...corrections, limit));
      await executable.run();
    },
    async save() {
      const reader = createReader(gpu, state.map(([, tensor]) => tensor));
      const data = await reader.read();
      reader.destroy();
      const saved = new Map<string, OptimizerTensor>();
      state.forEach(([name, { shape }], i) => {
        const words = data[i];
        // Codes are bytes, four to a word: the shape in the file counts bytes.
        if (words instanceof Float32Array) saved.set(name, { shape, data: words });
        else saved.set(name, { shape: [...shape, 4], data: new Uint8Array(words.buffer, 0, words.byteLength) });
      });
      return saved;
    },
    load(tensors) {
      for (const [name, tensor] of state) {
        const data = tensors.get(name)?.data;
        const given = data?.byteLength ?? 0;
        if (!data || given !== tensor.storage.bytes) {
          throw new Error(
            `Cannot resume: optimizer state "${name}" has ${given} bytes, the model asks for ${tensor.storage.bytes} ` +
              `(moments in ${kind})`,
          );
        }
        // Bytes of a file start anywhere; words want a border of four.
        write(gpu, tensor, data instanceof Uint8Array ? new Uint32Array(data.slice().buffer) : data);
      }
    },
    destroy() {
      executable.destroy();
      for (const tensor of [hyper, norm, ...state.map(([, each]) => each)]) tensor.storage.buffer!.destroy();
    },
  };
}
