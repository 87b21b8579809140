import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  createReader,
  type Gpu,
  openDryGpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { accumulateInto, tokenLogprob } from "../../kernels/mod.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { createLora, type Lora } from "../../src/model/lora.ts";
import { createStreamedLora, createStreamedLoraStep } from "../../src/model/streamed_lora.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";
import { batchArrays } from "../../src/recipes/batches.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import {
  attendWithin,
  createLlama,
  forward,
  getWeights,
  headWeight,
  initialize,
  type Llama,
  setWeights,
} from "../../src/model/llama.ts";
import { createStreamedLlama, type HostWeights } from "../../src/model/streamed.ts";

import { type BatchInputs, batchInputs, sequenceLogprobs, writeBatch } from "../../src/recipes/scorer.ts";
import { streamedLogprobs } from "../../src/recipes/streamed_scorer.ts";
import { PAD, sequences, TINY } from "../recipes/tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

/** A model with random weights as a file would hold it. Odd layer counts end in the first place, even ones in the second. */
async function hostModel(L: number, tied: boolean): Promise<{ config: LlamaConfig; host: HostWeights }> {
  const config = { ...TINY, L, tied };
  const model = createLlama(gpu, config, false);
  initialize(model, 11 + L);
  return { config, host: await getWeights(model) };
}

describe("weights in host memory, streamed layer by layer", () => {
  test("score as the resident model does, to the bit, for one layer, an odd and an even number of them", async () => {
    for (const [L, tied] of [[1, true], [2, false], [5, true]] as const) {
      const { config, host } = await hostModel(L, tied);
      const model = createLlama(gpu, config, false);
      setWeights(model, host, "memory");
      const streamed = createStreamedLlama(gpu, config, host, "memory");
      const rows = sequences(7, 5);
      const want = await sequenceLogprobs(model, rows, 3, PAD);
      expect(new Set(want).size).toBe(7);
      expect(await streamedLogprobs(streamed, rows, 3, PAD), `${L} layers`).toEqual(want);
      expect(await streamedLogprobs(streamed, rows, 3, PAD), `${L} layers, again`).toEqual(want);
      streamed.destroy();
    }
  });

  test("take the GPU bytes of two layers, however many there are", async () => {
    const bytes = async (L: number) => {
      const { config, host } = await hostModel(L, false);
      const dry = openDryGpu(gpu);
      const streamed = createStreamedLlama(dry, config, host, "memory");
      return { counted: dry.bytes, ...streamed };
    };
    const [two, nine] = [await bytes(2), await bytes(9)];
    expect(nine.counted).toBe(two.counted);
    expect(nine.residentBytes).toBe(two.modelBytes);
    expect(nine.modelBytes - two.modelBytes).toBe(7 * (two.modelBytes - two.residentBytes + layerBytes(two.config)));
  });

  test("a missing tensor is named before anything is uploaded", async () => {
    const { config, host } = await hostModel(2, true);
    const incomplete = new Map(host);
    incomplete.delete("model.layers.1.mlp.down_proj.weight");
    expect(() => createStreamedLlama(gpu, config, incomplete, "file")).toThrow(
      'Cannot load file: tensor "model.layers.1.mlp.down_proj.weight" is missing, config.json asks for [32,48]',
    );
  });
});

describe("LoRA training with the frozen layers in host memory", () => {
  const loraConfig = {
    rank: 4,
    alpha: 8,
    targets: ["self_attn.qkv", "self_attn.o_proj", "mlp.gate_up", "mlp.down_proj"],
  };
  const [B, T] = [3, 16];

  /** Losses of four steps of two batches, and the gradients of a fifth. */
  async function train(
    lora: Lora,
    resident: Llama,
    make: (inputs: BatchInputs, loss: (plan: Plan, h: Tensor, head: Tensor) => Tensor) => Promise<{
      run(): Promise<void>;
      lossSum: Tensor;
    }>,
  ) {
    const inputs = batchInputs(resident, B, T);
    const lossWeight = persistent(gpu, "loss.weight", [B, T]);
    const step = await make(
      inputs,
      (plan, h, head) => sftLoss(plan, tokenLogprob(plan, h, head, inputs.targets).logprob, lossWeight),
    );
    const optimizer = await createOptimizer(gpu, lora.weights, { ...ADAMW, weightDecay: 0 });
    const loss = createReader(gpu, [step.lossSum]);
    const accumulate = async () => {
      for (const seed of [1, 2]) {
        const arrays = batchArrays(
          sequences(12, seed).filter(({ tokens }) => tokens.length <= T).slice(0, B),
          B,
          T,
          PAD,
        );
        writeBatch(resident, inputs, arrays);
        write(gpu, lossWeight, arrays.mask.map((m) => -m / 30));
        await step.run();
      }
    };
    const losses: number[] = [];
    for (let i = 1; i <= 4; i++) {
      await accumulate();
      await optimizer.update(i, 0.02);
      losses.push((await loss.read())[0][0]);
      write(gpu, step.lossSum, new Float32Array(1));
    }
    await accumulate();
    const [gradients] = await createReader(gpu, [lora.weights.pages[0].gradients!]).read();
    return { losses, gradients };
  }

  test("gives losses and gradients of the resident model to the bit, for an odd and an even number of layers", async () => {
    for (const L of [3, 4]) {
      const { config, host } = await hostModel(L, L === 4);
      const streamed = createStreamedLlama(gpu, config, host, "memory");
      const streamedLora = createStreamedLora(streamed, loraConfig, 3);
      const got = await train(streamedLora, streamed.resident, (inputs, loss) =>
        createStreamedLoraStep(
          streamed,
          streamedLora,
          inputs,
          attendWithin(config, B, T),
          (plan, h) => loss(plan, h, headWeight(streamed.resident)),
        ));

      const plain = createLlama(gpu, config, false);
      setWeights(plain, host, "memory");
      const lora = createLora(plain, loraConfig, true, 3);
      const model = { ...plain, adapters: lora.adapters };
      const want = await train(lora, plain, async (inputs, loss) => {
        const plan = new Plan("resident", gpu);
        const h = forward(plan, model, inputs.ids, inputs.positions, attendWithin(config, B, T));
        const scalar = loss(plan, h, headWeight(model));
        const lossSum = persistent(gpu, "loss", [1]);
        accumulateInto(plan, scalar, lossSum);
        plan.backward(scalar, plain.one);
        const executable = await compile(gpu, plan);
        return { run: () => executable.run(), lossSum };
      });
      expect(want.losses[3]).toBeLessThan(want.losses[0]);
      expect(got.losses, `${L} layers`).toEqual(want.losses);
      expect(got.gradients, `${L} layers`).toEqual(want.gradients);
      expect(got.gradients.some((g) => g !== 0)).toBe(true);
    }
  });
});

/** Each tensor on a border of 256 bytes. */
function layerBytes({ C, F, H, G, D }: LlamaConfig): number {
  const sizes = [C, (H + 2 * G) * D * C, C * H * D, C, 2 * F * C, C * F];
  return sizes.reduce((sum, size) => sum + Math.ceil(size / 64) * 256, 0);
}
