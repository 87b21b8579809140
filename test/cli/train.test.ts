import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { openStore } from "../../src/store/store.ts";
import { type Ended, ended, etalon, saveSmallModel, start } from "./command.ts";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-cli-" });
  model = `${folder}/model`;
  await saveSmallModel(model);
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

const SMALL = ["--problems", "3", "--samples", "4", "--eval-problems", "3", "--max-new-tokens", "8"]
  .concat(["--sample-batch", "4", "--micro-batch", "2", "--batch-size", "4", "--warmup", "1"])
  .concat(["--checkpoint-every", "2", "--log-every", "3", "--steps", "8"]);
const words = (out: string) => ["train", "--model", model, ...SMALL, "--json", "--out", `${folder}/${out}`];

/** report.json without the clock and without the folder's name in the command. */
async function report(out: string) {
  const text = await Deno.readTextFile(`${folder}/${out}/report.json`);
  const { timing, ...rest } = JSON.parse(text.replaceAll(`${folder}/${out}`, "OUT"));
  return { timing, rest };
}

/** What each sample was and how it was judged; a program that a killed interpreter spoiled would stand out here. */
async function candidates(out: string, set: string): Promise<string[]> {
  const store = await openStore(denoHost(), `${folder}/${out}/run.db`);
  const samples = await store.samples(set);
  await store.close();
  return samples.map(({ problemId, index, completion, result: { stage, verdict, steps } }) =>
    `${problemId}#${index} ${JSON.stringify(completion)}: ${stage} ${verdict} after ${steps} steps`
  );
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const start = performance.now(); !await holds();) {
    if (performance.now() - start > 50_000) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

/** Starts the run, waits for a file, presses Ctrl-C. */
async function interrupted(out: string, file: string): Promise<Ended> {
  const child = start(...words(out));
  const end = ended(child);
  await until(file, () => exists(`${folder}/${out}/${file}`));
  Deno.kill(-child.pid, "SIGINT"); // a terminal sends it to the whole group, the Python interpreters included
  return await end;
}

describe("train", () => {
  let whole: Ended;
  beforeAll(async () => void (whole = await etalon(...words("whole"))), 180_000);

  test("ends well and leaves all files; the last line of stdout is one JSON summary", async () => {
    expect(whole.stderr).not.toContain("error:");
    expect(whole.code).toBe(0);
    const names = [...Deno.readDirSync(`${folder}/whole`)].map(({ name }) => name).sort();
    expect(names).toEqual(
      [
        "config.json",
        "dpo",
        "kernels.json",
        "pairs.jsonl",
        "report.html",
        "report.json",
        "run.db",
      ],
    );
    const summary = JSON.parse(whole.stdout.trimEnd().split("\n").at(-1)!);
    const { rest, timing } = await report("whole");
    expect(summary.before["pass@1"]).toBe(rest.before.passAt["1"].value);
    expect(summary.after.outcomes).toEqual(rest.after.outcomes);
    expect(summary.pairs).toBe(rest.pairs.total);
    expect(summary.adapter).toBe(rest.adapter);
    expect(timing.stages.map(({ name }: { name: string }) => name)).toEqual([
      "before",
      "sample",
      "pairs",
      "dpo",
      "after-dpo",
    ]);
    expect(rest.trainings[0].metrics.map(({ step }: { step: number }) => step)).toEqual([1, 3, 6, 8]);
    const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, n) => sum + n, 0);
    expect(total(rest.before.outcomes)).toBe(12);
    expect(await candidates("whole", "train")).toHaveLength(12);
  });

  test("Ctrl-C while sampling and while training: 130, and the same command ends with the same report", async () => {
    const sampling = await interrupted("again", "run.db");
    expect(sampling.code).toBe(130);
    expect(sampling.stderr).toContain("stopped; the same command goes on from here");
    expect(await exists(`${folder}/again/report.json`)).toBe(false);

    const training = await interrupted("again", "dpo/checkpoints/reference.json");
    expect(training.code).toBe(130);
    expect(training.stderr).toContain(`going on with the run in ${folder}/again`);
    expect(await exists(`${folder}/again/report.json`)).toBe(false);

    expect((await etalon(...words("again"))).code).toBe(0);
    for (const file of ["before", "train", "after-dpo"]) {
      expect(await candidates("again", file)).toEqual(await candidates("whole", file));
    }
    expect((await report("again")).rest).toEqual((await report("whole")).rest);
  }, 180_000);

  test("a finished run is not overwritten", async () => {
    const { code, stderr, stdout } = await etalon(...words("whole"));
    expect(stderr).toBe(
      `error: Cannot train into ${folder}/whole: it holds a finished run; choose another --out\n`,
    );
    expect([code, stdout]).toEqual([1, ""]);
  });

  for (const name of ["mbpp", "humaneval"]) {
    test(`real problems: ${name}`, async () => {
      const out = `${folder}/${name}`;
      const few = ["--problems", "2", "--samples", "2", "--steps", "1", "--max-new-tokens", "8", "--sample-batch", "2"];
      const data = `../shared/data/${name}.jsonl`;
      const { code, stdout, stderr } = await etalon(
        "train",
        "--data",
        data,
        "--model",
        model,
        ...few,
        "--json",
        "--out",
        out,
      );
      expect(stderr).not.toContain("error:");
      expect(code).toBe(0);
      const summary = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
      expect(summary.data).toMatchObject({ name: data, trainProblems: 2, evalProblems: 2 });
      for (const side of [summary.before, summary.after]) {
        const counts: number[] = Object.values(side.outcomes);
        expect(counts.reduce((sum, n) => sum + n, 0)).toBe(4);
      }
    }, 180_000);
  }
});
