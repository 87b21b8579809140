import { describe, expect, test } from "vitest";
import { batchArrays, bucketOf, positionsOf } from "../../src/recipes/batches.ts";
import { tokenizeRows } from "../../src/recipes/sequences.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";

describe("batches", () => {
  test("a bucket is the smallest padded length that holds the sequence", () => {
    expect([1, 16, 17, 128, 129, 4096].map((length) => bucketOf(length))).toEqual([16, 16, 32, 128, 160, 4096]);
  });

  test("a sequence beyond the longest bucket is an error that names both numbers", () => {
    expect(() => bucketOf(4097)).toThrow("Cannot batch a sequence of 4097 tokens: there is room for 4096");
    expect(bucketOf(100, 100)).toBe(100); // a model with an odd number of positions
    expect(() => bucketOf(101, 100)).toThrow("Cannot batch a sequence of 101 tokens: there is room for 100");
  });

  test("a sequence of n tokens fills n - 1 positions, and only completion targets count", () => {
    const sequence = { tokens: [1, 10, 11, 20, 21, 2], promptLength: 3 };
    const { ids, targets, mask, counts } = batchArrays([sequence], 2, 7, 9);
    expect(positionsOf(sequence)).toBe(5);
    expect([...ids]).toEqual([1, 10, 11, 20, 21, 9, 9, ...Array(7).fill(9)]); // the EOS is only ever a target
    expect([...targets]).toEqual([10, 11, 20, 21, 2, ...Array(9).fill(0)]);
    expect([...mask]).toEqual([0, 0, 1, 1, 1, ...Array(9).fill(0)]); // the last prompt token predicts the first answer
    expect(counts).toEqual([3]);
  });

  test("a sequence that exactly fills the row fits, one more token does not", () => {
    const exact = { tokens: [1, 3, 4, 5, 2], promptLength: 1 };
    expect(batchArrays([exact], 1, 4, 0).counts).toEqual([4]);
    expect(() => batchArrays([exact], 1, 3, 0)).toThrow("Cannot batch a sequence of 5 tokens into 3 positions");
  });

  test("an empty completion counts no target, as the empty rows of a short batch do", () => {
    const { mask, counts } = batchArrays([{ tokens: [0], promptLength: 1 }], 1, 4, 0);
    expect(counts).toEqual([0]);
    expect([...mask]).toEqual([0, 0, 0, 0]);
  });

  test("rows longer than the model are left out and counted, the rest is BOS, prompt, completion, EOS", async () => {
    const tokenizer = await loadTokenizer(denoHost(), "models/micro");
    const rows = [{ prompt: "def f(x):\n", completion: "    return x\n" }, {
      prompt: "x = 1\n".repeat(50),
      completion: "",
    }];
    const { sequences, tooLong } = tokenizeRows(tokenizer, rows, 64);
    expect(tooLong).toBe(1);
    expect(sequences).toHaveLength(1);
    const { tokens, promptLength } = sequences[0];
    expect(tokens[0]).toBe(tokenizer.bosId);
    expect(tokens.at(-1)).toBe(tokenizer.eosId);
    expect(tokenizer.decode(tokens.slice(1, promptLength))).toBe(rows[0].prompt);
    expect(tokenizer.decode(tokens.slice(promptLength, -1))).toBe(rows[0].completion);
  });
});
