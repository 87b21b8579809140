// What the fixed workloads may take, all in: weights, gradients, moments, inputs, values, sizes of dispatches.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { card, growthOverTokens, modelOf, PLAIN, stepMemory } from "../../bench/memory.ts";
import { exponent } from "../../bench/growth.ts";
import torch from "../../bench/results/torch_memory.json" with { type: "json" };

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const MB = 1e6;

describe("peak bytes of a training step", () => {
  for (const [name, limit] of [["tiny", 100 * MB], ["small", 400 * MB]] as const) {
    test(`${name}-GPT takes at most ${limit / MB} MB, with no option at all`, async () => {
      const { model, B, T } = modelOf(name);
      const { peakBytes, parameters } = await stepMemory(gpu, model, "sft", B, T, PLAIN);
      expect(parameters).toBe(torch.rows[name].math.parameters); // the same model as PyTorch's
      expect(peakBytes).toBeGreaterThan(16 * parameters);
      expect(peakBytes).toBeLessThan(limit);
    });
  }

  for (const name of ["micro", "tiny", "small", "gpt124m", "llama7b"] as const) {
    test(`a DPO step of ${name} takes at most 80 % of PyTorch's, norms and activations recomputed`, async () => {
      const { model, B, T } = modelOf(name);
      const recorder = name === "gpt124m" || name === "llama7b" ? card(gpu) : gpu;
      const { peakBytes } = await stepMemory(recorder, model, "dpo", B, T, { ...PLAIN, recompute: "cheap" });
      const { math } = torch.rows[name];
      expect(peakBytes / ("peak" in math ? math.peak : math.kept)).toBeLessThan(0.8);
    });
  }

  test("no T x T matrix: values grow in proportion to the tokens of a sequence, at most", async () => {
    const points = await growthOverTokens(gpu);
    expect(exponent(points.map(({ x, valueBytes }) => ({ x, y: valueBytes })))).toBeLessThan(1.05);
  });
});
