import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadProblems } from "../../src/data/datasets.ts";
import { programJob } from "../../src/data/problem.ts";
import { denoHost } from "../../src/host/deno.ts";
import { openStore } from "../../src/store/store.ts";
import { createPool } from "../../src/trace/pool.ts";
import { etalon } from "./command.ts";

let folder: string;
const problem = {
  id: "humaneval/900",
  dataset: "humaneval",
  split: "test",
  prompt: 'def add(a, b):\n    """The sum."""\n',
  entry_point: "add",
  tests: ["def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, 2) == 4\n"],
  test_kind: "humaneval-check",
  canonical_solution: "    c = a + b\n    return c\n",
};
const silent = { ...problem, id: "humaneval/901", entry_point: "add" };
const program = (line: string) => `    c = ${line}\n    return c\n`;
const answers: [string, string][] = [
  ["humaneval/900", program("a * b")], // right for 2 and 2
  ["humaneval/900", program("a + b")],
  ["humaneval/900", program("a  +  b  # again")],
  ["humaneval/901", program("a * b")],
  ["humaneval/901", program("a // 0")],
  ["humaneval/901", "    return (\n"],
];

beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-pairs-" });
  const lines = (rows: unknown[]) => rows.map((row) => JSON.stringify(row) + "\n").join("");
  await Deno.writeTextFile(`${folder}/problems.jsonl`, lines([problem, silent]));
  const whole = { task_id: "HumanEval/900", code: problem.prompt + program("a + b"), code_mode: "program" };
  await Deno.writeTextFile(
    `${folder}/samples.jsonl`,
    lines([...answers.map(([task_id, completion]) => ({ task_id, completion })), whole]),
  );
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

async function pairs(...words: string[]) {
  const { code, stdout, stderr } = await etalon("pairs", "--workers", "1", ...words);
  return { code, stdout, stderr: stderr.replaceAll(folder, "DIR") };
}
const candidates = (...words: string[]) =>
  pairs("--candidates", `${folder}/samples.jsonl`, "--problems", `${folder}/problems.jsonl`, ...words);
const read = (name: string) => Deno.readTextFile(`${folder}/${name}`);
const rows = async (name: string) => (await read(name)).trim().split("\n").map((line) => JSON.parse(line));

describe("programs of a file", () => {
  test("pairs in TRL's form with both traces, statistics as a table and as JSON, and a second order for nothing", async () => {
    const kept = ["--results", `${folder}/judged.jsonl`];
    const first = await candidates(...kept, "--out", `${folder}/pairs.jsonl`);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout).toContain("humaneval: 2 prompts (1 without a pass), 6 samples, 5 different programs.");
    expect(first.stdout).toContain("humaneval, whole programs: 1 prompts");
    const written = await rows("pairs.jsonl");
    expect(
      written.map(({ problem_id, chosen, rejected, reason, margin }) => [problem_id, chosen, rejected, reason, margin]),
    ).toEqual([
      ["humaneval/900", program("a + b"), program("a * b"), "pass/fail", 1],
      ["humaneval/901", program("a * b"), "    return (\n", "stage", 0.5],
      ["humaneval/901", program("a // 0"), "    return (\n", "stage", 0.5],
      ["humaneval/901", program("a * b"), program("a // 0"), "fraction", 0.125],
    ]);
    expect(written[0]).toMatchObject({ prompt: problem.prompt, order: "eta", test: "add(1, 2)" });
    expect(written[0].chosen_trace).toContain("c=3");
    expect(written[0].rejected_trace).toContain("c=2");

    const [judged, extra] = [await read("judged.jsonl"), await read("judged.jsonl.extra")];
    const second = await candidates(...kept, "--order", "frac", "binary", "--json", "--calibrated");
    expect(second.code, second.stderr).toBe(0);
    expect(second.stderr).toContain("7 of 7 candidates are judged");
    const { datasets } = JSON.parse(second.stdout);
    expect(datasets[0].orders.map(({ stats }: { stats: { order: string } }) => stats.order)).toEqual([
      "frac",
      "binary",
    ]);
    expect(datasets[0].orders[0].stats.strata).toEqual({
      "pass/fail": { pairs: 1, ties: 0, incomparable: 0, byRule: { "pass/fail": 1 } },
      "fail/fail, same class": { pairs: 0, ties: 0, incomparable: 0, byRule: {} },
      "fail/fail, different class": { pairs: 3, ties: 1, incomparable: 0, byRule: { fraction: 2 } },
    });
    expect(datasets[0].orders[1].stats.strata["fail/fail, different class"]).toMatchObject({ ties: 3, byRule: {} });
    expect([await read("judged.jsonl"), await read("judged.jsonl.extra")]).toEqual([judged, extra]);

    // What a run that was ended half way leaves: whole lines, and part of one.
    const cut = judged.split("\n").slice(0, 3).join("\n") + '\n{"problem_id": "huma';
    await Deno.writeTextFile(`${folder}/judged.jsonl`, cut);
    const resumed = await candidates(...kept, "--out", `${folder}/again.jsonl`);
    expect(resumed.stderr).toContain("3 of 7 candidates are judged");
    expect(await read("again.jsonl")).toBe(await read("pairs.jsonl"));
    const timeless = (text: string) => text.replace(/"elapsedMs":[\d.]+/g, "");
    expect(timeless(await read("judged.jsonl"))).toBe(timeless(judged));
  });

  test("a reference solution stands in where nothing passes, when asked", async () => {
    const kept = ["--results", `${folder}/reference.jsonl`, "--json"];
    const same = async (...words: string[]) => {
      const { code, stdout, stderr } = await candidates(...kept, ...words);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).datasets[0].orders[0].stats.strata["fail/fail, different class"].byRule;
    };
    await Deno.writeTextFile(`${folder}/order.json`, '{"name": "agreement", "components": ["pass", "agreement"]}');
    expect(await same("--order", `${folder}/order.json`)).toEqual({});
    expect(await same("--order", `${folder}/order.json`, "--reference-sibling")).toEqual({ agreement: 2 });
  });
});

test("programs of a run: pairs go into its store, once", async () => {
  const host = denoHost();
  const path = `${folder}/run/run.db`;
  const problems = await loadProblems(host, `${folder}/problems.jsonl`);
  const pool = createPool(() => host.spawnArena());
  const samples = await Promise.all(answers.map(async ([problemId, completion], index) => {
    const job = programJob(problems.find(({ id }) => id === problemId)!, completion, "deciding");
    return { problemId, index, completion, tokens: [1], finished: true, result: await pool.run(job) };
  }));
  pool.close();
  const store = await openStore(host, path);
  await store.addProblems(problems);
  await store.addSamples("train", samples);
  await store.close();

  for (let times = 0; times < 2; times++) {
    const { code, stderr, stdout } = await pairs("--run", `${folder}/run`, "--order", "eta", "random");
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("train: 2 prompts (1 without a pass)");
  }
  const again = await openStore(host, path);
  const sets = await again.pairSets();
  expect(sets).toEqual(["train, eta, fill, 4 a prompt, seed 1", "train, random, fill, 4 a prompt, seed 1"]);
  const [eta, random] = await Promise.all(sets.map((set) => again.pairs(set)));
  await again.close();
  expect(eta.map(({ reason }) => reason)).toEqual(["pass/fail", "stage", "stage", "fraction"]);
  expect(random.map(({ reason }) => reason)).toEqual(["pass/fail", "random", "random", "random"]);

  const { code, stderr } = await pairs("--run", `${folder}/run`, "--set", "before");
  expect(code).toBe(1);
  expect(stderr).toContain("error: Cannot read samples of set before: DIR/run/run.db has train");
});

test("problems are looked for beside the candidates", async () => {
  await Deno.mkdir(`${folder}/set`);
  await Deno.copyFile(`${folder}/samples.jsonl`, `${folder}/set/samples.jsonl`);
  await Deno.copyFile(`${folder}/problems.jsonl`, `${folder}/set/humaneval.jsonl`);
  const { code, stdout, stderr } = await pairs("--candidates", `${folder}/set/samples.jsonl`, "--order", "binary");
  expect(code, stderr).toBe(0);
  expect(stdout).toContain("humaneval: 2 prompts (1 without a pass), 6 samples, 5 different programs.");
});

describe("bad input: one line and a non-zero exit", () => {
  test.each<[string, () => string[], string]>([
    ["no programs", () => [], "Cannot form pairs: give either --candidates or --run"],
    ["both", () => ["--candidates", "x", "--run", "y"], "Cannot form pairs: give either --candidates or --run"],
    [
      "no problems",
      () => ["--candidates", `${folder}/samples.jsonl`],
      "Cannot judge --candidates without --problems: DIR holds none of humaneval.jsonl, mbpp.jsonl, apps.jsonl",
    ],
    ["problems of a run", () => ["--run", "x", "--problems", "y"], "Cannot use --problems with --run"],
    ["no run", () => ["--run", `${folder}/none`], "Cannot read DIR/none/run.db: no such file"],
    [
      "an unknown order",
      () => ["--run", "x", "--order", "best"],
      "Cannot use order best: expected binary, frac, seed-literal, seed-safe, eta, random, or a .json file",
    ],
    ["no order file", () => ["--run", "x", "--order", `${folder}/no.json`], "Cannot read DIR/no.json: no such file"],
  ])("%s", async (_, words, message) => {
    const { code, stdout, stderr } = await pairs(...words());
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.trim()).toBe(`error: ${message}`);
  });
});
