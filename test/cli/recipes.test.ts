// Every recipe from end to end in processes of its own: once in peace, once killed and interrupted, with the same result.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { uniformStream } from "../../src/model/philox.ts";
import { sha256 } from "../../src/files/sha256.ts";
import { denoHost } from "../../src/host/deno.ts";
import { openStore } from "../../src/store/store.ts";
import { ended, etalon, saveSmallModel, start } from "./command.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-recipes-" });
  await saveSmallModel(`${folder}/model`);
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

const sampling = ["sample.samples=4", "sample.maxNewTokens=8", "sample.sampleBatch=8"];
const short = (stage: string) => [
  ...["steps=6", "batchSize=4", "microBatch=4", "warmup=1", "logEvery=3", "checkpointEvery=2"].map((each) =>
    `${stage}.${each}`
  ),
];
const onPolicy = (stage: string) => [
  ...["iterations=4", "prompts=3", "samples=4", "maxNewTokens=8", "sampleBatch=8", "checkpointEvery=1"].map((each) =>
    `${stage}.${each}`
  ),
];
const REWARD_MODEL = [...short("rm"), "rm.width=16", "rm.layers=1", "rm.heads=2", "rm.budgets.trace=40"];

/** Small settings of every recipe that has a trainer of its own, or strings trainers together in a way of its own. */
const CASES: Record<string, string[]> = {
  sft: short("sft"),
  rft: [...short("rft"), "rft.silent=true"],
  kto: short("kto"),
  "eta-dpo": [...short("dpo"), "pairs.failFail=always", "pairs.mask=diff", "lora.rank=4"],
  "iterative-dpo": [...short("dpo"), "dpo.steps=3", "rounds.rounds=2", "pairs.failFail=always"],
  "eta-rm": [...REWARD_MODEL, ...onPolicy("ppo"), "ppo.epochs=2", "dense.kind=executed"],
  "eta-grpo": onPolicy("grpo"),
  repair: ["repair.shots=0", "repair.traceTokens=60"],
};

/** Models that a recipe leaves, where that is not one. */
const TRAINED: Record<string, number> = { "eta-rm": 2, repair: 0 };

function words(recipe: string, out: string): string[] {
  const settings = [...sampling, ...CASES[recipe]].flatMap((each) => ["--set", each]);
  const sizes = ["--problems", "8", "--eval-problems", "3", "--deterministic"];
  return [
    "train",
    "--recipe",
    recipe,
    "--model",
    `${folder}/model`,
    ...sizes,
    ...settings,
    "--out",
    `${folder}/${out}`,
  ];
}

/** report.json without the clock and without the folder's name. */
async function report(out: string): Promise<Record<string, unknown>> {
  const text = await Deno.readTextFile(`${folder}/${out}/report.json`);
  const { timing: _, ...rest } = JSON.parse(text.replaceAll(`${folder}/${out}`, "OUT"));
  return rest;
}

/** What every stage has trained, to the bit. */
async function weights(out: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${out}`)) {
    const path = `${folder}/${out}/${name}/model/model.safetensors`;
    if (isDirectory && await denoHost().exists(path)) all[name] = await sha256(await Deno.readFile(path));
  }
  return all;
}

/** Every sample of every set, and how it was judged. */
async function programs(out: string): Promise<Record<string, string[]>> {
  const store = await openStore(denoHost(), `${folder}/${out}/run.db`);
  const all: Record<string, string[]> = {};
  for (const set of await store.sets()) {
    all[set] = (await store.samples(set)).map(({ problemId, index, completion, result }) =>
      `${problemId}#${index} ${JSON.stringify(completion)}: ${result.verdict}`
    );
  }
  await store.close();
  return all;
}

/** Starts the run and ends it after so many milliseconds: as a terminal's Ctrl-C, or as a power cut. */
async function cut(recipe: string, out: string, after: number, signal: "SIGINT" | "SIGKILL"): Promise<number> {
  const child = start(...words(recipe, out));
  const end = ended(child);
  const timer = setTimeout(() => {
    try {
      Deno.kill(-child.pid, signal);
    } catch { /* it was quicker */ }
  }, after);
  const { code, stderr } = await end;
  clearTimeout(timer);
  expect(stderr).not.toContain("error:");
  return code;
}

describe("recipes", () => {
  Object.keys(CASES).forEach((recipe, place) => {
    test(`${recipe}: killed and interrupted at random, it ends as if nothing had been`, async () => {
      const begun = performance.now();
      const { code, stderr } = await etalon(...words(recipe, recipe));
      const took = performance.now() - begun;
      expect(stderr).not.toContain("error:");
      expect(code, stderr).toBe(0);

      const again = `${recipe}-again`;
      const random = uniformStream(20, place);
      // Another run begins at once, so that some of the cuts fall into a stage that has checkpoints already.
      expect([137, -9, 0]).toContain(await cut(recipe, again, (0.25 + 0.6 * random()) * took, "SIGKILL"));
      if (!await Deno.stat(`${folder}/${again}/report.json`).catch(() => null)) {
        expect([130, 0]).toContain(await cut(recipe, again, (0.1 + 0.6 * random()) * took, "SIGINT"));
      }
      if (!await Deno.stat(`${folder}/${again}/report.json`).catch(() => null)) {
        const last = await etalon(...words(recipe, again));
        expect(last.code, last.stderr).toBe(0);
      }
      expect(await programs(again)).toEqual(await programs(recipe));
      expect(await report(again)).toEqual(await report(recipe));
      expect(Object.keys(await weights(recipe)).length).toBe(TRAINED[recipe] ?? 1);
      expect(await weights(again)).toEqual(await weights(recipe));
    }, 400_000);
  });
});

describe("stages as commands", () => {
  const run = async (...words: string[]) => {
    const { code, stderr } = await etalon(...words, "--run", `${folder}/stages`);
    expect(stderr).not.toContain("error:");
    expect(code, stderr).toBe(0);
    return stderr;
  };

  test("one by one over a folder, and a stage that is done is not done again", async () => {
    const set = (...settings: string[]) => settings.flatMap((each) => ["--set", each]);
    await run("sample", "--model", `${folder}/model`, "--problems", "4", "--eval-problems", "2", ...set(...sampling));
    await run("trace");
    await run("pairs", "--order", "frac", "--fail-fail", "always");
    await run("dpo", ...set(...short("dpo")));
    expect(await run("dpo")).toContain("(done before)");
    await run("eval");
    const { recipe, pairs, trainings, before, after } = await report("stages") as Record<
      string,
      Record<string, unknown>
    >;
    expect([recipe, pairs.order]).toEqual(["dpo", "frac"]);
    expect((trainings as unknown as { stage: string }[]).map(({ stage }) => stage)).toEqual(["dpo"]);
    expect([before.problems, after.problems]).toEqual([2, 2]);
    const other = await etalon("dpo", "--run", `${folder}/stages`, "--set", "dpo.beta=7");
    expect(other.stderr).toContain("error: Cannot run stage dpo in");
    expect(other.stderr).toContain("it was done there with other settings");
    expect(other.code).toBe(1);
  }, 400_000);

  test("a stage says which one comes first", async () => {
    const { code, stderr } = await etalon("rm", "--run", `${folder}/empty`, "--model", `${folder}/model`);
    expect(stderr).toContain(`error: Cannot run stage rm in ${folder}/empty: stage pairs comes first`);
    expect(code).toBe(1);
  }, 100_000);

  test("the settings that --print-config prints are a config file", async () => {
    const printed = await etalon("train", "--recipe", "kto", "--set", "kto.beta=0.3", "--print-config");
    await Deno.writeTextFile(`${folder}/kto.json`, printed.stdout);
    const read = await etalon("train", "--config", `${folder}/kto.json`, "--steps", "7", "--print-config");
    const [first, second] = [printed, read].map(({ stdout }) => JSON.parse(stdout));
    expect(second).toEqual({ ...first, kto: { ...first.kto, steps: 7 } });
    expect(first.kto.beta).toBe(0.3);
  });
});
