import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openDryGpu, openGpu } from "../../src/plan/mod.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { createLlama, getWeights, initialize, setWeights } from "../../src/model/llama.ts";
import { createStreamedLlama, type HostWeights } from "../../src/model/streamed.ts";

import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
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

/** Each tensor on a border of 256 bytes. */
function layerBytes({ C, F, H, G, D }: LlamaConfig): number {
  const sizes = [C, (H + 2 * G) * D * C, C * H * D, C, 2 * F * C, C * F];
  return sizes.reduce((sum, size) => sum + Math.ceil(size / 64) * 256, 0);
}
