/** What all models do with their weights: upload and download by name, initial values from a seed. */
import { createReader, elements, type Gpu, type Tensor, type Weights, write } from "../plan/mod.ts";
import type { Adapter } from "../../kernels/mod.ts";
import { uniformStream } from "./philox.ts";

export interface Model {
  readonly gpu: Gpu;
  readonly config: { readonly L: number };
  readonly weights: Weights;
  /** LoRA adapters by the name of the weight they belong to, see lora.ts. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
}

/** Uploads weights by name. Errors name the file, the tensor and the two shapes that disagree. */
export function setWeights(
  model: Model,
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  name: string,
): void {
  for (const [key, target] of model.weights.tensors) {
    const source = tensors.get(key);
    if (!source) {
      throw new Error(`Cannot load ${name}: tensor "${key}" is missing, the file has ${tensors.size} tensors`);
    }
    if (source.shape.join() !== target.shape.join()) {
      throw new Error(
        `Cannot load ${name}: tensor "${key}" is [${source.shape.join(",")}], config.json asks for ` +
          `[${target.shape.join(",")}]`,
      );
    }
    write(model.gpu, target, source.data);
  }
}

/**
 * Initial weights from a seed: normal with deviation 0.02, projections into the residual stream divided by sqrt(2L)
 * (Radford et al. 2019), gains 1, biases 0.
 */
export function initialize(model: Model, seed: number): void {
  const { L } = model.config;
  let stream = 0;
  for (const [name, tensor] of model.weights.tensors) {
    const uniform = uniformStream(seed, stream++);
    const deviation = /(o_proj|down_proj|c_proj)\.weight$/.test(name) ? 0.02 / Math.sqrt(2 * L) : 0.02;
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) * deviation;
    const value = name.endsWith(".bias") ? () => 0 : tensor.shape.length === 1 ? () => 1 : normal;
    write(model.gpu, tensor, Float32Array.from({ length: elements(tensor.shape) }, value));
  }
}

/** All weights back on the host, by name. */
export async function getWeights(model: Model): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const entries = [...model.weights.tensors];
  const reader = createReader(model.gpu, entries.map(([, tensor]) => tensor));
  const data = await reader.read();
  reader.destroy();
  return new Map(
    entries.map(([name, tensor], i) => [name, { shape: [...tensor.shape], data: data[i] as Float32Array }]),
  );
}

/** A weight by the name that files or plans know it by. */
export function weight(model: Model, name: string): Tensor {
  const found = model.weights.packed.get(name) ?? model.weights.tensors.get(name);
  if (!found) throw new Error(`Cannot record the model: it has no weight "${name}"`);
  return found;
}
