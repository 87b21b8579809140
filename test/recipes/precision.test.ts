import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import {
  checkGuards,
  compile,
  createReader,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  planMemory,
  write,
} from "../../src/plan/mod.ts";
import { cast } from "../../kernels/mod.ts";
import { parseConfig } from "../../src/model/config.ts";
import { createLlama, initialize, type Llama, setWeights } from "../../src/model/llama.ts";
import { RECOMPUTE, type Recompute, saveMemory, type Saving } from "../../src/model/saving.ts";
import { readSafetensors } from "../../src/files/safetensors.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { ADAMW, type AdamWConfig } from "../../src/optim/adamw.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { batchInputs, score } from "../../src/recipes/scorer.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import { expectClose, GUARDED, random } from "../kernels/check_op.ts";
import { PAD, sequences, TINY, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const folder = "llama_torch_untied";
const read = (path: string) => readFileSync(new URL(`../golden/${folder}/${path}`, import.meta.url));

function golden(on = gpu): { model: Llama; batch: Sequence[]; want: ReturnType<typeof readSafetensors>["tensors"] } {
  const model = createLlama(on, parseConfig(read("config.json").toString(), "config.json"), true);
  setWeights(model, readSafetensors(read("model.safetensors"), "model.safetensors").tensors, "model.safetensors");
  const { ids, lengths, promptLengths } = JSON.parse(read("golden.json").toString()).sft;
  const batch = ids.map((row: number[], b: number) => ({
    tokens: row.slice(0, lengths[b]),
    promptLength: promptLengths[b],
  }));
  return { model, batch, want: readSafetensors(read("golden.safetensors"), "golden.safetensors").tensors };
}

/** Bytes of the values of one training step of a Llama with L layers. */
function planOf(saving: Saving, L = 4): Plan {
  const model = createLlama(gpu, { ...TINY, L }, true);
  const inputs = batchInputs(model, 4, 32);
  const plan = new Plan("measured", gpu);
  const loss = sftLoss(plan, score(plan, model, inputs, saving.recompute).logprob, inputs.mask);
  plan.backward(loss, model.one);
  saveMemory(plan, saving);
  return plan;
}
const bytesOf = (saving: Saving, L?: number) => planMemory(planOf(saving, L), true).liveBytes;

describe("casts to f16 and back", () => {
  test("round to the nearest half, cut at the largest, and stay within odd lengths", async () => {
    const guarded = await openGpu(GUARDED);
    for (const N of [1, 2, 7, 64, 1023, 1024]) {
      const draw = random(N);
      const x = Float32Array.from(
        { length: N },
        (_, i) => [1e9, -1e9, 65504, 1e-9, 0][i] ?? (draw() - 0.5) * 10 ** (draw() * 6 - 3),
      );
      const from = persistent(guarded, "x", [N]);
      write(guarded, from, x);
      const plan = new Plan("cast", guarded);
      const half = plan.value("half", [N], "f16");
      const back = plan.keep(plan.value("back", [N]));
      cast(plan, from, half);
      cast(plan, half, back);
      const executable = await compile(guarded, plan);
      await executable.run();
      const [got] = await executable.reader([back]).read();
      await checkGuards(guarded);
      const want = x.map((value) => new Float16Array([Math.min(65504, Math.max(-65504, value))])[0]);
      // Adapters may round to a neighbour; half a unit in the last place more is 2^-11 of the value.
      expectClose(got, want, 2 ** -24, 2 ** -10, `${N} elements`);
      executable.destroy();
    }
    guarded.close();
  });
});

describe("activations kept as f16", () => {
  test("every gradient is within 1e-2 of torch's float64 ones, relative to the largest, whatever is recomputed", async () => {
    for (const recompute of RECOMPUTE) {
      const { model, batch, want } = golden();
      const adamw = { ...ADAMW, maxGradNorm: 0 };
      const step = await createSftStep(whole(model), {
        microBatch: 2,
        padId: PAD,
        adamw,
        recompute,
        activations: "f16",
      });
      await step.accumulate(batch);
      const names = [...model.weights.tensors.keys()];
      const gradients = await createReader(
        gpu,
        names.map((name) => {
          const tensor = model.weights.tensors.get(name)!;
          return { ...tensor, storage: tensor.storage.gradient! };
        }),
      ).read();
      names.forEach((name, i) => {
        const expected = want.get(`grad.${name}`)!.data;
        const largest = expected.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
        expectClose(gradients[i], expected, 1e-2 * largest, 0, `${recompute}: gradient of ${name}`);
      });
      step.destroy();
    }
  });

  test("the forward pass keeps its bits, and the gradients differ from f32's: something was rounded", async () => {
    const results = [];
    for (const activations of ["f32", "f16"] as const) {
      const { model, batch } = golden();
      const step = await createSftStep(whole(model), {
        microBatch: 2,
        padId: PAD,
        adamw: ADAMW,
        recompute: "none",
        activations,
      });
      await step.accumulate(batch);
      const [gradients] = await createReader(gpu, [model.weights.pages[0].gradients!]).read();
      results.push({ loss: (await step.metrics(1)).loss, gradients });
      step.destroy();
    }
    expect(results[1].loss).toBe(results[0].loss);
    expect(results[1].gradients).not.toEqual(results[0].gradients);
  });
});

describe("memory of activations", () => {
  test("falls from none over cheap to block, and f16 takes less than f32 each time", () => {
    const f32 = Object.fromEntries(RECOMPUTE.map((recompute) => [recompute, bytesOf({ recompute }, 8)]));
    expect(f32.cheap).toBeLessThan(0.8 * f32.none);
    expect(f32.mlp).toBeLessThan(f32.cheap);
    expect(f32.attention).toBeLessThan(f32.cheap);
    expect(f32.block).toBeLessThan(Math.min(f32.mlp, f32.attention));
    for (const recompute of RECOMPUTE) {
      expect(bytesOf({ recompute, activations: "f16" }, 8), recompute).toBeLessThan(0.9 * f32[recompute]);
    }
  });

  test("what a layer adds: f16 is at most 0.56 of f32, norms and activations at least a quarter", () => {
    const layer = (saving: Saving) => bytesOf(saving, 9) - bytesOf(saving, 8);
    const f32 = layer({ recompute: "none" });
    expect(layer({ recompute: "none", activations: "f16" }) / f32).toBeLessThan(0.56);
    expect(layer({ recompute: "cheap" }) / f32).toBeLessThan(0.75);
  });

  test("cheap recomputation costs no product and no attention", () => {
    const heavy = (recompute: Recompute) =>
      planOf({ recompute }).dispatches.filter(({ kernel }) => /matmul|attention/.test(kernel.name)).length;
    expect(heavy("cheap")).toBe(heavy("none"));
    expect(heavy("mlp")).toBeGreaterThan(heavy("none"));
  });

  test("rewriting a plan without a backward pass is an error", () => {
    expect(() => saveMemory(new Plan("score", gpu), { recompute: "cheap" })).toThrow(
      "Cannot recompute values of score: it has no backward pass yet",
    );
    expect(() => saveMemory(new Plan("score", gpu), { recompute: "none", activations: "f16" })).toThrow(
      "Cannot compress score: it has no backward pass yet",
    );
  });
});

describe("convergence", () => {
  /** Loss after 30 steps on the same sequences. */
  async function lossAfter(saving: Saving, adamw: Partial<AdamWConfig>): Promise<number[]> {
    const model = tinyLlama(gpu, 3, { L: 2 });
    initialize(model, 3);
    const step = await createSftStep(whole(model), {
      microBatch: 8,
      padId: PAD,
      adamw: { ...ADAMW, ...adamw },
      ...saving,
    });
    const losses = [];
    for (let i = 1; i <= 30; i++) {
      await step.accumulate(sequences(8, 5));
      await step.optimizer.update(i, 5e-3);
      if (i % 10 === 0) losses.push((await step.metrics(10)).loss);
    }
    step.destroy();
    return losses;
  }

  test("f16 activations and 8-bit moments learn what f32 learns: losses within 1 and 5 %", async () => {
    const plain = await lossAfter({ recompute: "none" }, {});
    expect(plain[2]).toBeLessThan(plain[0] / 2);
    const half = await lossAfter({ recompute: "cheap", activations: "f16" }, {});
    const bit8 = await lossAfter({ recompute: "none" }, { moments: "8bit" });
    plain.forEach((loss, i) => {
      expect(Math.abs(half[i] / loss - 1), `f16, loss ${half[i]} against ${loss}`).toBeLessThan(0.01);
      expect(Math.abs(bit8[i] / loss - 1), `8 bits, loss ${bit8[i]} against ${loss}`).toBeLessThan(0.05);
    });
    expect(bit8).not.toEqual(plain);
  });
});
