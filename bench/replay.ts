/** `bench replay`: what a replayed step costs on the CPU, and whether anything grows over ten thousand of them. */
import { compile, createReader, flush, type Gpu } from "../src/plan/mod.ts";
import type { Suite } from "./report.ts";
import { median } from "./units.ts";
import { destroyModel, randomModel, recordMicroStep, recordUpdate, type Shape } from "./workload.ts";

/** Bytes that survive a collection; without `--expose-gc` what the heap happens to hold. */
function heapBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.();
  return Deno.memoryUsage().heapUsed;
}

/** Counts every object that the device makes but command encoders, which are single use by the standard. */
function countObjects(device: GPUDevice): { count: () => number; stop: () => void } {
  const own = device as unknown as Record<string, unknown>;
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(device))
    .filter((name) => name.startsWith("create") && name !== "createCommandEncoder");
  let made = 0;
  for (const name of names) {
    const original = own[name] as (...args: unknown[]) => unknown;
    own[name] = (...args: unknown[]) => (made++, original.apply(device, args));
  }
  return {
    count: () => made,
    stop() {
      for (const name of names) delete own[name];
    },
  };
}

/**
 * Whole training steps (forward, backward, update) of a model that is as small as its dispatches allow: the GPU's work is next
 * to nothing, so what the encoding costs shows. The clock runs from the first call until the submit returns.
 */
export async function benchReplay(gpu: Gpu, shape: Shape, steps: number): Promise<Suite> {
  const config = { ...shape.config, C: 16, F: 16, H: 2, G: 1, D: 8, V: 64 };
  const model = randomModel(gpu, config);
  const step = recordMicroStep(model, "sft", 1, 8);
  const update = recordUpdate(model);
  const executables = [await compile(gpu, step.plan), await compile(gpu, update.plan)];
  const dispatches = executables.reduce((sum, { commands }) => sum + commands.length, 0);
  const reader = createReader(gpu, [update.norm]);
  const replay = async () => {
    for (const executable of executables) await executable.enqueue();
    flush(gpu);
  };
  for (let i = 0; i < 100; i++) await replay();
  await reader.read();

  const objects = countObjects(gpu.device);
  const before = heapBytes();
  for (let i = 0; i < steps; i++) {
    await replay();
    if (i % 10 === 9) await reader.read(); // the queue is not to grow without end
  }
  await reader.read();
  const grown = heapBytes() - before;
  objects.stop();
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    await reader.read(); // with work before it, a submit would wait for the device
    const start = performance.now();
    await replay();
    times.push((performance.now() - start) * 1000);
  }
  await reader.read();
  reader.destroy();
  for (const executable of executables) executable.destroy();
  step.destroy();
  update.destroy();
  destroyModel(model);
  return {
    name: "replay",
    workload:
      `training steps of ${config.L} layers, one submit each; from the first call until submit returns, 300 times; growth over ${steps}`,
    rows: [{
      name: "step",
      values: {
        dispatches,
        "us/step": median(times),
        "us/dispatch": median(times) / dispatches,
        "objects made": objects.count(),
        "heap growth B/step": Math.max(0, grown) / steps,
      },
    }],
  };
}
