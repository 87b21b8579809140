import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { parseConfig } from "../../src/model/config.ts";
import { createLlama, setWeights } from "../../src/model/llama.ts";
import { createGenerator } from "../../src/model/generate.ts";
import { readSafetensors } from "../../src/files/safetensors.ts";

// A trained 260K-parameter Llama and the text its author's C program prints for it (karpathy/llama2.c, test_all.py).
const folder = "../shared/data/checkpoints/stories260K";
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

describe("stories260K", () => {
  test("greedy decoding reproduces every published token", async () => {
    const config = parseConfig(readFileSync(`${folder}/config.json`, "utf8"), "config.json");
    const model = createLlama(gpu, config, false);
    setWeights(
      model,
      readSafetensors(readFileSync(`${folder}/model.safetensors`), "model.safetensors").tensors,
      "model.safetensors",
    );
    const want: number[] = JSON.parse(readFileSync(`${folder}/expected_greedy.json`, "utf8")).greedy_token_ids;
    const generator = await createGenerator(model, 2, 256);
    const options = { temperature: 0, topP: 1, topK: 0, seed: 0, maxNewTokens: want.length - 1 };
    // One row starts from BOS alone, the other from the first eight published tokens: prefill and decode must agree.
    const requests = [{ prompt: want.slice(0, 1), stream: 0 }, { prompt: want.slice(0, 8), stream: 1 }];
    for await (const [fromStart, fromEight] of generator.run(requests, options)) {
      expect([want[0], ...fromStart.tokens]).toEqual(want);
      expect(fromEight.tokens.slice(0, want.length - 8)).toEqual(want.slice(8));
    }
    generator.destroy();
  });
});
