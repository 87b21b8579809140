/**
 * LoRA training of a model whose frozen layers stay in host memory. The forward pass keeps each layer's input; the backward
 * pass goes from the last layer to the first, uploads each again, runs it forward once more and then backward. Adapters, their
 * gradients and Adam's moments stay on the GPU; those of the layer at work are copied beside its place and back, so that
 * two recorded plans serve all layers.
 */
import {
  compile,
  createWeights,
  flush,
  newStorage,
  openDryGpu,
  persistent,
  Plan,
  type Tensor,
  type Weights,
} from "../plan/mod.ts";
import { accumulate, accumulateInto } from "../../kernels/mod.ts";
import { type Attend, block, type Llama, weightSpecs } from "./llama.ts";
import { createLora, type Lora, type LoraConfig } from "./lora.ts";
import { createStreamedForward, streamedHidden, type StreamedLlama } from "./streamed.ts";

/** Adapters for a model of which no more than two layers are on the GPU. */
export function createStreamedLora(streamed: StreamedLlama, config: LoraConfig, seed: number): Lora {
  const { gpu } = streamed;
  const shapes = createWeights(openDryGpu(gpu), weightSpecs(streamed.config), false);
  return createLora({ gpu, config: streamed.config, weights: shapes }, config, true, seed);
}

export interface StreamedLoraStep {
  /** Adds the gradients of one batch to the adapters', and its loss to `lossSum`. */
  run(): Promise<void>;
  /** [1] */
  readonly lossSum: Tensor;
  destroy(): void;
}

/** `loss` records the rest of the forward pass from the final hidden states [B,T,C] to a scalar. */
export async function createStreamedLoraStep(
  streamed: StreamedLlama,
  lora: Lora,
  inputs: { ids: Tensor; positions: Tensor },
  attend: Attend,
  loss: (plan: Plan, hidden: Tensor) => Tensor,
): Promise<StreamedLoraStep> {
  const { gpu, config } = streamed;
  const L = config.L;
  const own = [besidePlace(streamed, lora, 0), besidePlace(streamed, lora, 1)] as const;
  const models = [own[0].model, own[1].model] as const;
  const forward = await createStreamedForward(streamed, inputs.ids, inputs.positions, attend, models);
  const { x } = forward;
  const lossSum = persistent(gpu, "streamed.loss", [1]);
  const dx = persistent(gpu, "streamed.dx", x.shape);
  const kept = Array.from({ length: L }, (_, l) => persistent(gpu, `streamed.input${l}`, x.shape));
  // The same memory as something that has a gradient.
  const variable: Tensor = { ...x, storage: newStorage({ ...x.storage, needsGrad: true }) };

  const headPlan = new Plan("streamed.head", gpu);
  const scalar = loss(headPlan, streamedHidden(headPlan, streamed, variable));
  accumulateInto(headPlan, scalar, lossSum);
  headPlan.backward(scalar, streamed.resident.one);
  accumulate(headPlan, headPlan.gradient(variable), dx, false);
  const head = await compile(gpu, headPlan);

  const backwardOf = async (i: 0 | 1) => {
    const plan = new Plan(`streamed.backward${i}`, gpu);
    const y = block(plan, models[i], 0, variable, inputs.positions, attend);
    plan.backwardFrom(y, dx);
    accumulate(plan, plan.gradient(variable), dx, false);
    return await compile(gpu, plan);
  };
  const backward = [await backwardOf(0), await backwardOf(1)] as const;

  const copy = (encoder: GPUCommandEncoder, from: Tensor, to: Tensor) =>
    encoder.copyBufferToBuffer(from.storage.buffer!, from.offset, to.storage.buffer!, to.offset, bytesOf(from));
  const adapters = (l: number, encoder: GPUCommandEncoder) =>
    own[l % 2].pairs(l).forEach(({ place, home }) => copy(encoder, home, place));
  const gradients = (l: number, encoder: GPUCommandEncoder, back: boolean) =>
    own[l % 2].pairs(l).forEach(({ place, home }) => {
      const [at, from] = [gradientOf(place), gradientOf(home)];
      back ? copy(encoder, at, from) : copy(encoder, from, at);
    });

  return {
    lossSum,
    async run() {
      await forward.run((l) =>
        flush(gpu, (encoder) => {
          adapters(l, encoder);
          copy(encoder, x, kept[l]);
        })
      );
      await head.run();
      for (let l = L - 1; l >= 0; l--) {
        flush(gpu, (encoder) => {
          adapters(l, encoder);
          gradients(l, encoder, false);
          copy(encoder, kept[l], x);
        });
        await backward[l % 2].run();
        flush(gpu, (encoder) => gradients(l, encoder, true));
        if (l > 0) await streamed.load(l - 1); // while layer l runs backward
      }
    },
    destroy() {
      for (const each of [forward, head, ...backward]) each.destroy();
      const pages = own.flatMap(({ weights }) => weights.pages.flatMap((page) => [page.weights, page.gradients!]));
      for (const { storage } of [...pages, lossSum, dx, ...kept]) storage.buffer!.destroy();
    },
  };
}

interface BesidePlace {
  /** The model of the place with adapters. */
  readonly model: Llama;
  readonly weights: Weights;
  /** What belongs together in the place and in layer l. */
  pairs(l: number): { place: Tensor; home: Tensor }[];
}

function besidePlace(streamed: StreamedLlama, lora: Lora, place: 0 | 1): BesidePlace {
  const mine = [...lora.adapters].filter(([name]) => name.startsWith("model.layers.0."));
  const ends = [...lora.weights.tensors].filter(([name]) => name.startsWith("model.layers.0."));
  const specs = ends.map(([name, { shape }]) => ({ name, shape, decay: true }));
  const weights = createWeights(streamed.gpu, specs, true);
  const here = (home: Tensor) => weights.tensors.get(home.name)!;
  const adapters = new Map(mine.map(([name, { a, b, scale }]) => [name, { a: here(a), b: here(b), scale }]));
  return {
    weights,
    model: { ...streamed.places[place], adapters },
    pairs: (l) =>
      ends.map(([name]) => ({
        place: weights.tensors.get(name)!,
        home: lora.weights.tensors.get(name.replace("model.layers.0.", `model.layers.${l}.`))!,
      })),
  };
}

const gradientOf = (tensor: Tensor): Tensor => ({ ...tensor, storage: tensor.storage.gradient! });
const bytesOf = ({ shape }: Tensor) => 4 * shape.reduce((product, size) => product * size, 1);
