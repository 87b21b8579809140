/** The model that a recipe aligns, what of it is trained, and the frozen model it is compared with. */
import { copyTensors, type Gpu } from "../plan/mod.ts";
import type { Host } from "../host/host.ts";
import { createLlama, destroyModel, type Llama } from "../model/llama.ts";
import { createLora, type Lora, type LoraConfig } from "../model/lora.ts";
import { destroyWeights, type Trained } from "../model/weights.ts";
import { loadModel } from "./checkpoint.ts";

export interface Policy {
  /** Runs with its adapters, if it has any. */
  readonly model: Llama;
  /** What steps train and checkpoints hold: all weights, or the adapters alone. */
  readonly trained: Trained;
  readonly lora?: Lora;
  /**
   * The model as it was at the start, without gradients. With LoRA it is the same weights with the adapters off and costs
   * nothing; without, a copy that costs 4 bytes a parameter and is made at the first call.
   */
  reference(): Llama;
  /** Frees all of its buffers. */
  destroy(): void;
}

/** Loads a model folder to be aligned: all of it, or LoRA adapters beside it. */
export async function loadPolicy(
  host: Host,
  gpu: Gpu,
  dir: string,
  options: { lora?: LoraConfig; seed: number },
): Promise<Policy> {
  const model = await loadModel(host, gpu, dir, options.lora === undefined);
  return options.lora ? adapted(model, createLora(model, options.lora, true, options.seed)) : whole(model);
}

/** A policy that trains all weights. */
export function whole(model: Llama): Policy {
  let copy: Llama | undefined;
  return {
    model,
    trained: model,
    reference: () => copy ??= frozenCopy(model),
    destroy() {
      for (const each of [model, copy]) if (each) destroyModel(each);
    },
  };
}

/** A policy that trains adapters beside a frozen model. */
export function adapted(base: Llama, lora: Lora): Policy {
  const model = { ...base, adapters: lora.adapters };
  return {
    model,
    trained: { gpu: base.gpu, weights: lora.weights },
    lora,
    reference: () => base,
    destroy() {
      destroyModel(base);
      destroyWeights(lora.weights);
    },
  };
}

/** The same weights in buffers of their own, copied on the GPU; no gradients. */
export function frozenCopy(model: Llama): Llama {
  const copy = createLlama(model.gpu, model.config, false);
  copyTensors(
    model.gpu,
    model.weights.pages.map(({ weights }, i) => [weights, copy.weights.pages[i].weights] as const),
  );
  return copy;
}
