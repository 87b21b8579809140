import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  compile,
  createReader,
  type Gpu,
  type Op,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  tunable,
  tune,
  write,
} from "../../src/plan/mod.ts";
import { kernel } from "../../kernels/kernel.ts";
import { loadTuned, tunedName, tuneUsed } from "../../src/recipes/tuning.ts";
import { memoryHost } from "../../src/host/memory.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

/** y = factor x + y by one invocation an element, after `work` idle rounds that make it slow. */
const code = `
struct Dims { N: u32, work: u32, factor: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.N) { return; }
  var sum = 0.0;
  for (var i = 0u; i < dims.work; i++) { sum += x[(id.x + i) % dims.N]; }
  y[id.x] = dims.factor * x[id.x] + y[id.x] + min(abs(sum), 0.0);
}`;
const scale = kernel("scale", code, {
  entry: "main",
  bindings: ["read", "read_write"],
  dims: ["N", "work", "factor:f32"],
});

interface Sizes {
  N: number;
}

function doubling(name: string, versions: Record<string, { work: number; factor: number; least?: number }>): Op<Sizes> {
  return {
    name,
    writes: [1],
    shapeClass: ({ N }) => `${N}`,
    variants: Object.entries(versions).map(([variant, { work, factor, least = 0 }]) => ({
      name: variant,
      fits: ({ N }) => N >= least,
      record: (plan: Plan, tensors: readonly Tensor[], { N }: Sizes) =>
        plan.dispatch(scale, tensors, { dims: { N, work, factor }, workgroups: [Math.ceil(N / 64), 1, 1] }),
    })),
    prefer: () => "slow",
  };
}

const honest = doubling("double", {
  plain: { work: 100, factor: 2 },
  slow: { work: 20_000, factor: 2 },
  fast: { work: 0, factor: 2, least: 10 },
});

function record(op: Op<Sizes>, N: number): Plan {
  const plan = new Plan("doubling", gpu);
  plan.variant(op, [persistent(gpu, "x", [N]), persistent(gpu, "y", [N])], { N });
  return plan;
}

describe("an op with variants", () => {
  test("is recorded by force, then by what was learned, then by its preference, and only by what fits", () => {
    const variant = (N: number) => record(honest, N).picks[0].variant;
    expect(variant(70)).toBe("slow");
    gpu.choices.learn({ "double 70": "fast" });
    expect(variant(70)).toBe("fast");
    expect(variant(71)).toBe("slow");
    gpu.choices.force("double", "fast");
    expect(variant(71)).toBe("fast");
    expect(variant(7)).toBe("slow"); // too small for the forced one
    gpu.choices.force("double", null);
    expect(variant(71)).toBe("slow");
  });

  test("of which no variant fits is refused by name", () => {
    const large = doubling("large", { only: { work: 0, factor: 2, least: 100 } });
    expect(() => record(large, 7)).toThrow("Cannot record large: no variant fits x [7], y [7]");
  });
});

describe("the tuner", () => {
  test("times what compiled plans used, keeps the fastest in a file and another session learns it", async () => {
    const own = await openGpu();
    const plan = new Plan("doubling", own);
    const [x, y] = [persistent(own, "x", [300]), persistent(own, "y", [300])];
    write(own, x, new Float32Array(300).fill(3));
    plan.variant(honest, [x, y], { N: 300 });
    const executable = await compile(own, plan);
    expect(tunable(own).map(({ shapeClass }) => shapeClass)).toEqual(["300"]);

    const host = memoryHost();
    const path = `cache/${tunedName(own)}`;
    const rows = [];
    for await (const row of tuneUsed(host, own, path, 3)) rows.push(row);
    expect(rows.length).toBe(1);
    expect(rows[0]).toMatchObject({ op: "double", shapeClass: "300", before: "slow", difference: 0 });
    expect(rows[0].timings.map(({ variant }) => variant).at(-1)).toBe("slow");
    expect(["fast", "plain"]).toContain(rows[0].winner);

    // Tuning works on memory of its own.
    const reader = createReader(own, [y]);
    expect((await reader.read())[0][0]).toBe(0);
    executable.destroy();
    own.close();

    const later = await openGpu();
    expect(await loadTuned(host, later, path)).toBe(1);
    const again = new Plan("doubling", later);
    again.variant(honest, [persistent(later, "x", [300]), persistent(later, "y", [300])], { N: 300 });
    expect(again.picks[0].variant).toBe(rows[0].winner);
    await host.write(path, JSON.stringify({ version: 2, adapter: "another", entries: {} }));
    await expect(loadTuned(host, later, path)).rejects.toThrow(`field adapter is "another"`);
    const adapter = later.adapterName;
    await host.write(path, JSON.stringify({ version: 2, adapter }));
    await expect(loadTuned(host, later, path)).rejects.toThrow(`Cannot use ${path}: "entries" has no winner`);
    await host.write(path, JSON.stringify({ version: 2, adapter, entries: { "double 300": {} } }));
    await expect(loadTuned(host, later, path)).rejects.toThrow(`Cannot use ${path}: "double 300" has no winner`);
    await host.write(path, "{");
    await expect(loadTuned(host, later, path)).rejects.toThrow(`Cannot read ${path}: not JSON`);
    later.close();
  });

  test("refuses variants that disagree, naming the element and both values", async () => {
    const own = await openGpu();
    const wrong = doubling("wrong", { plain: { work: 0, factor: 2 }, other: { work: 0, factor: 2.01 } });
    const plan = new Plan("doubling", own);
    plan.variant(wrong, [persistent(own, "x", [300]), persistent(own, "y", [300])], { N: 300 });
    await compile(own, plan);
    const run = async () => {
      for await (const _ of tune(own, tunable(own), 1)) expect.fail("nothing may win");
    };
    await expect(run()).rejects.toThrow(
      /Cannot tune wrong for tune.y \[300\]: element 0 is .* in variant plain but .* in other/,
    );
    own.close();
  });
});
