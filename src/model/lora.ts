/**
 * LoRA adapters beside a model whose own weights stay as they are: made without training, they have neither gradients nor Adam
 * moments, so a run costs 4 bytes a parameter of the model and 16 one of the adapters.
 *
 * An adapter belongs to a projection as plans know it: `self_attn.qkv` has one for queries, keys and values together, `mlp.gate_up`
 * one for both. That is a low-rank change of the packed matrix; adapters of the parts fit in as one of the sum of their ranks,
 * with A on top of each other and B on the diagonal.
 */
import { compile, createWeights, type Gpu, Plan, type Tensor, type Weights, write } from "../plan/mod.ts";
import { type Adapter, linear, type LinearOptions, loraBranch, loraMerge } from "../../kernels/mod.ts";
import { uniformStream } from "./philox.ts";
import { type Model, weight } from "./weights.ts";

export interface LoraConfig {
  /** R, a multiple of 4. */
  rank: number;
  /** The branch is scaled by alpha / rank. */
  alpha: number;
  /** Projections by the ends of their names, without `.weight`: "self_attn.qkv", "mlp.down_proj". */
  targets: readonly string[];
}

export interface Lora {
  readonly config: LoraConfig;
  /** The matrices A and B: what the optimizer gets. */
  readonly weights: Weights;
  /** By the name of the weight they belong to. */
  readonly adapters: ReadonlyMap<string, Adapter>;
}

/** Adapters for all projections that the config names: A uniform in +-1 / sqrt(I) from a seed, B zero. */
export function createLora(model: Model, config: LoraConfig, training: boolean, seed: number): Lora {
  const { rank: R, alpha, targets } = config;
  if (!Number.isInteger(R) || R <= 0 || R % 4 !== 0) {
    throw new Error(`Cannot create LoRA adapters: rank is ${R}, not a positive multiple of 4`);
  }
  const { tensors, packed } = model.weights;
  const parts = new Set([...packed.values()].flatMap((whole) => partsOf(whole, tensors)));
  const all = [...packed, ...[...tensors].filter(([name]) => !parts.has(name))].filter(([, { shape }]) =>
    shape.length === 2
  );
  const chosen = targets.flatMap((target) => {
    const found = all.filter(([name]) => name.endsWith(`${target}.weight`));
    if (found.length === 0) {
      throw new Error(`Cannot create LoRA adapters: no projection ends in "${target}", there are ${kinds(all)}`);
    }
    return found;
  });
  const named = chosen.map(([name, { shape: [O, I] }]) => {
    const stem = name.replace(/\.weight$/, "");
    return { name, O, I, a: `${stem}.lora_A.weight`, b: `${stem}.lora_B.weight` };
  });
  const specs = named.flatMap(({ a, b, O, I }) => [
    { name: a, shape: [R, I], decay: true },
    { name: b, shape: [O, R], decay: true },
  ]);
  const weights = createWeights(model.gpu, specs, training);
  const adapters = new Map(named.map(({ name, a, b, I }, stream) => {
    const adapter = { a: weights.tensors.get(a)!, b: weights.tensors.get(b)!, scale: alpha / R };
    const uniform = uniformStream(seed, stream);
    write(model.gpu, adapter.a, Float32Array.from({ length: R * I }, () => (2 * uniform() - 1) / Math.sqrt(I)));
    return [name, adapter] as const; // B is zero as all new memory
  }));
  return { config, weights, adapters };
}

/** f(x w^T + bias) + residual, w by its name, with the branch of its adapter if it has one. */
export function project(plan: Plan, model: Model, x: Tensor, name: string, options: LinearOptions = {}): Tensor {
  const adapter = model.adapters?.get(name);
  if (!adapter) return linear(plan, x, weight(model, name), options);
  if (options.activation) throw new Error(`Cannot adapt ${name}: its activation comes before the branch`);
  const y = linear(plan, x, weight(model, name), options);
  loraBranch(plan, y, x, adapter);
  return y;
}

/**
 * Adds every adapter to the weight it belongs to (sign 1), on the GPU, or takes it out again (-1; the weights differ from those
 * before by rounding). A merged model must run without its adapters.
 */
export async function mergeLora(gpu: Gpu, model: Model, lora: Lora, sign: 1 | -1): Promise<void> {
  const plan = new Plan(sign === 1 ? "lora.merge" : "lora.unmerge", gpu);
  for (const [name, adapter] of lora.adapters) loraMerge(plan, weight(model, name), adapter, sign);
  const executable = await compile(gpu, plan);
  await executable.run();
  executable.destroy();
}

/** Names of the tensors that lie within a packed one. */
function partsOf(whole: Tensor, tensors: ReadonlyMap<string, Tensor>): string[] {
  const end = whole.offset + whole.shape.reduce((product, size) => product * size, 4);
  return [...tensors].filter(([, { storage, offset }]) =>
    storage === whole.storage && offset >= whole.offset && offset < end
  ).map(([name]) => name);
}

/** The distinct ends of names, for messages: without the layer's number and `.weight`. */
function kinds(all: readonly (readonly [string, Tensor])[]): string {
  return [...new Set(all.map(([name]) => name.replace(/^.*\.\d+\./, "").replace(/\.weight$/, "")))].join(", ");
}
