import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { compile, type Gpu, openGpu, persistent, Plan, planMemory, type Storage, write } from "../../src/plan/mod.ts";
import { add, linear } from "../../kernels/mod.ts";
import { createLlama } from "../../src/model/llama.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { batchInputs, score } from "../../src/recipes/scorer.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const config = {
  C: 32,
  F: 40,
  L: 3,
  H: 4,
  G: 2,
  D: 8,
  V: 640,
  normEps: 1e-5,
  ropeTheta: 10000,
  tied: true,
  maxPositions: 32,
  bosId: 1,
  eosId: 2,
};

/** Forward and backward of a small Llama. */
function recorded(recompute: boolean): Plan {
  const model = createLlama(gpu, config, true);
  const plan = new Plan("sft", gpu);
  const inputs = batchInputs(model, 3, 20);
  const loss = sftLoss(plan, score(plan, model, inputs, recompute ? "block" : "none").logprob, inputs.mask);
  plan.keep(loss);
  plan.backward(loss, model.one);
  return plan;
}

const total = (sizes: readonly number[]) => sizes.reduce((sum, bytes) => sum + bytes, 0);

/** First and last dispatch that binds a value; kept values live on. */
function usesOf(plan: Plan, storage: Storage): [number, number] {
  const uses = plan.dispatches.flatMap(({ tensors }, i) => tensors.some((t) => t.storage === storage) ? [i] : []);
  return [uses[0], plan.kept.has(storage) ? Infinity : uses[uses.length - 1]];
}

describe("shared memory", () => {
  for (const recompute of [false, true]) {
    const words = recompute ? "with recomputation" : "plain";

    test(`values that overlap in memory never live at the same time (${words})`, () => {
      const plan = recorded(recompute);
      const memory = planMemory(plan, true);
      const all = [...memory.places].map(([storage, place]) => ({ storage, place, life: usesOf(plan, storage) }));
      let overlaps = 0;
      for (const [i, a] of all.entries()) {
        expect(a.place.offset % 256).toBe(0);
        expect(a.place.offset + a.storage.bytes).toBeLessThanOrEqual(memory.sizes[a.place.buffer]);
        for (const b of all.slice(i + 1)) {
          if (a.place.buffer !== b.place.buffer) continue;
          const apart = a.place.offset + a.storage.bytes <= b.place.offset ||
            b.place.offset + b.storage.bytes <= a.place.offset;
          if (apart) continue;
          overlaps++;
          const after = a.life[1] < b.life[0] || b.life[1] < a.life[0];
          expect(after, `${a.storage.name} and ${b.storage.name}`).toBe(true);
        }
      }
      expect(overlaps).toBeGreaterThan(20);
    });

    test(`no dispatch writes to a buffer that it also binds for another value (${words})`, () => {
      const plan = recorded(recompute);
      const { places } = planMemory(plan, true);
      for (const { kernel, tensors } of plan.dispatches) {
        const values = tensors.map(({ storage }, k) => ({ storage, written: kernel.bindings[k] !== "read" }))
          .filter(({ storage }) => storage.kind === "value");
        for (const a of values.filter(({ written }) => written)) {
          for (const b of values) {
            if (a.storage === b.storage) continue;
            expect(places.get(a.storage)!.buffer, `${kernel.name}: ${a.storage.name} beside ${b.storage.name}`)
              .not.toBe(places.get(b.storage)!.buffer);
          }
        }
      }
    });

    // With recomputation the logits outweigh all else for a few dispatches, and what meets them needs buffers of its own.
    const bound = recompute ? 1.2 : 1.05;
    test(`takes at most ${bound} times the bytes that live at one time (${words})`, () => {
      const memory = planMemory(recorded(recompute), true);
      expect(total(memory.sizes)).toBeGreaterThanOrEqual(memory.liveBytes);
      expect(total(memory.sizes) / memory.liveBytes).toBeLessThan(bound);
      expect(memory.liveBytes).toBeLessThan(0.7 * memory.unsharedBytes);
    });
  }

  test("a block that runs again leaves out what only its output needs", () => {
    const [plain, again] = [recorded(false), recorded(true)];
    const count = (plan: Plan, name: RegExp) => plan.dispatches.filter(({ kernel }) => name.test(kernel.name)).length;
    expect(count(again, /^swiglu.forward/)).toBe(2 * count(plain, /^swiglu.forward/));
    expect(count(again, /^attention.*forward/)).toBe(2 * count(plain, /^attention.*forward/));
    const values = new Map<Storage, number>();
    for (const { tensors } of again.dispatches) {
      for (const storage of new Set(tensors.map((tensor) => tensor.storage))) {
        if (storage.kind === "value") values.set(storage, (values.get(storage) ?? 0) + 1);
      }
    }
    const once = [...values].flatMap(([{ name }, uses]) => uses < 2 ? [name] : []);
    expect(once.filter((name) => /sum|mlp/.test(name))).toEqual(["logprob.sum"]); // the loss
  });

  test("is planned the same way every time", () => {
    const [one, two] = [planMemory(recorded(true), true), planMemory(recorded(true), true)];
    expect([...one.places.values()]).toEqual([...two.places.values()]);
    expect(one.sizes).toEqual(two.sizes);
  });

  test("no buffer grows beyond what the adapter holds", () => {
    const plan = recorded(false);
    const limit = Math.max(...planMemory(plan, false).sizes);
    const { sizes, liveBytes } = planMemory(plan, true, limit);
    expect(limit).toBeLessThan(liveBytes / 2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
  });

  test("a kept value lies alone, so that another plan cannot overwrite it before it is read", async () => {
    const one = new Plan("one", gpu);
    const x = persistent(gpu, "x", [64]);
    write(gpu, x, new Float32Array(64).fill(1));
    const sum = one.keep(add(one, x, x));
    const other = new Plan("other", gpu);
    other.keep(add(other, add(other, x, x), add(other, x, x)));
    const [first, second] = [await compile(gpu, one), await compile(gpu, other)];
    await first.enqueue();
    await second.run();
    const reader = first.reader([sum]);
    expect([...(await reader.read())[0]]).toEqual(Array(64).fill(2));
    for (const each of [reader, first, second]) each.destroy();
  });

  test("plans of several lengths live in the memory of the longest, compiled first; the last one out frees it", async () => {
    const own = await openGpu();
    const model = createLlama(own, config, true);
    const compiled = async (T: number) => {
      const plan = new Plan(`sft.${T}`, own);
      const inputs = batchInputs(model, 3, T);
      const loss = sftLoss(plan, score(plan, model, inputs, "none").logprob, inputs.mask);
      plan.backward(loss, model.one);
      return await compile(own, plan);
    };
    const long = await compiled(32);
    const bytes = own.valuePool.reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBe(long.valueBytes);
    const short = [await compiled(16), await compiled(24)];
    expect(own.valuePool.reduce((sum, { size }) => sum + size, 0)).toBe(bytes);
    long.destroy();
    expect(own.valuePool.length).toBeGreaterThan(0);
    for (const each of short) each.destroy();
    expect(own.valuePool).toEqual([]);
    own.close();
  });
});

describe("memory that is not there", () => {
  test("a buffer larger than the adapter's largest is refused by name and bytes", () => {
    const { maxBufferSize } = gpu.limits;
    const rows = Math.ceil(maxBufferSize / 4096) + 1;
    expect(() => persistent(gpu, "cache.0.keys", [rows, 1024])).toThrow(
      `Cannot allocate cache.0.keys: ${rows * 4096} bytes, the adapter`,
    );
  });

  test("an out-of-memory error of the device names the buffer and its bytes", async () => {
    const own = await openGpu();
    // A software driver hands out what it does not have, so the device's answer is put in its place.
    const device = own.device as unknown as { popErrorScope: () => Promise<GPUError | null> };
    const original = device.popErrorScope.bind(own.device);
    device.popErrorScope = async () => (await original()) ?? new GPUOutOfMemoryError("no memory");
    persistent(own, "gradients", [1000]);
    device.popErrorScope = original;
    await vi.waitFor(() =>
      expect(() => own.check()).toThrow("Cannot allocate gradients: the GPU has no 4096 bytes left")
    );
    own.close();
  });

  test("a value beyond the binding limit is refused while recording, with what to do", () => {
    const plan = new Plan("wide", { ...gpu, traits: { ...gpu.traits, bindingBytes: 1 << 20 } });
    const x = plan.value("x", [600, 64]);
    expect(() => linear(plan, x, persistent(gpu, "w_up", [512, 64]))).toThrow(
      /Cannot record matmul\S*: w_up\.out \[600,512\] takes 1\.23 MB, this adapter binds at most 1\.05 MB.*micro-batch/,
    );
  });
});
