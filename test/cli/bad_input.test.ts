import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/files/safetensors.ts";
import { etalon, saveSmallModel } from "./command.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-bad-" });
  await saveSmallModel(`${folder}/model`);
  const good = { task_id: 1, text: "Add.", code: "def f(a):\n  return a", test_list: ["assert f(1) == 1"] };
  await Deno.writeTextFile(`${folder}/broken.jsonl`, `${JSON.stringify(good)}\n{"task_id": 2,\n`);
  await Deno.writeTextFile(
    `${folder}/two.jsonl`,
    [1, 2].map((id) => JSON.stringify({ ...good, task_id: id })).join("\n"),
  );
  await Deno.writeTextFile(`${folder}/wrong.yaml`, "recipe: eta-dpo\ndpo:\n  schedule: linaer\n");
  await Deno.writeTextFile(`${folder}/broken.yaml`, "dpo: [1,\n");
  for (const name of ["bare", "turned", "small"]) {
    await Deno.mkdir(`${folder}/${name}`);
    for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
      await Deno.copyFile(`${folder}/model/${file}`, `${folder}/${name}/${file}`);
    }
  }
  const { tensors } = readSafetensors(await Deno.readFile(`${folder}/model/model.safetensors`), "model");
  const write = async (name: string, shapeOf: (tensor: string, shape: readonly number[]) => number[]) => {
    const changed = [...tensors].map(([tensor, { shape, data }]) => {
      const wanted = shapeOf(tensor, shape);
      const size = wanted.reduce((product, n) => product * n, 1);
      return [tensor, { shape: wanted, data: data.slice(0, size) }] as const;
    });
    await Deno.writeFile(`${folder}/${name}/model.safetensors`, writeSafetensors(new Map(changed)));
  };
  await write("turned", (tensor, shape) => tensor.endsWith("up_proj.weight") ? [...shape].reverse() : [...shape]);
  await write("small", (tensor, shape) => tensor.endsWith("embed_tokens.weight") ? [1000, 32] : [...shape]);
  const config = JSON.parse(await Deno.readTextFile(`${folder}/small/config.json`));
  await Deno.writeTextFile(`${folder}/small/config.json`, JSON.stringify({ ...config, vocab_size: 1000 }));
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

/** Runs train on two good problems; later words win. Gives stderr without the lines of ordinary progress. */
async function refused(...words: string[]): Promise<string> {
  const defaults = ["--data", `${folder}/two.jsonl`, "--model", `${folder}/model`, "--out", `${folder}/out`];
  const { code, stdout, stderr } = await etalon("train", ...defaults, "--problems", "1", ...words);
  expect(code, stderr).toBe(1);
  expect(stdout).toBe("");
  const lines = stderr.trimEnd().split("\n");
  expect(lines.filter((line) => line.startsWith("error: ")), stderr).toHaveLength(1);
  expect(lines.at(-1), stderr).toMatch(/^error: /); // no usage, no stack behind it
  expect(lines.length, stderr).toBeLessThanOrEqual(2); // the adapter's name may stand in front
  return lines.at(-1)!.replaceAll(folder, "DIR");
}

describe("bad input: one line and a non-zero exit", () => {
  const cases: [name: string, words: () => string[], line: string | RegExp][] = [
    [
      "a missing data file",
      () => ["--data", `${folder}/none.jsonl`],
      "error: Cannot read DIR/none.jsonl: no such file",
    ],
    [
      "a run that needs more GPU memory than it may take",
      () => ["--memory", "0.002"],
      /^error: Cannot train: [\d.]+ [MG]B of GPU memory needed, 2\.00 MB there \(.*\)\. With --.*--recompute block .*--micro-batch 4: /,
    ],
    [
      "a broken JSON line, named by file and line",
      () => ["--data", `${folder}/broken.jsonl`],
      /^error: Cannot read DIR\/broken\.jsonl: line 2 is not JSON \(.*\)$/,
    ],
    [
      "a tensor of the wrong shape",
      () => ["--model", `${folder}/turned`],
      'error: Cannot load DIR/turned/model.safetensors: tensor "model.layers.0.mlp.up_proj.weight" is [32,48], ' +
      "config.json asks for [48,32]",
    ],
    [
      "a model folder without weights",
      () => ["--model", `${folder}/bare`],
      "error: Cannot read DIR/bare/model.safetensors: no such file",
    ],
    [
      "a tokenizer with more tokens than the model",
      () => ["--model", `${folder}/small`],
      "error: Cannot use DIR/small: its tokenizer has 1024 tokens, its config.json 1000",
    ],
    [
      "an unknown flag, with the nearest name",
      () => ["--step", "3"],
      "error: unknown option '--step' (Did you mean --steps?)",
    ],
    [
      "an unknown order",
      () => ["--order", "etta"],
      /^error: option '--order <name>' argument 'etta' is invalid\. Allowed choices are .*binary.*eta/,
    ],
    ["a word where a number belongs", () => ["--steps", "many"], /argument 'many' is invalid\. not a number\.$/],
    [
      "a setting that there is not, with the nearest name",
      () => ["--set", "dpo.bata=1"],
      'error: Cannot read --set dpo.bata=1: "dpo.bata" is no setting; did you mean "dpo.beta"?',
    ],
    [
      "a setting of another recipe",
      () => ["--recipe", "rft", "--set", "dpo.beta=1"],
      /^error: Cannot read --set dpo\.beta=1: "dpo" is no setting of recipe rft; dpo is of eta-dpo, binary-dpo, /,
    ],
    [
      "a config file with a wrong value, named by file and setting",
      () => ["--config", `${folder}/wrong.yaml`],
      'error: Cannot read DIR/wrong.yaml: "dpo.schedule" is "linaer", not one of constant, linear, cosine; did you mean "linear"?',
    ],
    [
      "a config file that is neither JSON nor YAML",
      () => ["--config", `${folder}/broken.yaml`],
      /^error: Cannot read DIR\/broken\.yaml: neither JSON nor YAML/,
    ],
    [
      "an unknown recipe",
      () => ["--recipe", "eta-dop"],
      /^error: option '--recipe <name>' argument 'eta-dop' is invalid\. Allowed choices are eta-dpo, /,
    ],
    ["a count of zero", () => ["--samples", "0"], /argument '0' is invalid\. not a whole number from 1\.$/],
    [
      "a folder that cannot be written",
      () => ["--out", `${folder}/two.jsonl/run`],
      /^error: Cannot write DIR\/two\.jsonl\/run\/config\.json: a part of the path is a file, not a folder$/,
    ],
    [
      "an unnamed data set that is not there",
      () => ["--data", "humaneval"],
      /^error: Cannot find data set humaneval: expected data\/humaneval\.jsonl or .*github\.com\/openai\/human-eval/,
    ],
  ];
  for (const [name, words, line] of cases) {
    test(name, async () => {
      const got = await refused(...words());
      if (typeof line === "string") expect(got).toBe(line);
      else expect(got).toMatch(line);
    });
  }

  test("none of them left samples, pairs, weights or a report: a good command may use the same --out", async () => {
    const names = [...Deno.readDirSync(`${folder}/out`)].map(({ name }) => name);
    expect(names.sort()).toEqual(["config.json", "kernels.json"]);
    const words = ["--data", `${folder}/two.jsonl`, "--model", `${folder}/model`, "--problems", "1", "--samples", "1"];
    const good = await etalon("train", ...words, "--max-new-tokens", "4", "--steps", "1", "--out", `${folder}/out`);
    expect(good.stderr).not.toContain("error:");
    expect(good.code).toBe(0);
  }, 180_000);

  test("an unfinished run is not continued with other settings", async () => {
    await Deno.mkdir(`${folder}/half`);
    await Deno.writeTextFile(`${folder}/half/run.db`, "");
    await Deno.writeTextFile(`${folder}/half/config.json`, JSON.stringify({ recipe: "eta-dpo", data: "micro" }));
    expect(await refused("--out", `${folder}/half`)).toBe(
      'error: Cannot go on with DIR/half: data was "micro" there and is "DIR/two.jsonl" now; choose another --out',
    );
  });

  test("a run that began with tuned kernels is not continued with --deterministic, nor one whose list of them is damaged", async () => {
    await Deno.mkdir(`${folder}/tuned`);
    await Deno.writeTextFile(`${folder}/tuned/kernels.json`, JSON.stringify({ "matmul_nt 8x8x8": "any" }));
    expect(await refused("--out", `${folder}/tuned`, "--deterministic")).toBe(
      "error: Cannot go on with --deterministic: DIR/tuned/kernels.json has tuned choices (matmul_nt 8x8x8: any)",
    );
    await Deno.writeTextFile(`${folder}/tuned/kernels.json`, "{");
    expect(await refused("--out", `${folder}/tuned`)).toMatch(
      /^error: Cannot read DIR\/tuned\/kernels\.json: not JSON/,
    );
  });

  test("an unknown command, with the nearest name", async () => {
    const { code, stderr } = await etalon("trian");
    expect(stderr).toBe("error: unknown command 'trian' (Did you mean train?)\n");
    expect(code).toBe(1);
  });
});
