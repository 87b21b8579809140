import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkGuards,
  compile,
  createReader,
  createWeights,
  type Gpu,
  type Kernel,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";

/** Copies x to y, `shift` elements further than it should: 0 is right, 1 is one store behind the end. */
const shiftedCopy: Kernel = {
  name: "shifted_copy",
  code: `struct Dims { N: u32, shift: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < dims.N) { y[id.x + dims.shift] = x[id.x]; }
}`,
  entry: "main",
  bindings: ["read", "read_write"],
  dims: [["N", "u32"], ["shift", "u32"]],
};

describe("a guarded GPU", () => {
  let gpu: Gpu;
  beforeAll(async () => void (gpu = await openGpu({ guard: 256 })));
  afterAll(() => gpu.close());

  const targets: [string, string, (plan: Plan) => Tensor][] = [
    ["a value", "p.out", (plan) => plan.keep(plan.value("out", [5]))],
    ["an input", "cache", () => persistent(gpu, "cache", [5])],
    [
      "a page of gradients",
      "gradients.decayed",
      () => createWeights(gpu, [{ name: "w", shape: [64], decay: true }], true).pages[0].gradients!,
    ],
  ];
  for (const [what, name, create] of targets) {
    test(`tells one store behind the end of ${what}`, async () => {
      for (const shift of [0, 1]) {
        const plan = new Plan("p");
        const y = create(plan);
        const N = y.shape[0];
        const x = persistent(gpu, "x", [N]);
        write(gpu, x, new Float32Array(N).fill(3));
        plan.dispatch(shiftedCopy, [x, y], { dims: { N, shift }, workgroups: [1, 1, 1] });
        const executable = await compile(gpu, plan);
        await executable.run();
        if (shift === 0) await checkGuards(gpu);
        else await expect(checkGuards(gpu)).rejects.toThrow(`Stray write: 0 bytes behind the end of ${name}`);
        executable.destroy();
      }
      await checkGuards(gpu); // said once
    });
  }

  test("fills values with NaN, so that an element nobody wrote shows, and leaves inputs zero", async () => {
    const plan = new Plan("p");
    const x = persistent(gpu, "x", [4]);
    const y = plan.keep(plan.value("y", [4]));
    plan.dispatch(shiftedCopy, [x, y], { dims: { N: 3, shift: 1 }, workgroups: [1, 1, 1] });
    const executable = await compile(gpu, plan);
    await executable.run();
    const [got] = await executable.reader([y]).read();
    expect([...got]).toEqual([NaN, 0, 0, 0]);
    await checkGuards(gpu);
  });
});

test("a GPU without guards has no sentinels to check", async () => {
  const gpu = await openGpu();
  const x = persistent(gpu, "x", [3]);
  expect(x.storage.buffer!.size).toBe(256);
  expect([...(await createReader(gpu, [x]).read())[0]]).toEqual([0, 0, 0]);
  await expect(checkGuards(gpu)).rejects.toThrow("Cannot check guards: open the GPU with a guard");
  gpu.close();
});
