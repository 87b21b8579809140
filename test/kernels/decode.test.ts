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
  const queries = new Float64Array(length * H * D);
  queries.set(q, (length - 1) * H * D);
  const [k, v] = [keys, values].map((rows) => Float64Array.from(rows.subarray(0, length * G * D)));
  return reference.attention(queries, k, v, 1, length, H, G, D).subarray((length - 1) * H * D);
}

describe("the key/value cache", () => {
  test("takes each row at its position and drops positions at or beyond its end", async () => {
    const B = 3, T = 4, S = 6, W = 10;
    const x = floats(B * T * W, 1);
    // Out of order; S would be the next sequence's first row, or the sentinels behind the last sequence.
    const positions = Uint32Array.of(2, 0, 1, S, 5, S + 1, 3, 0xffffffff, S, 4, 0, 2 * S);
    const data = [persistent(gpu, "x", [B * T, W]), persistent(gpu, "positions", [B * T], "u32")];
    write(gpu, data[0], x);
    write(gpu, data[1], positions);
    const cache = persistent(gpu, "cache", [B, S, W]);
    const want = floats(B * S * W, 2);
    write(gpu, cache, want);
    positions.forEach((position, n) => {
      const row = x.subarray(n * W, (n + 1) * W);
      if (position < S) want.set(row, (Math.floor(n / T) * S + position) * W);
    });
    const plan = new Plan("write");
    cacheWrite(plan, data[0], data[1], cache);
    const executable = await compile(gpu, plan);
    await executable.run();
    const [got] = await executable.reader([cache]).read();
    expect(got).toEqual(want);
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
      const step = (name: string, rows: number, type: "f32" | "u32" = "f32") =>
        persistent(gpu, name, type === "u32" ? [rows] : [rows, W], type);
      const prompt = { k: step("k", B * S), v: step("v", B * S), at: step("at", B * S, "u32") };
      const next = { k: step("next.k", B), v: step("next.v", B), at: step("next.at", B, "u32") };
      const query = persistent(gpu, "q", [B, H * D]);
      const keys = persistent(gpu, "keys", [B, S, W]), values = persistent(gpu, "values", [B, S, W]);
      // Rows that no token has reached hold NaN: reading one spoils the output.
      for (const cache of [keys, values]) write(gpu, cache, new Float32Array(B * S * W).fill(NaN));
      write(gpu, prompt.k, k);
      write(gpu, prompt.v, v);
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
      write(gpu, next.k, last(k));
      write(gpu, next.v, last(v));
      write(gpu, next.at, Uint32Array.from(lengths, (length) => length - 1));
      write(gpu, query, q);

      const plan = new Plan("decode");
      for (const part of [prompt, next]) {
        cacheWrite(plan, part.k, part.at, keys);
        cacheWrite(plan, part.v, part.at, values);
      }
      const y = plan.keep(attentionDecode(plan, query, keys, values, next.at, D));
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
    const [q, cache, at] = [plan.value("q", [1, 260]), plan.value("cache", [1, 4, 260]), plan.value("at", [1], "u32")];
    expect(() => attentionDecode(plan, q, cache, cache, at, 260)).toThrow(
      "Cannot record attention_decode: head size 260 is over 256",
    );
  });
});
