/**
 * A Llama whose layers stay in host memory: models larger than the GPU score with two layers on it at a time. All layers have
 * the same shapes, so there are two places for one, each with a plan of its own; layer l runs in place l mod 2 while layer
 * l + 1 is written to the other. The queue keeps the order: a write waits for the work submitted before it. Embedding, final
 * norm and head stay on the GPU. Kernels, shapes and order of sums are those of the resident model: the bits are the same.
 */
import {
  compile,
  createUploader,
  createWeights,
  type Executable,
  type Gpu,
  persistent,
  Plan,
  type Tensor,
  type Uploader,
  write,
} from "../plan/mod.ts";
import { accumulate, embedding, rmsnorm, ropeTable } from "../../kernels/mod.ts";
import type { LlamaConfig } from "./config.ts";
import { type Attend, block, type Llama, weightSpecs } from "./llama.ts";
import { setWeights, weight } from "./weights.ts";

/** Weights by Hugging Face's names, as files have them. */
export type HostWeights = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

export interface StreamedLlama {
  readonly gpu: Gpu;
  readonly config: LlamaConfig;
  /** Embedding, final norm and head. */
  readonly resident: Llama;
  /** Two models of one layer, by the name of layer 0. */
  readonly places: readonly [Llama, Llama];
  readonly uploader: Uploader;
  /** Bytes of weights on the GPU, and of the whole model. */
  readonly residentBytes: number;
  readonly modelBytes: number;
  /** Brings layer l to its place. */
  load(l: number): Promise<void>;
  destroy(): void;
}

export function createStreamedLlama(gpu: Gpu, config: LlamaConfig, host: HostWeights, name: string): StreamedLlama {
  const specs = weightSpecs(config);
  const layerOf = (l: number) => specs.filter((spec) => spec.name.startsWith(`model.layers.${l}.`));
  const table = persistent(gpu, "rope", [config.maxPositions, config.D / 2, 2]);
  write(gpu, table, ropeTable(config.maxPositions, config.D, config.ropeTheta));
  const one = persistent(gpu, "one", [1]);
  write(gpu, one, Float32Array.of(1));
  const model = (of: typeof specs): Llama => ({
    gpu,
    config,
    weights: createWeights(gpu, of, false),
    ropeTable: table,
    one,
  });
  const resident = model(specs.filter((spec) => !spec.name.startsWith("model.layers.")));
  setWeights(resident, host, name);
  // Buffers of their own: a write to the one must not wait for a layer that runs in the other.
  const places = [model(layerOf(0)), model(layerOf(0))] as const;
  const uploader = createUploader(gpu);
  const layers = Array.from({ length: config.L }, (_, l) =>
    [...places[l % 2].weights.tensors].map(([key, tensor]) => {
      const source = key.replace("model.layers.0.", `model.layers.${l}.`);
      const found = host.get(source);
      if (!found || found.shape.join() !== tensor.shape.join()) {
        throw new Error(
          `Cannot load ${name}: tensor "${source}" is ${found ? `[${found.shape.join(",")}]` : "missing"}, ` +
            `config.json asks for [${tensor.shape.join(",")}]`,
        );
      }
      return [tensor, found.data] as const;
    }));
  const bytesOf = ({ weights }: Llama) => weights.pages.reduce((sum, page) => sum + 4 * page.elements, 0);
  return {
    gpu,
    config,
    resident,
    places,
    uploader,
    residentBytes: bytesOf(resident) + 2 * bytesOf(places[0]),
    modelBytes: bytesOf(resident) + config.L * bytesOf(places[0]),
    load: (l) => uploader.upload(layers[l]),
    destroy() {
      const pages = [resident, ...places].flatMap(({ weights }) => weights.pages.map((page) => page.weights));
      for (const { storage } of [...pages, table, one]) storage.buffer!.destroy();
    },
  };
}

export interface StreamedForward {
  /** [.., C], the residual stream: input and output of every layer's plan. */
  readonly x: Tensor;
  /** The plans of a layer in the two places, from x to x. */
  readonly layers: readonly [Executable, Executable];
  /** All layers from embedding to x; `before` sees the input of layer l in x, before it runs. */
  run(before?: (l: number) => void): Promise<void>;
  destroy(): void;
}

/**
 * The forward pass without the head, ids and positions [B,T] -> x. Another plan goes on from there (`streamedHidden`). `places`
 * may be those of `streamed` with adapters beside them.
 */
export async function createStreamedForward(
  streamed: StreamedLlama,
  ids: Tensor,
  positions: Tensor,
  attend: Attend,
  places: readonly [Llama, Llama] = streamed.places,
): Promise<StreamedForward> {
  const { gpu, config, resident } = streamed;
  const x = persistent(gpu, "streamed.x", [...ids.shape, config.C]);
  const compiled = async (name: string, record: (plan: Plan) => Tensor) => {
    const plan = new Plan(name, gpu);
    accumulate(plan, record(plan), x, false);
    return await compile(gpu, plan);
  };
  const embed = await compiled(
    "streamed.embed",
    (plan) => embedding(plan, ids, weight(resident, "model.embed_tokens.weight")),
  );
  const layer = (i: 0 | 1) => compiled(`streamed.layer${i}`, (plan) => block(plan, places[i], 0, x, positions, attend));
  const layers = [await layer(0), await layer(1)] as const;
  return {
    x,
    layers,
    async run(before = () => {}) {
      await embed.run();
      await streamed.load(0);
      for (let l = 0; l < config.L; l++) {
        before(l);
        await layers[l % 2].run();
        if (l + 1 < config.L) await streamed.load(l + 1); // while layer l runs
      }
    },
    destroy() {
      for (const each of [embed, ...layers]) each.destroy();
      x.storage.buffer!.destroy();
    },
  };
}

/** What `forward` of llama.ts returns, in a plan that begins at x. */
export function streamedHidden(plan: Plan, { resident, config }: StreamedLlama, x: Tensor): Tensor {
  return rmsnorm(plan, x, weight(resident, "model.norm.weight"), config.normEps);
}
