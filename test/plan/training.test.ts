import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type DebugWord, type Gpu, openGpu } from "../../src/plan/mod.ts";
import { createLlama, initialize } from "../../src/model/llama.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { createDpoStep } from "../../src/recipes/dpo_step.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { random } from "../kernels/check_op.ts";
import { RECOMPUTE, type Saving } from "../../src/model/saving.ts";

const config: LlamaConfig = {
  C: 20,
  F: 28,
  L: 2,
  H: 4,
  G: 2,
  D: 8,
  V: 70,
  normEps: 1e-5,
  ropeTheta: 10000,
  tied: true,
  maxPositions: 32,
  bosId: 1,
  eosId: 2,
};

function sequences(count: number): Sequence[] {
  const draw = random(3);
  return Array.from({ length: count }, () => {
    const length = 4 + Math.floor(draw() * 20);
    return { tokens: Array.from({ length }, () => Math.floor(draw() * config.V)), promptLength: 2 };
  });
}

/** Weights and losses of a few SFT steps on a fresh device. */
async function train(options: { debug?: DebugWord[]; saving?: Saving }) {
  const gpu = await openGpu({ debug: new Set(options.debug) });
  const model = createLlama(gpu, config, true);
  initialize(model, 5);
  const step = await createSftStep(whole(model), {
    microBatch: 3,
    padId: 0,
    adamw: ADAMW,
    ...options.saving ?? { recompute: "none" },
  });
  const losses: number[] = [];
  for (let i = 1; i <= 3; i++) {
    await step.accumulate(sequences(7));
    await step.optimizer.update(i, 1e-2);
    losses.push((await step.metrics(1)).loss);
  }
  const [weights] = await createReader(gpu, [model.weights.pages[0].weights]).read();
  gpu.close();
  return { losses, weights };
}

describe("a training step", () => {
  let gpu: Gpu;
  beforeAll(async () => void (gpu = await openGpu()));
  afterAll(() => gpu.close());

  test("gives the same bits with shared and unshared memory, with and without recomputation", async () => {
    const plain = await train({});
    expect(plain.losses[2]).toBeLessThan(plain.losses[0]);
    const savings = RECOMPUTE.slice(1).map((recompute) => ({ saving: { recompute } }));
    for (const other of [{ debug: ["noshare" as const] }, ...savings]) {
      const got = await train(other);
      expect(got.losses, JSON.stringify(other)).toEqual(plain.losses);
      expect(got.weights, JSON.stringify(other)).toEqual(plain.weights);
    }
  });

  test("creates no GPU object after warm-up", async () => {
    const model = createLlama(gpu, config, true);
    initialize(model, 5);
    const options = { padId: 0, adamw: ADAMW, recompute: "none" as const };
    const sft = await createSftStep(whole(model), { microBatch: 4, ...options });
    const dpo = await createDpoStep(whole(model), {
      microBatch: 2,
      beta: 0.1,
      alpha: 0.1,
      labelSmoothing: 0,
      ...options,
    });
    const batch = sequences(6);
    const pairs = [0, 2, 4].map((i) => ({
      chosen: batch[i],
      rejected: batch[i + 1],
      referenceChosen: -9,
      referenceRejected: -8,
    }));
    let steps = 0;
    const round = async () => {
      await sft.accumulate(batch);
      await sft.optimizer.update(++steps, 1e-3);
      await sft.metrics(1);
      await dpo.accumulate(pairs);
      await dpo.optimizer.update(steps, 1e-3);
      await dpo.metrics(1);
    };
    await round();
    // Command encoders are single use by the standard; everything else that a device can make must have been made.
    const created: string[] = [];
    const device = gpu.device as unknown as Record<string, unknown>;
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(device))
      .filter((name) => name.startsWith("create") && name !== "createCommandEncoder");
    expect(names).toContain("createBuffer");
    for (const name of names) {
      const original = device[name] as (...args: unknown[]) => unknown;
      device[name] = (...args: unknown[]) => {
        created.push(name);
        return original.apply(device, args);
      };
    }
    for (let i = 0; i < 3; i++) await round();
    for (const name of names) delete device[name];
    expect(created).toEqual([]);
    sft.destroy();
    dpo.destroy();
  });

  test("is one submit if its sequences fit one micro-batch", async () => {
    const model = createLlama(gpu, config, true);
    initialize(model, 5);
    const step = await createSftStep(whole(model), {
      microBatch: 4,
      padId: 0,
      adamw: ADAMW,
      recompute: "none" as const,
    });
    const batch = sequences(4);
    await step.accumulate(batch);
    await step.optimizer.update(1, 1e-3);
    const queue = gpu.device.queue as unknown as { submit?: (buffers: Iterable<GPUCommandBuffer>) => void };
    const original = queue.submit!.bind(queue);
    let submits = 0;
    queue.submit = (buffers) => (submits++, original(buffers));
    for (let i = 2; i < 5; i++) {
      await step.accumulate(batch);
      await step.optimizer.update(i, 1e-3);
    }
    delete queue.submit;
    expect(submits).toBe(3);
    step.destroy();
  });
});
