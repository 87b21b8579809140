import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, createWeights, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { embedding, linear, weightedSum } from "../../kernels/mod.ts";
import { measureCeiling, recordCopy, recordMultiplyAdd } from "../../bench/ceiling.ts";
import { bytesOfPick, flopsOfPick } from "../../bench/fixed.ts";
import { kernelRows, movedBytes } from "../../bench/kernels.ts";
import { gptConfig, stepShapes } from "../../bench/shapes.ts";
import { benchStep, countSubmits, flopsOf, stepValues, valueBytes } from "../../bench/step.ts";
import { destroyModel, isSoftware, randomModel, recordMicroStep, recordUpdate } from "../../bench/workload.ts";
import type { Recompute } from "../../src/model/saving.ts";

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
  ropeTheta: 10_000,
  tied: true,
  maxPositions: 32,
  bosId: 1,
  eosId: 2,
};

describe("ceilings", () => {
  test("the multiply-add kernel does all the rounds it is credited with", async () => {
    const source = persistent(gpu, "source", [2, 4]);
    write(gpu, source, Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40));
    const plan = new Plan("ceiling");
    const out = recordMultiplyAdd(plan, source, 3, 5);
    const executable = await compile(gpu, plan);
    await executable.run();
    const [values] = await executable.reader([out]).read();
    // Each of 5 rounds adds 1 eight times to each of the two chains, four lanes: 5 * 8 * 2 * 4 multiply-adds.
    expect([...values.subarray(8, 12)]).toEqual([11, 22, 33, 44].map((start) => start + 2 * 8 * 5));
    expect(flopsOf(plan)).toBe(3 * 5 * 8 * 2 * 4 * 2);
    executable.destroy();
  });

  test("the copy kernel copies, and both ceilings are positive", async () => {
    const source = persistent(gpu, "source", [67, 4]);
    const data = Float32Array.from({ length: 268 }, (_, i) => i + 0.5);
    write(gpu, source, data);
    const plan = new Plan("ceiling");
    const out = recordCopy(plan, source);
    const executable = await compile(gpu, plan);
    await executable.run();
    expect((await executable.reader([out]).read())[0]).toEqual(data);
    executable.destroy();
    const ceiling = await measureCeiling(gpu, 1);
    expect(ceiling.gflops).toBeGreaterThan(0);
    expect(ceiling.gigabytes).toBeGreaterThan(0);
  });
});

describe("figures of kernels and steps", () => {
  test("a product counts 2 M N K FLOPs and each bound tensor once, a stand-in for the bias not again", () => {
    const plan = new Plan("product");
    linear(plan, persistent(gpu, "x", [8, 4]), persistent(gpu, "w", [16, 4]));
    expect(flopsOf(plan)).toBe(2 * 8 * 16 * 4);
    expect(movedBytes(plan.dispatches[0])).toBe(4 * (8 * 4 + 16 * 4 + 8 * 16));
    const profile = [{ kernel: "matmul_nt", count: 1, microseconds: 2, flops: 1024 }];
    const [row] = kernelRows(plan, profile, { gflops: 1, gigabytes: 4 });
    expect(row.values["ms"]).toBe(0.002);
    expect(row.values["GFLOP/s"]).toBeCloseTo(0.512, 12);
    expect(row.values["GB/s"]).toBeCloseTo(0.448, 12);
    expect(row.values["% of time"]).toBe(100);
    expect(row.values["% of ceiling"]).toBeCloseTo(51.2, 10); // 51.2 % of the FLOPs against 11.2 % of the bytes
  });

  test("of an embedding table the rows of the tokens count, forward and backward, and sorting them counts their ids", () => {
    const [N, C] = [32, 16];
    const table = createWeights(gpu, [{ name: "table", shape: [1000, C], decay: true }], true).tensors.get("table")!;
    const plan = new Plan("embedding");
    const y = embedding(plan, persistent(gpu, "ids", [N], "u32"), table);
    plan.backward(weightedSum(plan, y, persistent(gpu, "mix", [N * C]), 1), persistent(gpu, "one", [1]));
    const moved = new Map(plan.dispatches.map((dispatch) => [dispatch.kernel.name, movedBytes(dispatch)]));
    expect(moved.get("embedding.forward")).toBe(4 * (N + 2 * N * C)); // ids, rows, y
    expect(moved.get("embedding.order")).toBe(4 * (N + 2 * N));
    expect(moved.get("embedding.backward")).toBe(4 * (2 * N + 2 * N * C + 4 * 2 * C)); // sorted, dy, rows, parts of 4
  });

  test("a micro-step's products cost what the architecture says, and recomputation adds a forward pass of the blocks but for their outputs", () => {
    const model = randomModel(gpu, config);
    const { C, F, L, H, G, D, V } = config;
    const [B, T] = [2, 16];
    const blocks = L * (2 * H * D * C + 2 * G * D * C + 3 * F * C);
    const products = (recompute: Recompute) => {
      const { plan, destroy } = recordMicroStep(model, "sft", B, T, { recompute });
      destroy();
      const all = plan.dispatches.filter(({ kernel }) => kernel.name.startsWith("matmul"));
      return { flops: all.reduce((sum, { flops }) => sum + flops, 0), bytes: valueBytes(plan) };
    };
    const plain = products("none"), again = products("block");
    // Forward once and backward twice; the head's logits fit one chunk, which is kept.
    expect(plain.flops).toBe(2 * B * T * 3 * (blocks + V * C));
    // A block that runs again leaves its last product out: nothing but the block's output needs it.
    expect(again.flops - plain.flops).toBe(2 * B * T * (blocks - L * F * C));
    expect(plain.bytes.shared).toBeLessThan(plain.bytes.unshared);
    destroyModel(model);
  });

  const gpt = gptConfig({ V: 64, T: 16, C: 16, L: 2, H: 2, B: 2 });
  for (const [kind, shape] of [["Llama", config], ["GPT", gpt]] as const) {
    test(`the workloads run to a finite loss near that of guessing: ${kind}`, async () => {
      const model = "ropeTheta" in shape ? randomModel(gpu, shape) : randomModel(gpu, shape);
      const losses: number[] = [];
      for (const recipe of ["sft", "dpo", "ppo"] as const) {
        const recorded = recordMicroStep(model, recipe, 2, 16);
        const executable = await compile(gpu, recorded.plan);
        await executable.run();
        losses.push((await executable.reader([recorded.loss]).read())[0][0]);
        executable.destroy();
        recorded.destroy();
      }
      destroyModel(model);
      expect(losses[0]).toBeCloseTo(Math.log(config.V), 1);
      // -log sigmoid(0.1 margin) with a margin near 0, and a tenth of the winners' SFT loss.
      expect(losses[1]).toBeCloseTo(Math.log(2) + 0.1 * Math.log(config.V), 1);
      // Advantages 1 at ratios near 1, and a tenth of half the squared error of values 0 for returns 1.
      expect(losses[2]).toBeCloseTo(-1 + 0.1 / 2, 1);
    });
  }

  test("a step's rows: one submit each, dispatches of micro-step and update added, everything in the peak", async () => {
    const shape = { name: "nano", config: gpt, B: 2, T: 16, savings: false };
    const { rows } = await benchStep(gpu, shape, { gflops: 1, gigabytes: 1 }, 1);
    const row = (name: string) => rows.find((each) => each.name === name)!.values;
    expect(rows.map(({ name }) => name)).toEqual(["sft", "dpo", "ppo", "update", "sft and update"]);
    for (const name of ["sft", "dpo", "ppo", "sft and update"]) expect(row(name).submits, name).toBe(1);
    expect(row("sft and update").dispatches).toBe(row("sft").dispatches + row("update").dispatches);
    expect(row("ppo").dispatches).toBeGreaterThan(row("sft").dispatches);
    const state = 16 * 2 * 16 * (64 + 12 * 16); // more than the bytes of matrices, gradients and moments
    expect(row("sft")["peak MB"]).toBeGreaterThan((state + row("sft")["values MB"] * 1e6) / 1e6);
    expect(row("sft")["peak MB"]).toBeLessThan(4);
  });

  test("submits are counted while the work lasts, and not behind it", async () => {
    const { queue } = gpu.device;
    const submit = () => queue.submit([]);
    expect(await countSubmits(gpu, () => Promise.all([submit(), submit(), submit()]))).toBe(3);
    const failing = () => Promise.reject(new Error("broken"));
    await expect(countSubmits(gpu, failing)).rejects.toThrow("broken");
    expect(Object.hasOwn(queue, "submit")).toBe(false);
  });

  test("what a kernel adds to or changes in place counts as read and as written", () => {
    const x = persistent(gpu, "x", [6, 4]);
    const w = createWeights(gpu, [{ name: "w", shape: [8, 4], decay: true }], true).tensors.get("w")!;
    const plan = new Plan("both ways", gpu);
    const y = linear(plan, x, w);
    plan.backward(weightedSum(plan, y, persistent(gpu, "mix", [48]), 1), persistent(gpu, "one", [1]));
    const [forward, backward] = ["matmul_nt", "matmul_tn"].map((op) => plan.picks.find((pick) => pick.op.name === op)!);
    expect(flopsOfPick(gpu, forward)).toBe(2 * 6 * 8 * 4);
    expect(bytesOfPick(forward)).toBe(4 * (6 * 4 + 8 * 4 + 6 * 8));
    expect(bytesOfPick(backward)).toBe(4 * (6 * 8 + 6 * 4 + 2 * 8 * 4)); // dw += dy^T x

    const model = randomModel(gpu, config);
    const update = recordUpdate(model);
    const matrices = model.weights.pages[0];
    const adamw = update.plan.dispatches.find(({ kernel, tensors }) =>
      kernel.name === "adamw" && tensors.some(({ storage }) => storage === matrices.weights.storage)
    )!;
    expect(movedBytes(adamw)).toBe(4 * (8 + 2) + 8 * 4 * matrices.elements); // four buffers, read and written
    update.destroy();
    destroyModel(model);
  });

  test("software adapters get shapes that take them seconds, GPUs models of real size", async () => {
    const names = async (software: boolean, large: boolean) =>
      (await stepShapes(software, large)).map(({ name }) => name);
    expect(await names(true, false)).toEqual(["micro 16x64", "tiny-GPT 8x128"]);
    expect(await names(true, true)).toEqual(["micro 16x64", "tiny-GPT 8x128", "small-GPT 4x256"]);
    expect((await names(false, false)).slice(3)).toEqual(["large 8x512", "GPT 124M 4x1024", "Llama 1B 2x1024"]);
  });

  test("a step of 1000 tokens and 1 GFLOP in 20 ms is 50,000 tokens/s and a quarter of a 200 GFLOP/s ceiling", () => {
    expect(stepValues(1000, 1e9, 20, { gflops: 200, gigabytes: 1 })).toEqual({
      ms: 20,
      "tokens/s": 50_000,
      "GFLOP/s": 50,
      "% of ceiling": 25,
    });
  });

  test("software adapters are told from GPUs by name", () => {
    expect(["llvmpipe (LLVM 15.0.6, 256 bits), 65541", "SwiftShader Device"].map(isSoftware)).toEqual([true, true]);
    expect(["NVIDIA H100, 4318", "Apple M3"].map(isSoftware)).toEqual([false, false]);
  });
});
