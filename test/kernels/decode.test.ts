import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkGuards, compile, type Gpu, openGpu, persistent, Plan, type Tensor, write } from "../../src/plan/mod.ts";
import { attentionDecode, cacheCopy, cacheWrite, PAGE } from "../../kernels/mod.ts";
import { expectClose, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const floats = (count: number, seed: number) => {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => draw() * 2 - 1);
};
const u32 = (name: string, shape: number[], data: Uint32Array) => {
  const tensor = persistent(gpu, name, shape, "u32");
  write(gpu, tensor, data);
  return tensor;
};

/** Caches of `pages` pages filled with `fill`, and tables [slots,M] that hold the pages from 1 on in a scattered order. */
function pagedCache(pages: number, W: number, slots: number, M: number, fill: number) {
  const cache = {
    keys: persistent(gpu, "keys", [pages, PAGE, W]),
    values: persistent(gpu, "values", [pages, PAGE, W]),
  };
  for (const tensor of [cache.keys, cache.values]) write(gpu, tensor, new Float32Array(pages * PAGE * W).fill(fill));
  const table = Uint32Array.from({ length: slots * M }, (_, i) => 1 + (i * 7) % (pages - 1));
  return { cache, table, tables: u32("tables", [slots, M], table) };
}

async function run(record: (plan: Plan) => Tensor[]): Promise<Float32Array[]> {
  const plan = new Plan("p", gpu);
  const outputs = record(plan);
  for (const output of outputs) if (output.storage.kind === "value") plan.keep(output);
  const executable = await compile(gpu, plan);
  await executable.run();
  const results = await executable.reader(outputs).read();
  await checkGuards(gpu);
  executable.destroy();
  return results as Float32Array[];
}

describe("the paged key/value cache", () => {
  test("takes each row at its place in its sequence and drops positions at or beyond the end of the table", async () => {
    const H = 3, G = 2, D = 4, W = G * D, M = 2, pages = 6;
    const slots = Uint32Array.of(0, 1, 0, 1, 1, 0, 1, 0);
    const positions = Uint32Array.of(2, 0, 31, 17, 32, 0xffffffff, 5, 15); // 32 would be the next sequence's first page
    const N = slots.length;
    const x = floats(N * (H + 2 * G) * D, 1);
    const qkv = persistent(gpu, "qkv", [N, (H + 2 * G) * D]);
    write(gpu, qkv, x);
    const { cache, table, tables } = pagedCache(pages, W, 2, M, 7);
    const rows = { tables, slots: u32("slots", [N], slots), positions: u32("positions", [N], positions) };
    const want = [0, 1].map((part) => {
      const filled = new Float32Array(pages * PAGE * W).fill(7);
      positions.forEach((position, n) => {
        if (position >= M * PAGE) return;
        const from = (n * (H + 2 * G) + H + part * G) * D;
        const page = table[slots[n] * M + Math.floor(position / PAGE)];
        filled.set(x.subarray(from, from + W), (page * PAGE + position % PAGE) * W);
      });
      return filled;
    });
    const got = await run((plan) => {
      cacheWrite(plan, qkv, cache, rows, { H, G, D });
      return [cache.keys, cache.values];
    });
    expect(got).toEqual(want);
  });

  test("copies pages; a pair of the same page does nothing", async () => {
    const W = 12, pages = 5;
    const { cache } = pagedCache(pages, W, 1, 1, 0);
    const before = [floats(pages * PAGE * W, 2), floats(pages * PAGE * W, 3)];
    write(gpu, cache.keys, before[0]);
    write(gpu, cache.values, before[1]);
    const want = before.map((data) => data.slice());
    for (const data of want) {
      data.copyWithin(4 * PAGE * W, PAGE * W, 2 * PAGE * W);
      data.copyWithin(2 * PAGE * W, 3 * PAGE * W, 4 * PAGE * W);
    }
    const pairs = u32("pairs", [4, 2], Uint32Array.of(1, 4, 0, 0, 3, 2, 0, 0));
    const got = await run((plan) => {
      cacheCopy(plan, pairs, cache);
      return [cache.keys, cache.values];
    });
    expect(got).toEqual(want);
  });
});

describe.each(["lanes", "workgroup"])("attention of rows against the paged cache, variant %s", (variant) => {
  beforeAll(() => gpu.choices.force("attention_decode", variant));
  afterAll(() => gpu.choices.force("attention_decode", null));

  // Lengths around a page and around the 64 keys of a tile; head sizes whose lanes do and don't divide a workgroup.
  const lengths = [1, 15, 64, 65, 131];
  const shapes = [{ H: 4, G: 2, D: 8 }, { H: 3, G: 1, D: 80 }, { H: 2, G: 2, D: 20 }, { H: 2, G: 1, D: 64 }];
  for (const { H, G, D } of shapes) {
    test(`${H} heads over ${G} of size ${D} agree with causal attention, whole, split and in a window`, async () => {
      const W = (H + 2 * G) * D, M = 9;
      // All tokens of all sequences are rows of one plan, in an order that mixes the sequences.
      const tokens = lengths.flatMap((length, slot) => Array.from({ length }, (_, position) => ({ slot, position })));
      tokens.sort((a, b) => a.position - b.position || b.slot - a.slot);
      const N = tokens.length;
      const sequences = lengths.map((length, slot) => {
        const data = floats(length * W, 3 + slot);
        data.forEach((value, i) => i % W >= H * D && (data[i] = value * 3)); // peaked weights: the maximum moves
        return data;
      });
      const rowsOf = (chosen: typeof tokens) => {
        const qkv = persistent(gpu, "qkv", [chosen.length, W]);
        const data = chosen.map(({ slot, position }) => sequences[slot].subarray(position * W, (position + 1) * W));
        write(gpu, qkv, Float32Array.from(data.flatMap((row) => [...row])));
        const slots = u32("slots", [chosen.length], Uint32Array.from(chosen, ({ slot }) => slot));
        const positions = u32("positions", [chosen.length], Uint32Array.from(chosen, ({ position }) => position));
        return { qkv, slots, positions };
      };
      // Places that no token has reached hold NaN: reading one spoils the output.
      const { cache, tables } = pagedCache(1 + lengths.length * M, G * D, lengths.length, M, NaN);
      const all = rowsOf(tokens);
      for (const cut of [{}, { split: 32 }, { split: 64, window: 50 }]) {
        const sizes = { H, G, D, ...cut };
        const [got] = await run((plan) => {
          cacheWrite(plan, all.qkv, cache, { tables, ...all }, sizes);
          return [attentionDecode(plan, all.qkv, cache, { tables, ...all }, sizes)];
        });
        const want = sequences.map((data, slot) =>
          reference.attention(Float64Array.from(data), { B: 1, T: lengths[slot], H, G, D, window: sizes.window })
        );
        tokens.forEach(({ slot, position }, n) => {
          const row = want[slot].subarray(position * H * D, (position + 1) * H * D);
          const what = `token ${position} of sequence ${slot}, ${JSON.stringify(cut)}`;
          expectClose(got.subarray(n * H * D, (n + 1) * H * D), row, 1e-5, 1e-4, what);
        });

        // The last token of each sequence by itself: the same bits, whatever else is in the plan.
        const last = tokens.filter(({ slot, position }) => position === lengths[slot] - 1);
        const few = rowsOf(last);
        const [alone] = await run((plan) => [attentionDecode(plan, few.qkv, cache, { tables, ...few }, sizes)]);
        last.forEach((token, k) => {
          const n = tokens.indexOf(token);
          expect(alone.subarray(k * H * D, (k + 1) * H * D)).toEqual(got.subarray(n * H * D, (n + 1) * H * D));
        });
      }
      expect(N).toBe(276);
    });
  }
});

test("shapes that disagree are refused", () => {
  const plan = new Plan("p");
  const rows = (N: number) => ({
    tables: plan.value("tables", [2, 3], "u32"),
    slots: plan.value("slots", [N], "u32"),
    positions: plan.value("positions", [N], "u32"),
  });
  const cacheOf = (W: number) => ({ keys: plan.value("keys", [4, 16, W]), values: plan.value("values", [4, 16, W]) });
  const qkv = plan.value("qkv", [3, 24]);
  expect(() => attentionDecode(plan, qkv, cacheOf(6), rows(3), { H: 2, G: 1, D: 6 })).toThrow(
    "Cannot record attention_decode: head size 6 is no multiple of 4",
  );
  expect(() => cacheWrite(plan, qkv, cacheOf(8), rows(3), { H: 4, G: 1, D: 4 })).toThrow(
    "Cannot record cache_write: G*D is 4 in qkv [3,24] but 8 in keys [4,16,8]",
  );
  expect(() => attentionDecode(plan, qkv, cacheOf(4), rows(2), { H: 4, G: 1, D: 4 })).toThrow(
    "Cannot record attention_decode: N*(H+2G)*D is 72 in qkv [3,24] but 48 in positions [2,6,4]",
  );
});
