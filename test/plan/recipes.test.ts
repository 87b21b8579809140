import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu, Plan } from "../../src/plan/mod.ts";
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
    expect(kernelCounts(describeRecipe(gpu, config, "sft", 2, 8, false))).toMatchInlineSnapshot(`
      "plan sft.2x8: 106 dispatches, 583 kFLOP, values 38.5 kB in 35 buffers (75.9 kB unshared)
      1 embedding.forward
      5 rmsnorm.forward
      16 matmul_nt
      8 rope
      2 attention.forward
      4 add.forward
      2 swiglu.forward
      1 token_logprob.fold
      1 token_logprob.finish
      1 weighted_sum.forward
      1 weighted_sum.backward
      1 token_logprob.backward
      15 matmul_nn
      15 matmul_tn
      5 rmsnorm.gain
      5 sum_rows.total
      5 rmsnorm.input
      8 add.backward
      2 swiglu.backward
      2 attention.delta
      2 attention.query
      2 attention.key_value
      1 embedding.link
      1 embedding.backward"
    `);
  });

  test("SFT with recomputation runs each block's forward kernels once more", () => {
    expect(kernelCounts(describeRecipe(gpu, config, "sft", 2, 8, true))).toMatchInlineSnapshot(`
      "plan sft.2x8: 136 dispatches, 725 kFLOP, values 26.8 kB in 18 buffers (107 kB unshared)
      1 embedding.forward
      9 rmsnorm.forward
      30 matmul_nt
      12 rope
      4 attention.forward
      8 add.forward
      4 swiglu.forward
      1 token_logprob.fold
      1 token_logprob.finish
      1 weighted_sum.forward
      1 weighted_sum.backward
      1 token_logprob.backward
      15 matmul_nn
      15 matmul_tn
      5 rmsnorm.gain
      5 sum_rows.total
      5 rmsnorm.input
      8 add.backward
      2 swiglu.backward
      2 attention.delta
      2 attention.query
      2 attention.key_value
      1 embedding.link
      1 embedding.backward"
    `);
  });

  test("DPO dispatches these kernels, this often", () => {
    expect(kernelCounts(describeRecipe(gpu, config, "dpo", 2, 8, false))).toMatchInlineSnapshot(`
      "plan dpo.2x8: 113 dispatches, 583 kFLOP, values 38.5 kB in 36 buffers (76.0 kB unshared)
      1 embedding.forward
      5 rmsnorm.forward
      16 matmul_nt
      8 rope
      2 attention.forward
      5 add.forward
      2 swiglu.forward
      1 token_logprob.fold
      1 token_logprob.finish
      2 weighted_sum.forward
      1 dpo.forward
      10 add.backward
      2 weighted_sum.backward
      1 dpo.backward
      1 token_logprob.backward
      15 matmul_nn
      15 matmul_tn
      5 rmsnorm.gain
      5 sum_rows.total
      5 rmsnorm.input
      2 swiglu.backward
      2 attention.delta
      2 attention.query
      2 attention.key_value
      1 embedding.link
      1 embedding.backward"
    `);
  });

  test("no value is bound for its own sake: what one dispatch writes, another reads", () => {
    const model = createLlama(gpu, config, true);
    const plan = new Plan("sft");
    const inputs = batchInputs(model, 2, 8);
    const { logprob } = score(plan, model, inputs, false);
    const loss = sftLoss(plan, logprob, inputs.mask);
    plan.backward(loss, model.one);
    const uses = new Map<string, number>();
    for (const { tensors } of plan.dispatches) {
      for (const storage of new Set(tensors.map((tensor) => tensor.storage))) {
        if (storage.kind !== "value") continue;
        const key = `${storage.id} ${storage.name}`;
        uses.set(key, (uses.get(key) ?? 0) + 1);
      }
    }
    const once = [...uses].flatMap(([name, count]) => count < 2 ? [name] : []);
    expect(once).toEqual([`${loss.storage.id} ${loss.storage.name}`]); // read back by the host
  });
});
