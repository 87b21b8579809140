import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  createReader,
  createWeights,
  debugWords,
  describe as describePlan,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  planMemory,
  reshape,
  rows,
  write,
} from "../../src/plan/mod.ts";
import { accumulateInto, add, linear, rmsnorm, swiglu, weightedSum } from "../../kernels/mod.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

describe("work that waits", () => {
  test("goes to the GPU before the host writes what it reads, and only then", async () => {
    const x = persistent(gpu, "x", [4]);
    const other = persistent(gpu, "other", [4]);
    const sum = persistent(gpu, "sum", [4]);
    const plan = new Plan("waiting", gpu);
    accumulateInto(plan, x, sum);
    const executable = await compile(gpu, plan);
    write(gpu, x, Float32Array.of(1, 2, 3, 4));
    await executable.enqueue();
    write(gpu, other, new Float32Array(4));
    expect(gpu.pending.length).toBe(1);
    write(gpu, x, Float32Array.of(10, 20, 30, 40));
    expect(gpu.pending.length).toBe(0);
    await executable.enqueue(2);
    const reader = createReader(gpu, [sum]);
    expect([...(await reader.read())[0]]).toEqual([21, 42, 63, 84]);
    reader.destroy();
    executable.destroy();
  });
});

describe("recording", () => {
  test("stops at shapes that disagree, naming the kernel, both tensors and both numbers", () => {
    const plan = new Plan("p");
    const h = plan.value("h", [32, 64]);
    const w = plan.value("w_out", [10, 65]);
    expect(() => linear(plan, h, w)).toThrow(
      "Cannot record matmul.forward: K is 64 in h [32,64] but 65 in w_out [10,65]",
    );
  });

  test("stops at more workgroups than any adapter takes, naming the kernel", () => {
    const plan = new Plan("p");
    const x = plan.value("x", [70_000, 4]);
    expect(() => weightedSum(plan, x, plan.value("w", [4]), 70_000)).toThrow(
      "Cannot record weighted_sum.forward: 70000 x 1 x 1 workgroups, at most 65535 fit a side; use a smaller micro-batch",
    );
  });

  test("a view keeps its elements, and its offset must be bindable", () => {
    const plan = new Plan("p");
    const x = plan.value("x", [8, 16]);
    expect(reshape(x, [4, 32]).shape).toEqual([4, 32]);
    expect(() => reshape(x, [5, 5])).toThrow("Cannot reshape x [8,16] to [5,5]: 128 elements against 25");
    expect(rows(x, 4, 2)).toMatchObject({ shape: [2, 16], offset: 256 });
    expect(() => rows(x, 1, 2)).toThrow("offset 64 is no multiple of 256");
    expect(() => rows(x, 4, 5)).toThrow("out of range");
  });

  test("a part of a value has no gradient of its own, and a part of a weight has", () => {
    const plan = new Plan("p");
    const one = persistent(gpu, "one", [1]);
    const weights = createWeights(gpu, [{ name: "w", shape: [8, 64], decay: true }], true);
    const w = weights.tensors.get("w")!;
    expect(plan.target(rows(w, 2, 3))).toMatchObject({ add: true, tensor: { offset: 512, shape: [3, 64] } });
    const whole = add(plan, w, w);
    const part = rows(whole, 2, 1);
    const loss = weightedSum(plan, part, persistent(gpu, "mask", [64]), 1);
    const text = "Cannot record the gradient of sum [1,64]: it is a part of a value";
    expect(() => plan.backward(loss, one)).toThrow(text);
    expect(() => plan.gradient(part)).toThrow(text);
    expect(() => plan.backward({ ...whole, shape: [1] }, one)).toThrow("sum [1]: it is a part of a value");
  });

  test("only a scalar has a backward pass, and only what a weight reaches is recorded", () => {
    const plan = new Plan("p");
    const one = persistent(gpu, "one", [1]);
    expect(() => plan.backward(plan.value("y", [3]), one)).toThrow("y [3] is no scalar");
    const input = persistent(gpu, "x", [1]);
    const loss = add(plan, input, input);
    const before = plan.dispatches.length;
    plan.backward(loss, one);
    expect(plan.dispatches.length).toBe(before);
  });

  test("a description names every dispatch with its shapes, bytes and FLOPs", () => {
    const plan = new Plan("mlp");
    const x = persistent(gpu, "x", [3, 8]);
    const [gain, gateUp, down] = [[8], [24, 8], [8, 12]].map((shape, i) =>
      persistent(gpu, ["gain", "gate_up", "down"][i], shape)
    );
    const n = rmsnorm(plan, x, gain, 1e-5);
    plan.keep(add(plan, x, linear(plan, swiglu(plan, linear(plan, n, gateUp)), down)));
    expect(describePlan(plan, planMemory(plan, true))).toMatchInlineSnapshot(`
      "plan mlp: 5 dispatches, 2.03 kFLOP, values 1.02 kB in 3 buffers (1.33 x what lives at once; 1.79 kB unshared)
         0 norm.forward                 x[3,8] gain[8] *gain.out[3,8] *gain.stats[3,2]  248 B 96 FLOP
         1 matmul_nt                    gain.out[3,8] gate_up[24,8] *gate_up.out[3,24]  1.15 kB 1.15 kFLOP
         2 swiglu.forward               gate_up.out[3,24] *swiglu[3,12]  432 B 180 FLOP
         3 matmul_nt                    swiglu[3,12] down[8,12] *down.out[3,8]  624 B 576 FLOP
         4 add.forward                  x[3,8] down.out[3,8] *sum[3,8]  288 B 24 FLOP"
    `);
  });
});

describe("running", () => {
  test("an uncaptured GPU error fails the run, and every run after it", async () => {
    const broken = await openGpu();
    const plan = new Plan("p");
    const x = persistent(broken, "x", [4]);
    plan.keep(add(plan, x, x));
    const executable = await compile(broken, plan);
    const encoder = broken.device.createCommandEncoder();
    encoder.copyBufferToBuffer(x.storage.buffer!, 0, x.storage.buffer!, 0, 8); // refused: source is destination
    broken.device.queue.submit([encoder.finish()]);
    await broken.device.queue.onSubmittedWorkDone();
    await expect(executable.run()).rejects.toThrow(/^GPU error: /);
    await expect(executable.run()).rejects.toThrow(/^GPU error: /);
    broken.close();
  });

  const head = "@group(0) @binding(1) var<storage, read_write> a: array<f32>;\n@compute @workgroup_size(1)\n";
  for (
    const [what, code, binding] of [
      ["does not parse", `${head} fn main( {`, "write"],
      ["lacks the entry point", `${head} fn other() { a[0] = 1; }`, "write"],
      ["writes what its layout only reads", `${head} fn main() { a[0] = 1; }`, "read"],
    ] as const
  ) {
    test(`a kernel that ${what} is named`, async () => {
      const own = await openGpu();
      const plan = new Plan("p");
      plan.keep(add(plan, persistent(own, "x", [4]), persistent(own, "y", [4]))); // compiles at the same time
      const kernel = { name: "torn", code, entry: "main", bindings: [binding], dims: [] };
      plan.dispatch(kernel, [plan.value("out", [1])], { dims: {}, workgroups: [1, 1, 1] });
      await expect(compile(own, plan)).rejects.toThrow(/^Cannot compile kernel torn: \S/);
      own.check(); // reported once, and by name: nothing is left over for the next run
      own.close();
    });
  }

  test("DEBUG=nan names the first dispatch that wrote a non-finite value", async () => {
    const watching = await openGpu({ debug: debugWords("nan") });
    const plan = new Plan("p");
    const x = persistent(watching, "x", [2, 4]);
    const w = persistent(watching, "w", [4, 4]);
    write(watching, x, new Float32Array(8).fill(1e30));
    write(watching, w, new Float32Array(16).fill(1e30));
    plan.keep(add(plan, x, linear(plan, x, w)));
    const executable = await compile(watching, plan);
    await expect(executable.run()).rejects.toThrow(
      "Non-finite value: dispatch 0 (matmul_nt) wrote Infinity to w.out[2,4] at element 0",
    );
    watching.close();
  });

  test("DEBUG takes words and leaves other programs' words alone", () => {
    expect(debugWords("plan, nan,express:*")).toEqual(new Set(["plan", "nan"]));
    expect(debugWords(undefined)).toEqual(new Set());
  });

  test("a profile gives every kernel a time and its FLOPs", async () => {
    if (!gpu.device.features.has("timestamp-query")) {
      // SwiftShader in Chromium has it too; an adapter without it must say so.
      const executable = await compile(gpu, new Plan("empty"));
      await expect(executable.profile()).rejects.toThrow("no timestamp-query");
      return;
    }
    const plan = new Plan("p");
    const x = persistent(gpu, "x", [64, 64]);
    plan.keep(linear(plan, linear(plan, x, x), x));
    const executable = await compile(gpu, plan);
    const [row] = await executable.profile(3);
    expect(row).toMatchObject({ kernel: "matmul_nt", count: 2, flops: 2 * 2 * 64 ** 3 });
    expect(row.microseconds).toBeGreaterThan(0);
  });
});
