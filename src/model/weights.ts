/** What all models do with their weights: upload and download by name, initial values from a seed. */
import { createReader, elements, type Gpu, type Tensor, type Weights, write } from "../plan/mod.ts";
import type { Adapter } from "../../kernels/mod.ts";
import { uniformStream } from "./philox.ts";

/** What a run trains, loads and saves by name: a whole model, its adapters, or either together with a head. */
export interface Trained {
  readonly gpu: Gpu;
  readonly weights: Weights;
}

export interface Model extends Trained {
  readonly config: { readonly L: number };
  /** LoRA adapters by the name of the weight they belong to, see lora.ts. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
}

/** Uploads weights by name. Errors name the file, the tensor and the two shapes that disagree. */
export function setWeights(
  model: Trained,
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
export async function getWeights(model: Trained): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const entries = [...model.weights.tensors];
  const reader = createReader(model.gpu, entries.map(([, tensor]) => tensor));
  const data = await reader.read();
  reader.destroy();
  return new Map(
    entries.map(([name, tensor], i) => [name, { shape: [...tensor.shape], data: data[i] as Float32Array }]),
  );
}

/** Several sets of weights as one: what one optimizer updates and one checkpoint holds. Errors name a tensor in two sets. */
export function joinWeights(...sets: readonly Weights[]): Weights {
  const tensors = new Map<string, Tensor>();
  for (const set of sets) {
    for (const [name, tensor] of set.tensors) {
      if (tensors.has(name)) throw new Error(`Cannot join weights: tensor "${name}" is in two sets`);
      tensors.set(name, tensor);
    }
  }
  return {
    tensors,
    packed: new Map(sets.flatMap(({ packed }) => [...packed])),
    pages: sets.flatMap(({ pages }) => pages),
    parameters: sets.reduce((sum, { parameters }) => sum + parameters, 0),
  };
}

/** Frees the buffers of weights and their gradients; whatever plan uses them must not run again. */
export function destroyWeights({ pages }: Weights): void {
  for (const { weights, gradients } of pages) {
    weights.storage.buffer?.destroy();
    gradients?.storage.buffer?.destroy();
  }
}

/** A weight by the name that files or plans know it by. */
export function weight(model: Model, name: string): Tensor {
  const found = model.weights.packed.get(name) ?? model.weights.tensors.get(name);
  if (!found) throw new Error(`Cannot record the model: it has no weight "${name}"`);
  return found;
}
