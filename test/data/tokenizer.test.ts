import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeContinuation, loadTokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";

const DATA = "../shared/data";
const host = denoHost();
const texts = [
  'def f(xs):\n    """Return the sum of xs.\n    >>> f([1, 2])\n    3\n    """\n    return sum(xs)\n',
  "    for i in range(10):\n        if i % 2 == 0:\n\t\tprint('ü → 🦙', i)  \n\n\n",
  "",
  " ",
  "x = 1234567890 // 3.14",
];

/** llama.cpp's vectors: texts parted by a line of its own, ids one line each. */
function vectors(name: string): { text: string; ids: number[] }[] {
  const path = `${DATA}/tokenizers/vectors/ggml-vocab-${name}.gguf`;
  const inputs = readFileSync(`${path}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
  const outputs = readFileSync(`${path}.out`, "utf8").split("\n");
  return inputs.map((text, i) => ({ text, ids: outputs[i].trim().split(/\s+/).filter(Boolean).map(Number) }));
}

describe("tokenizers of published models", () => {
  for (const [dir, name] of [["starcoder2", "starcoder"], ["qwen2.5", "qwen2"], ["gpt2", "gpt-2"]]) {
    test(`${dir} gives the ids of the published vectors`, async () => {
      const tokenizer = await loadTokenizer(host, `${DATA}/tokenizers/${dir}`);
      const cases = vectors(name);
      expect(cases.length).toBeGreaterThan(40);
      for (const { text, ids } of cases) expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
    });
  }

  for (const dir of ["starcoder2", "qwen2.5", "gpt2", "deepseek-coder", "codellama", "llama2"]) {
    test(`${dir} returns a text from its ids, and its special ids lie inside the vocabulary`, async () => {
      const tokenizer = await loadTokenizer(host, `${DATA}/tokenizers/${dir}`);
      for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      for (const id of [tokenizer.eosId, tokenizer.padId, tokenizer.bosId ?? 0]) {
        expect(id).toBeGreaterThanOrEqual(0);
        expect(id).toBeLessThan(tokenizer.vocabSize);
      }
      expect(tokenizer.decode([...tokenizer.encode("x"), tokenizer.eosId])).toBe("x");
    });
  }

  test("a continuation keeps the indent that a Llama tokenizer drops at the start of a text", async () => {
    const tokenizer = await loadTokenizer(host, `${DATA}/tokenizers/codellama`);
    const prompt = tokenizer.encode("def f():\n");
    const body = tokenizer.encode("def f():\n    return 1\n").slice(prompt.length);
    expect(tokenizer.decode(body)).not.toBe("    return 1\n");
    expect(decodeContinuation(tokenizer, prompt, body)).toBe("    return 1\n");
  });
});

describe("the piece list of stories260K", () => {
  const dir = `${DATA}/checkpoints/stories260K`;
  const published = JSON.parse(readFileSync(`${dir}/expected_greedy.json`, "utf8"));

  test("decodes the published ids to the published text and encodes that text to the same ids", async () => {
    const tokenizer = await loadTokenizer(host, dir);
    expect(tokenizer.vocabSize).toBe(512);
    const ids = published.greedy_token_ids.slice(1);
    const text = tokenizer.decode([tokenizer.bosId!, ...ids]);
    expect(text.trimEnd()).toBe(published.text.trimEnd());
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.encode("Once upon a time, there was a little girl named Lily.")).toEqual(ids.slice(0, 15));
  });

  test("falls back to bytes for characters without a piece", async () => {
    const tokenizer = await loadTokenizer(host, dir);
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.encode("🦙").slice(1)).toEqual([0xf0, 0x9f, 0xa6, 0x99].map((byte) => byte + 3));
  });
});

describe("tokenizer files that are not in order", () => {
  test("a folder without a tokenizer is refused with its name", async () => {
    const memory = memoryHost({ "model/config.json": "{}" });
    await expect(loadTokenizer(memory, "model")).rejects.toThrow(
      "Cannot load a tokenizer from model: it holds no tokenizer.json",
    );
  });

  test("a file that is no JSON or no tokenizer is refused with its path", async () => {
    await expect(loadTokenizer(memoryHost({ "m/tokenizer.json": "{" }), "m")).rejects.toThrow(
      "Cannot load m/tokenizer.json: it is not JSON",
    );
    await expect(loadTokenizer(memoryHost({ "m/tokenizer.json": "[]" }), "m")).rejects.toThrow(
      'Cannot load m/tokenizer.json: field "model" is missing',
    );
    await expect(loadTokenizer(memoryHost({ "m/tok9.json": '[{"id": 1}]' }), "m")).rejects.toThrow(
      "Cannot load m/tok9.json: entry 0 is no {id, piece, score} in order",
    );
  });
});
