import { readFileSync } from "node:fs";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import {
  byteAlphabet,
  SPECIAL_TOKENS,
  SPLIT_PATTERN,
  tokenizerConfig,
  tokenizerJson,
  trainBpe,
} from "../../src/data/bpe.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";

const corpus = [
  "def total(xs):\n    out = 0\n    for x in xs:\n        out += x\n    return out\n",
  "def count(xs):\n    return len(xs) + 10 - 10\n",
  "aaaa aaaa bbbb\n",
];
const strange = ["\0\x7f", "ÿ ß 漢字 🦙👩‍👩‍👧", "\r\n\t  x", "\n\n\n    y", "   ", "_a__b", "1234", "\u2028\u00a0"];

async function trained(texts: string[], size: number) {
  const bpe = trainBpe(texts, size);
  const host = memoryHost({
    "m/tokenizer.json": JSON.stringify(tokenizerJson(bpe)),
    "m/tokenizer_config.json": JSON.stringify(tokenizerConfig(128)),
  });
  return { bpe, tokenizer: await loadTokenizer(host, "m") };
}

describe("byte-level BPE", () => {
  test("the byte alphabet is the one GPT-2 published", () => {
    const gpt2 = JSON.parse(readFileSync("../shared/data/tokenizers/gpt2/tokenizer.json", "utf8")).model.vocab;
    const alphabet = byteAlphabet();
    expect(new Set(alphabet).size).toBe(256);
    // GPT-2's first 256 ids are its bytes: printable ones in order, then the shifted ones.
    expect([...alphabet].sort()).toEqual(Object.keys(gpt2).filter((token) => gpt2[token] < 256).sort());
    expect(alphabet[0x20]).toBe("Ġ");
    expect(alphabet[0x0a]).toBe("Ċ");
  });

  test("merges the most frequent pair first, and on a tie the pair that is first by code points", () => {
    const { merges } = trainBpe(["cd cd cd ab ab", "ab"], SPECIAL_TOKENS.length + 256 + 3);
    // " c" + " d": Ġc twice, cd three times, Ġa once, ab three times, then what is left with the merged symbols.
    expect(merges).toEqual([["a", "b"], ["c", "d"], ["Ġ", "ab"]]);
  });

  test("is deterministic, dense from 0, and no larger than asked", () => {
    const first = trainBpe(corpus, 300);
    expect(trainBpe(corpus, 300)).toEqual(first);
    expect(first.vocab.size).toBeLessThanOrEqual(300);
    expect([...first.vocab.values()]).toEqual([...first.vocab.keys()].map((_, i) => i));
    expect([...first.vocab.keys()].slice(0, 3)).toEqual(["<pad>", "<bos>", "<eos>"]);
    expect(first.merges.length).toBe(first.vocab.size - 259);
  });

  test("stops when no pair is frequent enough, and refuses a vocabulary too small for the bytes", () => {
    expect(trainBpe(["ab cd"], 1024, 2).merges).toEqual([]);
    expect(() => trainBpe(corpus, 200)).toThrow("vocabSize is 200, special tokens and bytes alone take 259");
  });

  test("the pattern takes every character exactly once", () => {
    for (const text of [...corpus, ...strange]) {
      expect([...text.matchAll(new RegExp(SPLIT_PATTERN, "gu"))].map(([piece]) => piece).join("")).toBe(text);
    }
  });

  test("any text comes back from its ids, whatever it was trained on", async () => {
    const { tokenizer } = await trained(corpus, 320);
    for (const text of [...corpus, ...strange, ""]) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("the library splits and merges as the trainer counted", async () => {
    const { bpe, tokenizer } = await trained(corpus, 340);
    // A plain reading of the definition: apply all merges in order of rank, everywhere.
    const utf8 = new TextEncoder();
    const alphabet = byteAlphabet();
    for (const text of [...corpus, ...strange]) {
      const ids = [...text.matchAll(new RegExp(SPLIT_PATTERN, "gu"))].flatMap(([piece]) => {
        let symbols = Array.from(utf8.encode(piece), (byte) => alphabet[byte]);
        for (const [left, right] of bpe.merges) {
          for (let i = 0; i + 1 < symbols.length; i++) {
            if (symbols[i] === left && symbols[i + 1] === right) {
              symbols = [...symbols.slice(0, i), left + right, ...symbols.slice(i + 2)];
            }
          }
        }
        return symbols.map((symbol) => bpe.vocab.get(symbol)!);
      });
      expect(tokenizer.encode(text)).toEqual(ids);
    }
  });
});

describe("the committed micro tokenizer", () => {
  const dir = "models/micro";

  test("has at most 1,024 tokens, and padding, start and end are three different tokens", async () => {
    const tokenizer = await loadTokenizer(denoHost(), dir);
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(1024);
    expect([tokenizer.padId, tokenizer.bosId, tokenizer.eosId]).toEqual([0, 1, 2]);
  });

  test("keeps an indent, a keyword and a digit in one token each, with or without a space before", () => {
    const json = JSON.parse(readFileSync(`${dir}/tokenizer.json`, "utf8"));
    const inner = new HuggingFaceTokenizer(json, {});
    const split = (text: string) => inner.encode(text, { add_special_tokens: false }).tokens;
    expect(split("    total = 0\n    for x in xs:\n        total += x * 12\n    return total\n")).toEqual(
      "ĠĠĠĠ|total|Ġ=|Ġ0|ĊĠĠĠĠ|for|Ġx|Ġin|Ġxs|:|ĊĠĠĠĠĠĠĠĠ|total|Ġ+=|Ġx|Ġ*|Ġ1|2|ĊĠĠĠĠ|return|Ġtotal|Ċ".split("|"),
    );
  });
});
