// test/golden/roberta_torch.py made these files with torch autograd in float64; every weight, gradient and loss is its own.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { compile, createReader, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { readSafetensors, type StoredTensor, writeSafetensors } from "../../src/files/safetensors.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { rewardLoss } from "../../src/loss/reward.ts";
import { RECOMPUTE, saveMemory } from "../../src/model/saving.ts";
import { formatRobertaConfig, parseRobertaConfig } from "../../src/model/roberta_config.ts";
import { robertaForward } from "../../src/model/roberta.ts";
import type { RewardHead } from "../../src/model/reward_head.ts";
import {
  loadRewardNetwork,
  recordRewards,
  rewardInputs,
  type RewardNetwork,
  writeRewardBatch,
} from "../../src/recipes/reward_network.ts";
import { expectClose } from "../kernels/check_op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const read = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../golden/roberta_torch/${name}`, import.meta.url)));
const text = (name: string) => new TextDecoder().decode(read(name));
const golden = JSON.parse(text("golden.json")) as {
  ids: number[][];
  lengths: number[];
  margins: number[];
  center: number;
  cls: { scores: number[]; loss: number; gradNorm: number };
  mean: { scores: number[]; loss: number; gradNorm: number };
};
const tensors = readSafetensors(read("golden.safetensors"), "golden.safetensors").tensors;
const sequences = golden.ids.map((row, b) => row.slice(0, golden.lengths[b]));
const PAD = 1;

async function load(head: RewardHead, rename = (name: string) => name): Promise<RewardNetwork> {
  const host = memoryHost();
  const file = readSafetensors(read("model.safetensors"), "model.safetensors").tensors;
  const renamed = new Map<string, StoredTensor>([...file].map(([name, tensor]) => [rename(name), tensor]));
  await host.write("m/config.json", text("config.json"));
  await host.write("m/model.safetensors", writeSafetensors(renamed));
  return await loadRewardNetwork(host, gpu, "m", { head, seed: 1, training: true });
}

test("hidden states at every token, with and without padding and the prefix of the names", async () => {
  for (const rename of [(name: string) => name, (name: string) => name.replace(/^roberta\./, "")]) {
    for (const T of [13, 17]) {
      const network = await load("cls", rename);
      if (network.body.architecture !== "encoder") throw new Error("not an encoder");
      const { C } = network.body.model.config;
      const inputs = rewardInputs(network, sequences.length, T);
      writeRewardBatch(network, inputs, sequences, PAD);
      const plan = new Plan("hidden", gpu);
      const hidden = plan.keep(robertaForward(plan, network.body.model, inputs));
      const executable = await compile(gpu, plan);
      await executable.run();
      const [got] = await executable.reader([hidden]).read();
      const want = tensors.get("hidden")!.data;
      golden.lengths.forEach((length, b) => {
        const ours = got.subarray(b * T * C, (b * T + length) * C);
        expectClose(ours, want.subarray(b * 13 * C, (b * 13 + length) * C), 1e-5, 1e-4, `row ${b} of ${T}`);
      });
      executable.destroy();
    }
  }
});

describe("the pairwise loss and every gradient", () => {
  async function lossOf(head: "cls" | "mean", recompute: typeof RECOMPUTE[number]) {
    const network = await load(head);
    const inputs = rewardInputs(network, 4, 16);
    writeRewardBatch(network, inputs, sequences, PAD);
    const [margin, pairWeight, hyper] = [["margin", 2], ["weight", 2], ["hyper", 1]].map(([name, size]) =>
      persistent(gpu, name as string, [size as number])
    );
    write(gpu, margin, Float32Array.from(golden.margins));
    write(gpu, pairWeight, Float32Array.of(0.5, 0.5));
    write(gpu, hyper, Float32Array.of(golden.center));
    const plan = new Plan("loss", gpu);
    const rewards = plan.keep(recordRewards(plan, network, inputs, recompute));
    const { loss } = rewardLoss(plan, rewards, { margin, pairWeight, hyper });
    plan.keep(loss);
    plan.backward(loss, network.body.model.one);
    saveMemory(plan, { recompute });
    const executable = await compile(gpu, plan);
    await executable.run();
    const [scores, [value]] = await executable.reader([rewards, loss]).read();
    const names = [...network.trained.weights.tensors.keys()];
    const reader = createReader(
      gpu,
      names.map((name) => {
        const tensor = network.trained.weights.tensors.get(name)!;
        return { ...tensor, storage: tensor.storage.gradient! };
      }),
    );
    const gradients = new Map((await reader.read()).map((data, i) => [names[i], data as Float32Array]));
    executable.destroy();
    return { scores, value, gradients };
  }

  for (const recompute of RECOMPUTE) {
    test(`head cls, recompute ${recompute}`, async () => {
      const { scores, value, gradients } = await lossOf("cls", recompute);
      expectClose(scores, golden.cls.scores, 1e-5, 1e-4, "scores");
      expectClose([value], [golden.cls.loss], 0, 1e-5, "loss");
      const wanted = [...tensors.keys()].filter((name) => name.startsWith("grad."));
      expect([...gradients.keys()].map((name) => `grad.${name}`).sort()).toEqual(wanted.sort());
      for (const [name, got] of gradients) {
        const want = tensors.get(`grad.${name}`)!.data;
        // Adding a constant to all keys changes no softmax, so the gradient of their bias is rounding: judge by the whole norm.
        const size = Math.max(...want.map(Math.abs), 1e-3 * golden.cls.gradNorm);
        expectClose(got, want, 1e-3 * size, 1e-3, name);
      }
    });
  }

  test("head mean", async () => {
    const { scores, value, gradients } = await lossOf("mean", "none");
    expectClose(scores, golden.mean.scores, 1e-5, 1e-4, "scores");
    expectClose([value], [golden.mean.loss], 0, 1e-5, "loss");
    const norm = Math.hypot(...[...gradients.values()].map((gradient) => Math.hypot(...gradient)));
    expect(norm / golden.mean.gradNorm).toBeCloseTo(1, 4);
  });
});

describe("config.json", () => {
  test("is written as it was read", () => {
    const config = parseRobertaConfig(text("config.json"), "config.json");
    expect(parseRobertaConfig(formatRobertaConfig(config), "again")).toEqual(config);
  });
  const wrong = (change: object) => () =>
    parseRobertaConfig(JSON.stringify({ ...JSON.parse(text("config.json")), ...change }), "config.json");
  test("of another model, activation or head size is refused by name", () => {
    expect(wrong({ model_type: "bert" })).toThrow('Cannot load config.json: model_type is "bert", not "roberta"');
    expect(wrong({ hidden_act: "relu" })).toThrow('Cannot load config.json: hidden_act is "relu", not "gelu"');
    expect(wrong({ num_attention_heads: 4 })).toThrow("hidden_size 24 over num_attention_heads 4 gives heads of 6");
    expect(wrong({ max_position_embeddings: 2 })).toThrow("leaves no position behind pad_token_id 1");
  });
  test("of an encoder refuses a head for decoders", async () => {
    const host = memoryHost();
    await host.write("m/config.json", text("config.json"));
    await host.write("m/model.safetensors", read("model.safetensors"));
    const load = loadRewardNetwork(host, gpu, "m", { head: "last", seed: 1, training: false });
    await expect(load).rejects.toThrow("Cannot create a reward model: head last on a model of kind encoder");
  });
});
