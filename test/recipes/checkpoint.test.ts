import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { readSafetensors, writeSafetensors } from "../../src/files/safetensors.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { formatConfig } from "../../src/model/config.ts";
import { getWeights } from "../../src/model/llama.ts";
import { loadModel, saveModel } from "../../src/recipes/checkpoint.ts";
import { TINY, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

/** A model folder in memory, after `change` of its tensors. */
async function folder(change: (tensors: Map<string, { shape: number[]; data: Float32Array }>) => void = () => {}) {
  const host = memoryHost({ "t/tokenizer.json": "{}" });
  const model = tinyLlama(gpu);
  await saveModel(host, model, "m", "t");
  const tensors = new Map(
    [...readSafetensors(await host.readBytes("m/model.safetensors"), "m").tensors]
      .map(([name, { shape, data }]) => [name, { shape: [...shape], data }]),
  );
  change(tensors);
  await host.write("m/model.safetensors", writeSafetensors(tensors));
  return { host, model };
}

describe("model folders", () => {
  for (const tied of [true, false]) {
    test(`a saved model loads to the bit, ${tied ? "tied" : "untied"}`, async () => {
      const host = memoryHost({ "t/tokenizer.json": '{"kept":1}' });
      const model = tinyLlama(gpu, 4, { L: 2, tied });
      await saveModel(host, model, "m", "t");
      expect(await host.list("m")).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
      expect(await host.readText("m/tokenizer.json")).toBe('{"kept":1}');
      const loaded = await loadModel(host, gpu, "m", false);
      expect(loaded.config).toEqual(model.config);
      const [before, after] = [await getWeights(model), await getWeights(loaded)];
      expect([...after.keys()]).toEqual([...before.keys()]);
      expect(after.has("lm_head.weight")).toBe(!tied);
      for (const [name, { data }] of before) {
        expect(data.some((w) => w !== 0), name).toBe(true);
        expect(data.every((w, i) => Object.is(w, after.get(name)!.data[i])), name).toBe(true);
      }
    });
  }

  test("a missing tensor is named with the number of tensors there are", async () => {
    const { host } = await folder((tensors) => tensors.delete("model.norm.weight"));
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow(
      'Cannot load m/model.safetensors: tensor "model.norm.weight" is missing, the file has 10 tensors',
    );
  });

  test("a tensor in a dtype that is not read is named with its dtype, not as missing", async () => {
    const { host } = await folder();
    const bytes = await host.readBytes("m/model.safetensors");
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    header["model.norm.weight"].dtype = "I32"; // as wide as F32, so every offset still fits
    const text = new TextEncoder().encode(JSON.stringify(header).padEnd(length));
    expect(text.length).toBe(length);
    bytes.set(text, 8);
    await host.write("m/model.safetensors", bytes);
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow(
      'Cannot read m/model.safetensors: tensor "model.norm.weight" has dtype I32, only F32, F16 and BF16 can be read',
    );
  });

  test("a wrong shape is named with both shapes", async () => {
    const { host } = await folder((tensors) => {
      const { shape } = tensors.get("model.layers.0.mlp.up_proj.weight")!;
      shape.reverse();
    });
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow(
      'Cannot load m/model.safetensors: tensor "model.layers.0.mlp.up_proj.weight" is [32,48], config.json asks for [48,32]',
    );
  });

  test("a config with another vocabulary than the weights is refused", async () => {
    const { host } = await folder();
    await host.write("m/config.json", formatConfig({ ...TINY, V: 100 }));
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow(
      'Cannot load m/model.safetensors: tensor "model.embed_tokens.weight" is [96,32], config.json asks for [100,32]',
    );
  });

  test("weights cut short are refused, and a folder without weights says which file", async () => {
    const { host } = await folder();
    const bytes = await host.readBytes("m/model.safetensors");
    await host.write("m/model.safetensors", bytes.slice(0, bytes.length - 4));
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow(/^Cannot read m\/model\.safetensors: /);
    await host.remove("m/model.safetensors");
    await expect(loadModel(host, gpu, "m", false)).rejects.toThrow("Cannot read m/model.safetensors: no such file");
  });
});
