import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkGuards, compile, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { attentionDecode, cacheWrite } from "../../kernels/mod.ts";
import { expectClose, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const floats = (count: number, seed: number) => {
  const draw = random(seed);
  return Float32Array.from({ length: count }, () => draw() * 2 - 1);
};

/** The last row of causal attention over the first `length` rows of one sequence's keys and values [.., G*D]. */
function lastRow(
  q: Float32Array,
  keys: Float32Array,
  values: Float32Array,
  length: number,
  H: number,
  G: number,
  D: number,
) {
  const W = (H + 2 * G) * D;
  const qkv = new Float64Array(length * W);
  for (let t = 0; t < length; t++) {
    qkv.set(keys.subarray(t * G * D, (t + 1) * G * D), t * W + H * D);
    qkv.set(values.subarray(t * G * D, (t + 1) * G * D), t * W + (H + G) * D);
  }
  qkv.set(q, (length - 1) * W);
  return reference.attention(qkv, { B: 1, T: length, H, G, D }).subarray((length - 1) * H * D);
}

describe("the key/value cache", () => {
  test("takes each row at its position and drops positions at or beyond its end", async () => {
    const B = 3, T = 4, S = 6, H = 3, G = 2, D = 5, W = G * D;
    const x = floats(B * T * (H + 2 * G) * D, 1);
    // Out of order; S would be the next sequence's first row, or the sentinels behind the last sequence.
    const positions = Uint32Array.of(2, 0, 1, S, 5, S + 1, 3, 0xffffffff, S, 4, 0, 2 * S);
    const data = [persistent(gpu, "x", [B * T, (H + 2 * G) * D]), persistent(gpu, "positions", [B * T], "u32")];
    write(gpu, data[0], x);
    write(gpu, data[1], positions);
    const caches = ["keys", "values"].map((name) => persistent(gpu, name, [B, S, W]));
    const want = caches.map((_, i) => floats(B * S * W, 2 + i));
    caches.forEach((cache, i) => write(gpu, cache, want[i]));
    positions.forEach((position, n) => {
      if (position >= S) return;
      for (const i of [0, 1]) {
        const from = (n * (H + 2 * G) + H + i * G) * D;
        want[i].set(x.subarray(from, from + W), (Math.floor(n / T) * S + position) * W);
      }
    });
    const plan = new Plan("write", gpu);
    cacheWrite(plan, data[0], data[1], caches[0], caches[1], { H, G, D });
    const executable = await compile(gpu, plan);
    await executable.run();
    expect(await executable.reader(caches).read()).toEqual(want);
    await checkGuards(gpu);
    executable.destroy();
  });
});

describe("attention of one new token against the cache agrees with the last row of causal attention", () => {
  // Odd lengths around the 64 keys of a tile; D = 80 and 256 give each lane more than one dimension.
  for (const [H, G, D] of [[4, 2, 8], [3, 1, 80], [2, 2, 80], [2, 1, 256]]) {
    test(`${H} heads over ${G} of size ${D}, sequences of 1, 64, 65, 131 and 135 tokens`, async () => {
      const lengths = [1, 64, 65, 131, 135];
      const B = lengths.length, S = 135, W = G * D;
      const k = floats(B * S * W, 3), v = floats(B * S * W, 4), q = floats(B * H * D, 5);
      k.forEach((value, i) => k[i] = value * 3); // peaked weights, so that the maximum moves from tile to tile
      const sizes = { H, G, D };
      const step = (name: string, rows: number) => ({
        qkv: persistent(gpu, name, [rows, (H + 2 * G) * D]),
        at: persistent(gpu, `${name}.at`, [rows], "u32"),
      });
      const prompt = step("prompt", B * S), next = step("next", B);
      // Rows of queries, keys and values side by side, as a projection writes them.
      const pack = (rows: number, ...parts: Float32Array[]) => {
        const all = new Float32Array(rows * (H + 2 * G) * D);
        for (let n = 0; n < rows; n++) {
          let at = n * (H + 2 * G) * D;
          for (const part of parts) {
            const width = part.length / rows;
            all.set(part.subarray(n * width, (n + 1) * width), at);
            at += width;
          }
        }
        return all;
      };
      const keys = persistent(gpu, "keys", [B, S, W]), values = persistent(gpu, "values", [B, S, W]);
      // Rows that no token has reached hold NaN: reading one spoils the output.
      for (const cache of [keys, values]) write(gpu, cache, new Float32Array(B * S * W).fill(NaN));
      write(gpu, prompt.qkv, pack(B * S, new Float32Array(B * S * H * D), k, v));
      // All but the last token of each sequence; its padding stands at S and must be dropped.
      write(
        gpu,
        prompt.at,
        Uint32Array.from({ length: B * S }, (_, n) => n % S < lengths[Math.floor(n / S)] - 1 ? n % S : S),
      );
      const last = (rows: Float32Array) =>
        Float32Array.from({ length: B * W }, (_, i) => {
          const b = Math.floor(i / W);
          return rows[(b * S + lengths[b] - 1) * W + i % W];
        });
      write(gpu, next.qkv, pack(B, q, last(k), last(v)));
      write(gpu, next.at, Uint32Array.from(lengths, (length) => length - 1));

      const plan = new Plan("decode", gpu);
      for (const part of [prompt, next]) cacheWrite(plan, part.qkv, part.at, keys, values, sizes);
      const y = plan.keep(attentionDecode(plan, next.qkv, keys, values, next.at, sizes));
      const executable = await compile(gpu, plan);
      await executable.run();
      const reader = executable.reader([y]);
      const [got] = await reader.read();
      const sequence = (data: Float32Array, b: number, size: number) => data.subarray(b * size, (b + 1) * size);
      lengths.forEach((length, b) => {
        const want = lastRow(
          sequence(q, b, H * D),
          sequence(k, b, S * W),
          sequence(v, b, S * W),
          length,
          H,
          G,
          D,
        );
        expectClose(sequence(got as Float32Array, b, H * D), want, 1e-5, 1e-4, `sequence of ${length} tokens`);
      });

      // A sequence that has run out of room stands at S: it sees all S keys and nothing behind them.
      write(gpu, next.at, Uint32Array.from(lengths, () => S));
      write(gpu, prompt.at, Uint32Array.from({ length: B * S }, (_, n) => n % S));
      await executable.run();
      const [full] = await reader.read();
      const b = B - 1;
      const want = lastRow(sequence(q, b, H * D), sequence(k, b, S * W), sequence(v, b, S * W), S, H, G, D);
      expectClose(sequence(full as Float32Array, b, H * D), want, 1e-5, 1e-4, "sequence out of room");
      await checkGuards(gpu);
      executable.destroy();
    });
  }

  test("a head size over 256 is refused", () => {
    const plan = new Plan("p");
    const [q, cache, at] = [plan.value("q", [1, 780]), plan.value("cache", [1, 4, 260]), plan.value("at", [1], "u32")];
    expect(() => attentionDecode(plan, q, cache, cache, at, { H: 1, G: 1, D: 260 })).toThrow(
      "Cannot record attention_decode: head size 260 is over 256",
    );
  });
});
