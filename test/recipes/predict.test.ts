import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { createGenerator } from "../../src/model/generate.ts";
import { positionsOf } from "../../src/recipes/batches.ts";
import { DPO, type DpoConfig, trainDpo } from "../../src/recipes/dpo.ts";
import { formatPrediction, predict, requireMemory, savings, type Workload } from "../../src/recipes/predict.ts";
import { whole } from "../../src/recipes/policy.ts";
import { SFT, type SftConfig, trainSft } from "../../src/recipes/sft.ts";
import { metricsOf, PAD, pairs, sequences, TINY, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const model = { ...TINY, L: 2 };
const SFT_CONFIG: SftConfig = { ...SFT, steps: 2, batchSize: 10, microBatch: 2, logEvery: 1, checkpointEvery: 1 };
const DPO_CONFIG: DpoConfig = { ...DPO, steps: 2, batchSize: 9, microBatch: 2, logEvery: 1, checkpointEvery: 1 };
const data = sequences(10, 7);
const preferences = pairs(9, 3);
const pairLengths = preferences.map(({ chosen, rejected }) => Math.max(positionsOf(chosen), positionsOf(rejected)));

/** The most bytes that buffers which `work` creates have at one time. */
async function bytesOf(work: (gpu: Gpu) => Promise<unknown>): Promise<number> {
  const device = gpu.device as unknown as { createBuffer?: (descriptor: GPUBufferDescriptor) => GPUBuffer };
  const original = device.createBuffer!.bind(gpu.device);
  let live = 0, most = 0;
  device.createBuffer = (descriptor) => {
    const buffer = original(descriptor);
    most = Math.max(most, live += buffer.size);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    buffer.destroy = () => {
      if (alive) live -= buffer.size;
      alive = false;
      destroy();
    };
    return buffer;
  };
  expect(gpu.valuePool, "no plan of another test may lend its memory").toEqual([]);
  await work(gpu);
  delete device.createBuffer;
  return most;
}

const runSft = (config: SftConfig) => (own: Gpu) =>
  metricsOf(trainSft(config, {
    host: memoryHost(),
    policy: whole(tinyLlama(own, 1, model)),
    sequences: data,
    padId: PAD,
    checkpoints: "run",
  }));

const runDpo = (config: DpoConfig, sampling?: { B: number; S: number }) => async (own: Gpu) => {
  const llama = tinyLlama(own, 1, model);
  const generator = sampling && await createGenerator(llama, sampling.B, sampling.S);
  const given = { host: memoryHost(), pairs: preferences, padId: PAD, checkpoints: "run", modelId: "m" };
  await metricsOf(trainDpo(config, { ...given, policy: whole(llama) }));
  generator?.destroy();
};

describe("the predicted peak is what the run creates, to the byte", () => {
  for (
    const change of [
      {},
      { recompute: "block" as const },
      { recompute: "cheap" as const, activations: "f16" as const, moments: "8bit" as const },
      { pack: true },
      { microBatch: 5 },
    ]
  ) {
    test(`SFT ${JSON.stringify(change)}`, async () => {
      const config = { ...SFT_CONFIG, ...change };
      const { peakBytes, parts } = await predict(gpu, { recipe: "sft", config, model, lengths: data.map(positionsOf) });
      expect(peakBytes).toBe(await bytesOf(runSft(config)));
      expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(peakBytes);
    });

    test(`DPO ${JSON.stringify(change)}`, async () => {
      const config = { ...DPO_CONFIG, ...change };
      const { peakBytes } = await predict(gpu, { recipe: "dpo", config, model, lengths: pairLengths });
      expect(peakBytes).toBe(await bytesOf(runDpo(config)));
    });
  }

  test("DPO beside a generator", async () => {
    const sampling = { B: 6, S: 40 };
    const workload: Workload = { recipe: "dpo", config: DPO_CONFIG, model, lengths: pairLengths, sampling };
    const { peakBytes, parts } = await predict(gpu, workload);
    expect(peakBytes).toBe(await bytesOf(runDpo(DPO_CONFIG, sampling)));
    expect(parts.map(({ name }) => name)).toContain("key/value cache");
  });
});

describe("a run that does not fit", () => {
  const config = { ...DPO_CONFIG, microBatch: 32, recompute: "none" as const };
  const lengths = [100, 20];
  const sampling = { B: 32, S: 128 };
  const workload: Workload = { recipe: "dpo", config, model, lengths, sampling };

  test("is refused in one line with what each option would leave, and each is what a prediction with it says", async () => {
    const prediction = await predict(gpu, workload);
    const error = await requireMemory(gpu, workload, prediction, prediction.peakBytes - 1).catch((error) => error);
    expect(error.message).toMatch(/^Cannot train: [\d.]+ MB of GPU memory needed, [\d.]+ MB there \(activations/);
    expect(error.message).not.toContain("\n");
    const found = await savings(gpu, workload);
    expect(found.map(({ option }) => option).sort()).toEqual([
      "--activations f16",
      "--micro-batch 16",
      "--moments 8bit",
      "--recompute block",
      "--recompute block --activations f16 --moments 8bit --micro-batch 16 --sample-batch 16",
      "--recompute cheap",
      "--sample-batch 16",
    ]);
    expect(error.message).toContain(`With ${found[0].option}: `);
    for (const { option } of found.slice(1)) expect(error.message).toContain(`; with ${option}: `);
    const direct = await predict(gpu, { ...workload, config: { ...config, recompute: "block" } });
    expect(found.find(({ option }) => option === "--recompute block")!.peakBytes).toBe(direct.peakBytes);
    for (const { peakBytes } of found) expect(peakBytes).toBeLessThan(prediction.peakBytes);
  });

  test("runs with exactly the memory it needs", async () => {
    const prediction = await predict(gpu, workload);
    await requireMemory(gpu, workload, prediction, prediction.peakBytes);
  });

  test("says of an option that it does not save enough", async () => {
    const prediction = await predict(gpu, workload);
    await expect(requireMemory(gpu, workload, prediction, 1000)).rejects.toThrow(
      /1\.00 kB there.*--recompute block .*--sample-batch 16: [\d.]+ MB, still too much/,
    );
  });
});

test("a model far beyond this machine is predicted in no time and no memory", async () => {
  const large = {
    ...TINY,
    C: 4096,
    F: 11008,
    L: 32,
    H: 32,
    G: 32,
    D: 128,
    V: 32000,
    tied: false,
    maxPositions: 2048,
  };
  const wide = { ...gpu, traits: { ...gpu.traits, bindingBytes: 2 ** 31 }, limits: { maxBufferSize: 2 ** 32 } } as Gpu;
  const config = { ...SFT, microBatch: 1 };
  const prediction = await predict(wide, { recipe: "sft", config, model: large, lengths: [2048] });
  expect(prediction.parameters).toBe(6_738_415_616); // Llama 2's 7B
  // Weights, gradients and two moments in f32 alone.
  expect(prediction.peakBytes).toBeGreaterThan(16 * prediction.parameters);
  expect(prediction.peakBytes).toBeLessThan(20 * prediction.parameters);
  expect(formatPrediction(prediction)).toMatch(/Adam's moments +53\.9 GB/);
});
