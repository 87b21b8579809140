import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkGuards, compile, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { sample, samplerSettings } from "../../kernels/mod.ts";
import { draw as sampling } from "../../kernels/sample.ts";
import { GUARDED } from "./check_op.ts";
import { philox, unitFloat } from "../../src/model/philox.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

interface Settings {
  temperature: number;
  topP?: number;
  topK?: number;
  seed?: number;
  stops?: number[];
  longest?: number;
}

/** One sampling step for B copies of the same logits, stream b for row b. */
async function draw(logits: number[], B: number, options: Settings) {
  const V = logits.length, K = 3;
  const { temperature, topP = 1, topK = 0, seed = 5, stops = [999], longest = 8 } = options;
  const settings = samplerSettings({ temperature, topP, topK, seed }, stops);
  const tensors = {
    settings: persistent(gpu, "settings", [settings.length], "u32"),
    rows: persistent(gpu, "rows", [B, 4], "u32"),
    current: persistent(gpu, "current", [B], "u32"),
    positions: persistent(gpu, "positions", [B], "u32"),
    tokens: persistent(gpu, "tokens", [B, K], "u32"),
  };
  const input = persistent(gpu, "logits", [B, V]);
  write(gpu, input, Float32Array.from({ length: B * V }, (_, i) => logits[i % V]));
  write(gpu, tensors.settings, settings);
  write(gpu, tensors.rows, Uint32Array.from({ length: 4 * B }, (_, i) => [i / 4, longest, 1, 0][i % 4]));
  const plan = new Plan("sample", gpu);
  sample(plan, input, tensors);
  const executable = await compile(gpu, plan);
  const reader = executable.reader([tensors.current, tensors.positions, tensors.rows, tensors.tokens]);
  const step = async () => {
    await executable.run();
    const [current, positions, rows, tokens] = await reader.read();
    await checkGuards(gpu);
    return {
      current: [...current],
      positions: [...positions],
      done: [...rows].filter((_, i) => i % 4 === 3),
      tokens: [...tokens],
    };
  };
  return { first: await step(), step };
}

describe("Philox", () => {
  test("gives the published known answers of Random123", () => {
    // kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
    expect([...philox([0, 0, 0, 0], [0, 0])]).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect([...philox([ones, ones, ones, ones], [ones, ones])]).toEqual([
      0x408f276d,
      0x41c83b0e,
      0xa20bc7c6,
      0x6d5451fd,
    ]);
    expect([...philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])]).toEqual([
      0xd16cfe09,
      0x94fdcceb,
      0x5001e420,
      0x24126ea1,
    ]);
  });
});

describe.each(["lanes", "workgroup"])("sampling on the GPU, variant %s", (variant) => {
  beforeAll(() => gpu.choices.force("sample", variant));
  afterAll(() => gpu.choices.force("sample", null));
  const logits = Array.from({ length: 100 }, (_, i) => Math.sin(i * 12.9898) * 3);
  const order = logits.map((_, i) => i).sort((a, b) => logits[b] - logits[a]);

  test("temperature 0 takes the lowest index of the highest logit", async () => {
    const { first } = await draw([1, 3, 2, 3], 2, { temperature: 0 });
    expect(first.current).toEqual([1, 1]);
  });

  test("follows the inverse distribution at the Philox draw, so GPU and host agree on every token", async () => {
    const { first } = await draw(logits, 200, { temperature: 0.7 });
    const weights = logits.map((z) => Math.exp((z - logits[order[0]]) / 0.7));
    const total = weights.reduce((a, b) => a + b, 0);
    let near = 0;
    first.current.forEach((got, b) => {
      let left = unitFloat(philox([0, b, 0, 0], [5, 0])[0]) * total;
      let want = 0;
      while (want < 99 && left >= weights[want]) left -= weights[want++];
      if (got !== want) {
        // f32 sums may fall on the other side of a border; then the draw stood right at it.
        near++;
        expect(Math.min(Math.abs(left), Math.abs(left - weights[want])) / total).toBeLessThan(1e-5);
      }
    });
    expect(near).toBeLessThan(3);
  });

  test("frequencies match the softmax (chi-squared below its 0.999 quantile)", async () => {
    const small = [0.3, -1, 1.2, 0, 0.5, -0.4];
    const { first } = await draw(small, 2000, { temperature: 1 });
    const weights = small.map(Math.exp);
    const total = weights.reduce((a, b) => a + b, 0);
    const chi = weights.reduce((sum, w, v) => {
      const expected = 2000 * w / total;
      return sum + (first.current.filter((token) => token === v).length - expected) ** 2 / expected;
    }, 0);
    expect(chi).toBeLessThan(20.5); // 5 degrees of freedom
  });

  test("top-k keeps exactly the k most likely tokens", async () => {
    const { first } = await draw(logits, 500, { temperature: 2, topK: 5 });
    expect(new Set(first.current)).toEqual(new Set(order.slice(0, 5)));
  });

  test("top-p keeps the smallest set whose mass reaches p", async () => {
    const weights = order.map((v) => Math.exp(logits[v]));
    const total = weights.reduce((a, b) => a + b, 0);
    let count = 0, mass = 0;
    while (mass < 0.5 * total) mass += weights[count++];
    const { first } = await draw(logits, 1000, { temperature: 1, topP: 0.5 });
    const seen = new Set(first.current);
    const allowed = new Set(order.slice(0, count));
    expect([...seen].filter((token) => !allowed.has(token))).toEqual([]);
    expect(seen.size).toBeGreaterThan(count / 2);
  });

  test("the same seed gives the same tokens, another seed others", async () => {
    const [a, b, c] = [5, 5, 6].map((seed) => draw(logits, 50, { temperature: 1, seed }));
    expect((await a).first.current).toEqual((await b).first.current);
    expect((await c).first.current).not.toEqual((await a).first.current);
  });

  test("top-k and top-p together leave out what either leaves out; equals of the k-th stay", async () => {
    const tied = [2, 2, 2, 1, 1, 1, 0, 0];
    const seen = async (options: Partial<Settings>) =>
      new Set((await draw(tied, 300, { temperature: 1, ...options })).first.current);
    expect(await seen({ topK: 4 })).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    expect(await seen({ topK: 4, topP: 0.3 })).toEqual(new Set([0, 1, 2]));
    expect(await seen({ topK: 1 })).toEqual(new Set([0, 1, 2]));
    expect(await seen({ topP: 1e-6 })).toEqual(new Set([0, 1, 2]));
  });

  test("a vocabulary of many groups of runs, of odd size, is drawn from as the host does", async () => {
    const V = 4099; // 129 runs in 3 groups, the last run 3 ids long
    const wide = Array.from({ length: V }, (_, i) => Math.sin(i * 12.9898) * 2 + (i % 7 === 0 ? 1 : 0));
    const { first } = await draw(wide, 40, { temperature: 1.3, topK: 3000 });
    const sorted = wide.slice().sort((a, b) => b - a);
    const weights = wide.map((z) => z >= sorted[2999] ? Math.exp(z / 1.3) : 0);
    const total = weights.reduce((a, b) => a + b, 0);
    first.current.forEach((got, b) => {
      let below = 0;
      for (let v = 0; v < got; v++) below += weights[v];
      const u = unitFloat(philox([0, b, 0, 0], [5, 0])[0]) * total;
      expect(weights[got]).toBeGreaterThan(0);
      expect(u).toBeGreaterThan(below - 1e-5 * total);
      expect(u).toBeLessThan(below + weights[got] + 1e-5 * total);
    });
  });

  test("a sequence stops at any stop token or when out of room, and then stays as it is", async () => {
    for (const stops of [[1], [7, 1], [1, 7, 5]]) {
      const stopped = await draw([0, 9, 0], 1, { temperature: 0, stops });
      expect(stopped.first).toMatchObject({ current: [1], positions: [1], done: [1] });
      expect((await stopped.step()).positions).toEqual([1]);
    }
    const full = await draw([0, 9, 0], 1, { temperature: 0, longest: 3, stops: [] });
    expect(full.first.done).toEqual([0]);
    expect(await full.step()).toMatchObject({ positions: [2], done: [2], tokens: [1, 1, 0] });
    expect((await full.step()).positions).toEqual([2]);
    const last = await draw([0, 9, 0], 1, { temperature: 0, longest: 2, stops: [1] });
    expect(last.first.done).toEqual([1]); // a stop token in the last place is a stop
  });
});

test("both variants of sampling give the same tokens, whatever is cut", async () => {
  const logits = Array.from({ length: 1031 }, (_, i) => Math.sin(i * 78.233) * 4);
  for (const options of [{}, { topP: 0.8 }, { topK: 50 }, { topK: 40, topP: 0.9 }, { temperature: 0 }]) {
    const found = [];
    for (const variant of ["lanes", "workgroup"]) {
      gpu.choices.force("sample", variant);
      found.push((await draw(logits, 64, { temperature: 0.9, ...options })).first.tokens);
    }
    gpu.choices.force("sample", null);
    expect(found[0]).toEqual(found[1]);
  }
});

test("sequences that the tuner samples never end, and all variants draw the same tokens for them", async () => {
  const sizes = { B: 5, V: 96, R: 3, K: 40 };
  const { B, V, R, K } = sizes;
  const shapes = [[B, V], [7], [B, R, 4], [B, 4], [B], [B], [B, K]];
  const found = [];
  for (const variant of sampling.variants) {
    const tensors = shapes.map((shape, i) => persistent(gpu, `tuned${i}`, shape, i === 0 ? "f32" : "u32"));
    write(gpu, tensors[0], Float32Array.from({ length: B * V }, (_, i) => Math.sin(i * 78.233)));
    for (let i = 1; i < 7; i++) write(gpu, tensors[i], sampling.fill!(i, tensors[i], sizes));
    const plan = new Plan("tuned", gpu);
    variant.record(plan, tensors, sizes);
    const executable = await compile(gpu, plan);
    await executable.run(30);
    const [rows, positions, tokens] = await executable.reader([tensors[3], tensors[5], tensors[6]]).read();
    await checkGuards(gpu);
    expect([...rows].filter((_, i) => i % 4 === 3)).toEqual([0, 0, 0, 0, 0]);
    expect([...positions]).toEqual([30, 30, 30, 30, 30]);
    expect(new Set(tokens).size).toBeGreaterThan(20);
    found.push([...tokens]);
  }
  expect(found.length).toBe(2);
  expect(found[0]).toEqual(found[1]);
});
