import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { readParquet } from "../../src/files/parquet.ts";
import { openStore } from "../../src/store/store.ts";
import { pairRows, problems, samples } from "../store/rows.ts";
import { etalon } from "./command.ts";

let folder: string;
let run: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-data-" });
  run = `${folder}/run`;
  const store = await openStore(denoHost(), `${run}/run.db`);
  await store.requireVersions({ python: "3.14.2", tracer: "t1" });
  await store.addProblems(problems);
  await store.setSampling("train", { modelId: "m1", seed: 3 });
  await store.addSamples("train", samples(4));
  await store.addPairs("train", pairRows);
  await store.close();
  await Deno.writeTextFile(`${folder}/text.txt`, "no rows\n");
  await Deno.writeTextFile(`${folder}/lacking.jsonl`, `{"set": "a", "completion": "x", "result": {}}\n`);
  await Deno.writeTextFile(`${folder}/foreign.db`, "x".repeat(5000));
  await Deno.mkdir(`${folder}/empty`);
  await Deno.mkdir(`${folder}/broken`);
  await Deno.copyFile(`${folder}/foreign.db`, `${folder}/broken/run.db`);
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

test("a run's data goes out as Parquet and JSON lines, into another run, and both have the same card", async () => {
  for (const [what, format] of [["problems", "jsonl"], ["samples", "parquet"], ["pairs", "jsonl"]]) {
    const { code, stderr } = await etalon("data", "export", "--run", run, "--what", what, "--format", format);
    const rows = what === "samples" ? 8 : 2;
    expect([code, stderr]).toEqual([0, `${rows} rows written to ${run}/${what}.${format}\n`]);
  }
  expect(await readParquet(await Deno.readFile(`${run}/samples.parquet`), "x")).toHaveLength(8);
  const files = ["problems.jsonl", "samples.parquet", "pairs.jsonl"].map((name) => `${run}/${name}`);
  const { code, stderr } = await etalon("data", "import", "--run", `${folder}/other/`, ...files);
  expect([code, stderr]).toEqual([
    0,
    `${files[0]}: 2 problems, 0 samples, 0 pairs\n${files[1]}: 0 problems, 8 samples, 0 pairs\n` +
    `${files[2]}: 0 problems, 0 samples, 2 pairs\n`,
  ]);
  const cards = await Promise.all(
    [run, `${folder}/other`].map((dir) => etalon("data", "card", "--run", dir, "--title", "One set")),
  );
  expect(cards[0].stdout).toContain("| train | 8 | 2 of 2 | 4 | 6 |");
  expect(cards[1].stdout).toBe(cards[0].stdout);
});

describe("bad input: one line and a non-zero exit", () => {
  const cases: [name: string, words: () => string[], line: string][] = [
    [
      "no run folder",
      () => ["export", "--run", `${folder}/none`, "--what", "pairs"],
      "error: Cannot open DIR/none/run.db: no such file, so DIR/none is no run folder",
    ],
    [
      "a run.db of something else",
      () => ["card", "--run", `${folder}/broken`],
      "error: Cannot open DIR/broken/run.db: file is not a database",
    ],
    [
      "an unknown set",
      () => ["export", "--run", run, "--what", "samples", "--set", "trian"],
      'error: Cannot export samples of set "trian": DIR/run/run.db has train',
    ],
    [
      "nothing to export",
      () => ["export", "--run", run, "--what", "sft"],
      "error: Cannot export sft: DIR/run/run.db has none",
    ],
    [
      "an unknown kind of rows",
      () => ["export", "--run", run, "--what", "sample"],
      "error: option '--what <rows>' argument 'sample' is invalid. Allowed choices are samples, pairs, sft, problems.",
    ],
    [
      "a missing file",
      () => ["import", "--run", `${folder}/empty`, `${folder}/x.jsonl`],
      "error: Cannot read DIR/x.jsonl: no such file",
    ],
    [
      "a file of no rows",
      () => ["import", "--run", `${folder}/empty`, `${folder}/text.txt`],
      "error: Cannot read DIR/text.txt: line 1 is not JSON (Unexpected token 'o', \"no rows\" is not valid JSON)",
    ],
    [
      "a missing column",
      () => ["import", "--run", `${folder}/empty`, `${folder}/lacking.jsonl`],
      'error: Cannot import DIR/lacking.jsonl: line 1: field "tokens" is missing, expected a list',
    ],
  ];
  for (const [name, words, line] of cases) {
    test(name, async () => {
      const { code, stdout, stderr } = await etalon("data", ...words());
      expect([code, stdout, stderr.trimEnd().replaceAll(folder, "DIR")]).toEqual([1, "", line]);
    });
  }
});
