/**
 * Trains the micro models' tokenizer on a generated corpus and reports how long prompts and completions become:
 *   deno run -A tools/train_tokenizer.ts --seed 1 --count 20000 --out models/micro
 * With `--python python3` a native CPython makes the rows, faster and the same to the byte.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Tokenizer } from "@huggingface/tokenizers";
import { tokenizerConfig, tokenizerJson, trainBpe } from "../src/data/bpe.ts";
import { microCorpus } from "../src/data/micro/micro.ts";
import { pythonRunner } from "./native_python.ts";

const CONTEXT_LENGTH = 128;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "20000" },
    vocab: { type: "string", default: "1024" },
    out: { type: "string", default: "models/micro" },
    python: { type: "string" },
  },
});

const { runner, close } = pythonRunner(values.python);
const rows = await microCorpus(runner, { seed: Number(values.seed), count: Number(values.count) });
close();
// A pair must be frequent to earn a token: what occurs a few times in 20,000 rows can't be learned as a unit.
const minCount = Math.max(2, Math.round(rows.length / 1000));
const bpe = trainBpe(rows.flatMap((row) => [row.prompt, row.completion]), Number(values.vocab), minCount);
const json = tokenizerJson(bpe);
const config = tokenizerConfig(CONTEXT_LENGTH);
mkdirSync(values.out, { recursive: true });
writeFileSync(`${values.out}/tokenizer.json`, JSON.stringify(json, null, 1) + "\n");
writeFileSync(`${values.out}/tokenizer_config.json`, JSON.stringify(config, null, 2) + "\n");

const tokenizer = new Tokenizer(json, config);
const lengthOf = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids.length;
const prompts = rows.map((row) => lengthOf(row.prompt));
const completions = rows.map((row) => lengthOf(row.completion));
console.log(`${bpe.vocab.size} tokens, ${bpe.merges.length} merges (minCount ${minCount}), written to ${values.out}`);
report("prompt", prompts);
report("completion", completions);
report("prompt + completion + eos", prompts.map((length, i) => length + completions[i] + 1));

function report(name: string, lengths: number[]): void {
  const sorted = [...lengths].sort((a, b) => a - b);
  const mean = sorted.reduce((sum, length) => sum + length, 0) / sorted.length;
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  console.log(`${name}: mean ${mean.toFixed(1)}, 95 % ${at(0.95)}, 99 % ${at(0.99)}, longest ${at(1)} tokens`);
}
