import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type Gpu, type Kernel, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { PAGE, samplerSettings } from "../../kernels/mod.ts";
import {
  cacheBytes,
  type Completion,
  createGenerator,
  type Generator,
  type Request,
} from "../../src/model/generate.ts";
import { planSizes, recordDecode, recordPrefill } from "../../src/model/decode/plans.ts";
import { createState, type State } from "../../src/model/decode/state.ts";
import type { Llama } from "../../src/model/llama.ts";
import { random } from "../kernels/check_op.ts";
import { tinyLlama } from "../recipes/tiny.ts";

const S = 60;
let gpu: Gpu;
let model: Llama;
const generators: Generator[] = [];
beforeAll(async () => {
  gpu = await openGpu();
  // Two layers, and one token in eight ends a sequence, so lengths are ragged.
  model = tinyLlama(gpu, 3, { L: 2, stopIds: [10, 20, 30, 40, 50, 60, 70, 80, 90, 11, 21] });
});
afterAll(() => {
  for (const generator of generators) generator.destroy();
  gpu.close();
});
async function generatorOf(...[B, length, options]: [number, number?, { pages?: number }?]): Promise<Generator> {
  const generator = await createGenerator(model, B, length ?? S, options);
  generators.push(generator);
  return generator;
}

const OPTIONS = { temperature: 1, topP: 0.97, topK: 0, seed: 4, maxNewTokens: 30 };

async function complete(generator: Generator, requests: readonly Request[], options = OPTIONS): Promise<Completion[]> {
  const all: Completion[] = [];
  for await (const some of generator.run(requests, options)) all.push(...some);
  return all;
}

/** Prompts of many lengths: some alike, some that begin alike, one a single token, around the borders of pages. */
function prompts(): number[][] {
  const draw = random(8);
  const words = (count: number) => Array.from({ length: count }, () => 3 + Math.floor(draw() * 90));
  const head = words(20);
  return [
    [1],
    words(5),
    [...head, 4],
    [...head, 5, 6],
    [...head.slice(0, 16), 9],
    head.slice(0, 17),
    words(16),
    words(33),
  ];
}
const requests: Request[] = prompts().flatMap((prompt, p) =>
  [0, 1, 2].map((sample) => ({ prompt, stream: 10 * p + sample }))
);

describe("continuous batching", () => {
  let wanted: Completion[];
  let five: Generator;
  beforeAll(async () => {
    five = await generatorOf(5);
    wanted = await complete(five, requests);
  });

  test("gives every request its completion, in order, of ragged lengths, ended by any stop token", () => {
    expect(wanted).toHaveLength(requests.length);
    expect(new Set(wanted.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(5);
    const stops = [model.config.eosId, ...model.config.stopIds!];
    const last = new Set(wanted.filter(({ finished }) => finished).map(({ tokens }) => tokens[tokens.length - 1]));
    expect(last.size).toBeGreaterThan(3);
    wanted.forEach(({ tokens, finished }, i) => {
      const end = tokens.findIndex((token) => stops.includes(token));
      expect(finished).toBe(end >= 0);
      const room = Math.min(OPTIONS.maxNewTokens, S - requests[i].prompt.length);
      expect(tokens.length).toBe(finished ? end + 1 : room);
    });
  });

  test("a completion does not depend on what runs beside it, before it or after it", async () => {
    for (let i = 0; i < requests.length; i += 3) {
      expect(await complete(five, [requests[i]])).toEqual([wanted[i]]); // alone: the smallest plans, no prompt shared
    }
    const shuffled = requests.map((_, i) => (i * 7) % requests.length);
    const again = await complete(five, shuffled.map((i) => requests[i]));
    expect(again).toEqual(shuffled.map((i) => wanted[i]));
  });

  test("nor on the number of slots or the room for them", async () => {
    expect(await complete(await generatorOf(1), requests.slice(0, 9))).toEqual(wanted.slice(0, 9));
    expect(await complete(await generatorOf(24), requests)).toEqual(wanted);
    // Six pages for five slots: sequences wait, and those that outgrow the room start over.
    expect(await complete(await generatorOf(5, S, { pages: 6 }), requests)).toEqual(wanted);
  });

  test("completions come as soon as all before them are there", async () => {
    const sizes: number[] = [];
    for await (const some of five.run(requests, OPTIONS)) sizes.push(some.length);
    expect(sizes.length).toBeGreaterThan(1); // 24 requests in 5 slots
    expect(sizes.reduce((a, b) => a + b)).toBe(requests.length);
  });

  test("a request may end its own completion between two readbacks; the others do not notice", async () => {
    const endless = tinyLlama(gpu, 3, { eosId: 96 });
    const generator = await createGenerator(endless, 2, 200);
    const options = { ...OPTIONS, maxNewTokens: 150 };
    const three = [0, 1, 2].map((stream) => ({ prompt: [1, 5], stream }));
    const whole = await complete(generator, three, options);
    const asked = three.map((request, i) =>
      i === 1 ? { ...request, ended: (t: readonly number[]) => t.length > 2 } : request
    );
    const got = await complete(generator, asked, options);
    expect(whole.map(({ tokens }) => tokens.length)).toEqual([150, 150, 150]);
    expect([got[0], got[2]]).toEqual([whole[0], whole[2]]);
    expect(got[1].tokens.length).toBeGreaterThan(2);
    expect(got[1].tokens.length).toBeLessThan(150);
    expect(got[1]).toEqual({ tokens: whole[1].tokens.slice(0, got[1].tokens.length), finished: false });
    generator.destroy();
  });

  test("weights that change between two runs are seen: no prompt is remembered", async () => {
    const changed = tinyLlama(gpu, 5, { L: 2, stopIds: model.config.stopIds });
    const generator = await createGenerator(changed, 4, S);
    const before = await complete(generator, requests);
    for (const [name, tensor] of changed.weights.tensors) {
      const reader = createReader(gpu, [model.weights.tensors.get(name)!]);
      write(gpu, tensor, (await reader.read())[0]);
      reader.destroy();
    }
    expect(before).not.toEqual(wanted);
    expect(await complete(generator, requests)).toEqual(wanted);
    generator.destroy();
  });
});

describe("plans of several sizes", () => {
  /** Keys and values of 6 prompt tokens in 3 sequences, and of 4 decoded ones each, by plans of these sizes. */
  async function cached(
    chunk: number,
    batch: number,
  ): Promise<{ cache: ArrayLike<number>[]; tokens: ArrayLike<number> }> {
    const M = 1, B = 3;
    const state: State = createState(gpu, model.config, { B, M, pages: 4, chunk: 6, stops: 0 });
    const prefill = await planSizes(gpu, [6, 1], (recorder, N) => recordPrefill(model, recorder, state, N));
    const decode = await planSizes(gpu, [3, 2, 1], (recorder, N) => recordDecode(model, recorder, state, N, PAGE));
    write(gpu, state.sampler.settings, samplerSettings({ temperature: 1, topP: 1, topK: 0, seed: 1 }, []));
    write(gpu, state.tables, Uint32Array.of(3, 1, 2, 0));
    const column = (values: number[], start: number) => Uint32Array.from(values.slice(start, start + chunk));
    for (let n = 0; n < 6; n += chunk) {
      write(gpu, state.chunk.ids, column([7, 8, 9, 10, 11, 12], n));
      write(gpu, state.chunk.slots, column([0, 0, 1, 1, 2, 2], n));
      write(gpu, state.chunk.positions, column([0, 1, 0, 1, 0, 1], n));
      expect(prefill.sizeFor(chunk)).toBe(chunk);
      await prefill.get(chunk).run();
    }
    const streams = [5, 6, 7];
    const tokens: number[] = [];
    const reader = createReader(gpu, [state.sampler.tokens]);
    for (let first = 0; first < B; first += batch) {
      const rows = streams.slice(first, first + batch);
      write(gpu, state.tables, Uint32Array.of(...[3, 1, 2].slice(first), 0));
      write(gpu, state.sampler.current, Uint32Array.from(rows, (stream) => stream));
      write(gpu, state.sampler.positions, Uint32Array.from(rows, () => 2));
      write(gpu, state.sampler.rows, Uint32Array.from(rows.flatMap((stream) => [stream, 16, 3, 0])));
      await decode.get(decode.sizeFor(batch)).run(4);
      const [found] = await reader.read();
      rows.forEach((_, i) => tokens.push(...found.subarray(i * 64, i * 64 + 4)));
    }
    const caches = createReader(gpu, state.caches.flatMap(({ keys, values }) => [keys, values]));
    const size = PAGE * model.config.G * model.config.D;
    const cache = (await caches.read()).map((data) => data.subarray(size)); // without page 0
    for (const each of [prefill, decode, reader, caches]) each.destroy();
    return { cache, tokens };
  }

  test("leave the same bits in the cache, however few rows they have", async () => {
    const whole = await cached(6, 3);
    expect(new Set(whole.tokens as number[]).size).toBeGreaterThan(4);
    expect(await cached(1, 1)).toEqual(whole);
  });
});

test("a size that would compute its rows in another way is left out", async () => {
  const x = persistent(gpu, "x", [8]);
  const kernel: Kernel = {
    name: "sum",
    code: `struct Dims { N: u32, parts: u32 }
      @group(0) @binding(0) var<uniform> dims: Dims;
      @group(0) @binding(1) var<storage, read_write> x: array<f32>;
      @compute @workgroup_size(1) fn main() { x[0] = f32(dims.N / dims.parts); }`,
    entry: "main",
    bindings: ["read_write"],
    dims: [["N", "u32"], ["parts", "u32"]],
  };
  // A sum cut into more parts where there are fewer rows to keep a GPU busy, as some products do.
  const sizes = await planSizes(gpu, [8, 4, 2], (recorder, N) => {
    const plan = new Plan(`p.${N}`, recorder);
    plan.dispatch(kernel, [x], { dims: { N: 3 * N, parts: N < 4 ? 2 : 1 }, workgroups: [1, 1, 1] });
    return plan;
  });
  expect([8, 4, 3, 2].map(sizes.sizeFor)).toEqual([8, 4, 4, 4]);
  sizes.destroy();
});

describe("what cannot be generated", () => {
  test("is refused in one line", async () => {
    const generator = await generatorOf(2, 20);
    const one = (prompt: number[], options = OPTIONS) => complete(generator, [{ prompt, stream: 0 }], options);
    await expect(one([])).rejects.toThrow("Cannot generate: a prompt has no tokens (not even BOS)");
    await expect(one(new Array(20).fill(3))).rejects.toThrow("Cannot generate: a prompt of 20 tokens, room for 19");
    await expect(one([96])).rejects.toThrow("Cannot generate: token 96 in a vocabulary of 96");
    await expect(one([3], { ...OPTIONS, maxNewTokens: 0 })).rejects.toThrow("Cannot generate 0 new tokens");
    await expect(createGenerator(model, 1, 257)).rejects.toThrow(
      "Cannot generate: sequences of 257 tokens, the model has 256 positions",
    );
    await expect(createGenerator(model, 3, 64, { pages: 5 })).rejects.toThrow(
      "Cannot generate: 5 pages of 16 tokens, one sequence of 64 tokens needs 6; allow more pages or shorter sequences",
    );
  });

  test("the bytes of a cache are known beforehand", () => {
    expect(cacheBytes({ L: 2, G: 3, D: 8 }, 4, 33)).toBe(2 * 2 * (1 + 4 * 3) * 16 * 24 * 4);
    expect(cacheBytes({ L: 2, G: 3, D: 8 }, 4, 33, 7)).toBe(2 * 2 * 7 * 16 * 24 * 4);
  });
});
