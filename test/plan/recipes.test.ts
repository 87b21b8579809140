import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createWeights,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  planMemory,
  PORTABLE,
  type Storage,
} from "../../src/plan/mod.ts";
import { linear, tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { createLlama } from "../../src/model/llama.ts";
import { describeRecipe } from "../../src/recipes/describe.ts";
import { batchInputs, score } from "../../src/recipes/scorer.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const config = {
  C: 16,
  F: 24,
  L: 2,
  H: 2,
  G: 1,
  D: 8,
  V: 64,
  normEps: 1e-5,
  ropeTheta: 10000,
  tied: true,
  maxPositions: 16,
  bosId: 1,
  eosId: 2,
};

/** Kernel names of a plan's text with how often each is dispatched, in the order of first use. */
function kernelCounts(text: string): string {
  const counts = new Map<string, number>();
  for (const line of text.split("\n").slice(1)) {
    const name = line.trim().split(/\s+/)[1];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [text.split("\n")[0], ...[...counts].map(([name, count]) => `${count} ${name}`)].join("\n");
}

describe("the recipes' plans", () => {
  test("SFT dispatches these kernels, this often", () => {
    expect(kernelCounts(describeRecipe(PORTABLE, config, "sft", 2, 8, { recompute: "none" }))).toMatchInlineSnapshot(`
      "plan sft.2x8: 64 dispatches, 556 kFLOP, values 33.3 kB in 29 buffers (1.02 x what lives at once; 58.4 kB unshared)
      1 embedding.forward
      5 norm.forward
      9 matmul_nt
      4 rope4
      2 attention.forward.tile
      2 swiglu.forward
      1 token_logprob.fold
      1 weighted_sum.forward
      1 weighted_sum.backward
      1 token_logprob.backward
      9 matmul_nn
      9 matmul_tn
      5 norm.backward
      5 norm.finish
      2 swiglu.backward
      2 attention.query.tile
      2 attention.key_value.tile
      1 embedding.order
      1 embedding.backward
      1 embedding.join"
    `);
  });

  test("SFT with recomputation runs each block's forward kernels once more", () => {
    expect(kernelCounts(describeRecipe(PORTABLE, config, "sft", 2, 8, { recompute: "block" }))).toMatchInlineSnapshot(`
      "plan sft.2x8: 83 dispatches, 676 kFLOP, values 16.6 kB in 12 buffers (1.00 x what lives at once; 85.0 kB unshared)
      2 embedding.forward
      11 norm.forward
      15 matmul_nt
      6 rope4
      4 attention.forward.tile
      4 swiglu.forward
      1 token_logprob.fold
      1 weighted_sum.forward
      1 weighted_sum.backward
      1 token_logprob.backward
      9 matmul_nn
      9 matmul_tn
      5 norm.backward
      5 norm.finish
      2 swiglu.backward
      2 attention.query.tile
      2 attention.key_value.tile
      1 embedding.order
      1 embedding.backward
      1 embedding.join"
    `);
  });

  test("DPO dispatches these kernels, this often", () => {
    expect(kernelCounts(describeRecipe(PORTABLE, config, "dpo", 2, 8, { recompute: "none" }))).toMatchInlineSnapshot(`
      "plan dpo.2x8: 71 dispatches, 556 kFLOP, values 33.5 kB in 30 buffers (1.02 x what lives at once; 60.4 kB unshared)
      1 embedding.forward
      5 norm.forward
      9 matmul_nt
      4 rope4
      2 attention.forward.tile
      2 swiglu.forward
      1 token_logprob.fold
      2 weighted_sum.forward
      1 preference.forward
      1 add.forward
      2 add.backward
      2 weighted_sum.backward
      1 preference.backward
      1 token_logprob.backward
      9 matmul_nn
      9 matmul_tn
      5 norm.backward
      5 norm.finish
      2 swiglu.backward
      2 attention.query.tile
      2 attention.key_value.tile
      1 embedding.order
      1 embedding.backward
      1 embedding.join"
    `);
  });

  test("at 4096 tokens and a vocabulary of 32000 no value but the hidden states is larger than 32 MiB", () => {
    const N = 4096, V = 32000, C = 8;
    const specs = [{ name: "w_in", shape: [C, C], decay: true }, { name: "head", shape: [V, C], decay: true }];
    const { tensors } = createWeights(gpu, specs, true);
    const plan = new Plan("head");
    const h = linear(plan, persistent(gpu, "x", [N, C]), tensors.get("w_in")!);
    const targets = persistent(gpu, "targets", [N], "u32");
    const { logprob } = tokenLogprob(plan, h, tensors.get("head")!, targets);
    const one = persistent(gpu, "one", [1]);
    plan.backward(weightedSum(plan, logprob, persistent(gpu, "mask", [N]), 1), one);
    const storages = new Set(plan.dispatches.flatMap((dispatch) => dispatch.tensors.map((tensor) => tensor.storage)));
    const values = [...storages].filter((storage) => storage.kind === "value");
    const logits = values.filter((storage) => storage.name === "logits");
    expect(logits.length).toBe(2 * Math.ceil(V / 2048)); // each chunk once in the forward and once in the backward pass
    expect(Math.max(...logits.map((storage) => storage.bytes))).toBe(32 << 20);
    // The products of so narrow a head are cut along K: their partial sums are there for two dispatches.
    const parts = values.filter((storage) => storage.name === "matmul.parts");
    expect(Math.max(...parts.map((storage) => storage.bytes))).toBeLessThan(1 << 20);
    const others = values.filter((storage) => storage.name !== "logits" && storage.name !== "matmul.parts");
    expect(Math.max(...others.map((storage) => storage.bytes))).toBe(N * C * 4); // the hidden states and their gradient
    const together = planMemory(plan, true).sizes.filter((bytes) => bytes > 1 << 20);
    expect(together, "chunks take turns in one buffer").toEqual([32 << 20]);
  });

  test("no value is bound for its own sake: what one dispatch writes, another reads", () => {
    const model = createLlama(gpu, config, true);
    const plan = new Plan("sft");
    const inputs = batchInputs(model, 2, 8);
    const { logprob } = score(plan, model, inputs, "none");
    const loss = sftLoss(plan, logprob, inputs.mask);
    plan.backward(loss, model.one);
    const uses = new Map<Storage, number>();
    for (const { tensors } of plan.dispatches) {
      for (const storage of new Set(tensors.map((tensor) => tensor.storage))) {
        if (storage.kind !== "value") continue;
        uses.set(storage, (uses.get(storage) ?? 0) + 1);
      }
    }
    const once = [...uses].flatMap(([storage, count]) => count < 2 ? [storage] : []);
    expect(once).toContain(loss.storage); // read back by the host
    // Sums of a single chunk of the vocabulary, and what fills a binding that a kernel does not use.
    expect(Math.max(...once.map(({ bytes }) => bytes))).toBeLessThanOrEqual(256);
  });
});
