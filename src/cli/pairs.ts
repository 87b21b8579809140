/** `etalon pairs`: preference pairs from programs that are there, and what each order has to say about them. */
import { type Command, Option } from "commander";
import {
  addAgreement,
  createPool,
  type DatasetStats,
  defaultPairOptions,
  FAIL_FAIL,
  makePairs,
  openStore,
  type Order,
  type OrderName,
  orders,
  type PairOptions,
  pairStats,
  pairStatsTable,
  type Sample,
  toJsonl,
  tracedPairs,
  trlRow,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { interruptSignal } from "./interrupt.ts";
import { parseCount, parsePositive } from "./options.ts";
import { readOrder } from "./orders.ts";
import { type Judged, judgedCandidates } from "./pairs_judge.ts";
import { openExtras, tracedRows } from "./pairs_traces.ts";
import { type Progress, terminalProgress } from "./progress.ts";
import { parseJson } from "./run_folder.ts";
import { runStage } from "./stages.ts";
import { print } from "./trace_output.ts";

interface PairsOptions {
  candidates?: string;
  problems?: string[];
  results?: string;
  run?: string;
  set: string;
  order: string[];
  out?: string;
  json?: boolean;
  maxPairs: number;
  failFail: PairOptions["failFail"];
  weightTests?: boolean;
  calibrated?: boolean;
  referenceSibling?: boolean;
  seed: number;
  workers: number;
}

export function addPairs(program: Command): void {
  const command = program.command("pairs")
    .description("Form preference pairs from a set of programs, and count what each order ties and decides")
    .optionsGroup("Programs from a file:")
    .option("--candidates <file>", "JSON lines, as for trace --candidates (.gz too)")
    .option(
      "--problems <files...>",
      "their problems: files, or humaneval, mbpp (default: humaneval.jsonl, mbpp.jsonl, apps.jsonl beside them)",
    )
    .option("--results <file>", "keeps what the programs did: a rerun goes on, another order costs nothing")
    .optionsGroup("Programs of a run:")
    .option("--run <folder>", "samples in the store of this run; pairs are added to it")
    .option("--set <name>", "which of its samples", "train")
    .optionsGroup("Pairs:")
    .option(
      "--order <names...>",
      `${Object.keys(orders).join(", ")}, a .json file {name, components}, or all of these names`,
      ["eta"],
    )
    .addOption(
      new Option("--max-pairs <n>", "pairs a prompt at most").default(defaultPairOptions.maxPairsPerPrompt)
        .argParser(parsePositive),
    )
    .addOption(
      new Option(
        "--fail-fail <policy>",
        "pairs of two failures: fill (where nothing passes), never, always, auto (fill if that is so for over 60 % of the " +
          "prompts), capped (anywhere, 30 % of the pairs at most)",
      ).choices(FAIL_FAIL).default(defaultPairOptions.failFail),
    )
    .option("--weight-tests", "weigh each test by 1 - its pass rate among the prompt's samples")
    .option("--calibrated", "give each pair the label smoothing of the rule that decided it")
    .option("--reference-sibling", "where nothing passes, let the reference solution stand in as sibling")
    .addOption(new Option("--seed <n>", "of the order random").default(defaultPairOptions.seed).argParser(parseCount))
    .option("--out <file>", "write the pairs, traced on the test that tells them apart, as JSON lines in TRL's form")
    .option("--json", "print the statistics as one JSON document")
    .addOption(
      new Option("--workers <n>", "Python interpreters at once").default(navigator.hardwareConcurrency, "one a core")
        .argParser(parsePositive),
    )
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon pairs --candidates samples.jsonl --problems humaneval --results judged.jsonl --out pairs.jsonl
  $ deno task etalon pairs --candidates samples.jsonl --problems humaneval --results judged.jsonl --order all --json
  $ deno task etalon pairs --run runs/latest --order eta

Exit codes: 0 done, 1 failed, 130 interrupted.`,
    )
    .action(async (options: PairsOptions) => await runPairs(options, command));
}

interface StageSettings {
  seed: number;
  pairs: PairOptions & { order: OrderName; referenceSibling: boolean };
}

/** Settings of the run's stage `pairs`, by the flags that set them here. */
const STAGE_SETTINGS: [option: keyof PairsOptions, setting: string][] = [
  ["maxPairs", "maxPairsPerPrompt"],
  ["failFail", "failFail"],
  ["weightTests", "weightTests"],
  ["calibrated", "calibrated"],
  ["referenceSibling", "referenceSibling"],
];

/** With one order of ours over the samples to train on, the pairs are those that the folder's next stages learn from. */
async function runPairStage(options: PairsOptions, command: Command): Promise<void> {
  const given = (name: string) => command.getOptionValueSource(name) === "cli";
  const set = STAGE_SETTINGS.filter(([option]) => given(option)).map(([option, name]) =>
    `pairs.${name}=${options[option]}`
  );
  if (given("order")) set.push(`pairs.order=${options.order[0]}`);
  if (given("seed")) set.push(`seed=${options.seed}`);
  const machine = { workers: options.workers, json: false, deterministic: false };
  await runStage("pairs", command, { ...machine, run: options.run!, set, printConfig: false }, []);
}

async function runPairs(options: PairsOptions, command: Command): Promise<void> {
  const { candidates, problems, run, results } = options;
  if ((candidates === undefined) === (run === undefined)) {
    throw new Error("Cannot form pairs: give either --candidates or --run");
  }
  if (options.set.includes("=")) {
    throw new Error(`Cannot use --set ${options.set}: here it names a set of samples, and what can be set has flags`);
  }
  if (run !== undefined && (problems || results)) {
    throw new Error(`Cannot use --${problems ? "problems" : "results"} with --run`);
  }
  if (candidates !== undefined) options.problems = problems ?? await problemsBeside(candidates);
  const chosen = await chooseOrders(options.order);
  const policy: PairOptions = {
    maxPairsPerPrompt: options.maxPairs,
    failFail: options.failFail,
    weightTests: options.weightTests === true,
    calibrated: options.calibrated === true,
    seed: options.seed,
  };
  const progress = terminalProgress();
  if (run !== undefined) {
    const ours = chosen.length === 1 && typeof chosen[0] === "string" && options.set === "train";
    const path = `${run}/config.json`;
    if (!ours || !await denoHost().exists(path)) return await pairsOfRun(run, options, chosen, policy);
    await runPairStage(options, command);
    if (Deno.exitCode !== 0) return;
    const { pairs, seed } = parseJson(await denoHost().readText(path), path) as unknown as StageSettings;
    const own = { ...options, referenceSibling: pairs.referenceSibling };
    return await pairsOfRun(run, own, [pairs.order], { ...pairs, seed }, "pairs");
  }
  await pairsOfCandidates(options, chosen, policy, progress);
}

/** Data sets whose files may stand beside a file of candidates. */
const BESIDE = ["humaneval", "mbpp", "apps"].map((name) => `${name}.jsonl`);

async function problemsBeside(candidates: string): Promise<string[]> {
  const folder = candidates.includes("/") ? candidates.slice(0, candidates.lastIndexOf("/")) : ".";
  const paths = BESIDE.map((name) => `${folder}/${name}`);
  const there = await Promise.all(paths.map((path) => denoHost().exists(path)));
  if (there.includes(true)) return paths.filter((_, i) => there[i]);
  throw new Error(`Cannot judge --candidates without --problems: ${folder} holds none of ${BESIDE.join(", ")}`);
}

async function chooseOrders(words: readonly string[]): Promise<(OrderName | Order)[]> {
  const chosen = await Promise.all(
    words.map(async (word) => word === "all" ? Object.keys(orders) as OrderName[] : [await readOrder(word)]),
  );
  return [...new Set(chosen.flat())];
}

async function pairsOfCandidates(
  options: PairsOptions,
  chosen: readonly (OrderName | Order)[],
  policy: PairOptions,
  progress: Progress,
): Promise<void> {
  const { candidates, problems, workers, out } = options;
  const signal = interruptSignal();
  signal.addEventListener("abort", () => progress.log("stopping when the running programs end; Ctrl-C again: at once"));
  const folder = options.results === undefined ? await Deno.makeTempDir({ prefix: "etalon-pairs-" }) : null;
  const results = options.results ?? `${folder}/results.jsonl`;
  const stop = () => {
    progress.log(folder ? "stopped" : "stopped; the same command goes on from here");
    Deno.exitCode = 130;
  };
  try {
    const given = { candidates: candidates!, problems: problems!, results, workers };
    const judged = await judgedCandidates(given, progress, signal);
    if (judged === null) return stop();
    const extras = await openExtras(given, signal);
    try {
      const samples = await extras.agreed(judged, options.referenceSibling === true);
      if (samples === null) return stop();
      if (out !== undefined) {
        const lines: unknown[] = [];
        for (const order of chosen) {
          const rows = await tracedRows(extras, judged, samples, order, policy, progress);
          if (rows === null) return stop();
          lines.push(...rows);
        }
        await denoHost().write(out, toJsonl(lines));
        progress.log(`${lines.length} pairs written to ${out}`);
      }
      const datasets = [...new Set(judged.map(datasetOf))].map((dataset) => {
        const those = samples.filter((_, i) => datasetOf(judged[i]) === dataset);
        return { dataset, orders: chosen.map((order) => statistics(those, order, policy)) };
      });
      show({ candidates, policy, datasets }, options.json);
    } finally {
      extras.close();
    }
  } finally {
    if (folder) await denoHost().remove(folder);
  }
}

/** Answers in another form are a set of their own: other models wrote them. */
function datasetOf({ problem, candidate }: Judged): string {
  const other = problem.codeMode === "completion" && candidate.codeMode !== "completion";
  return problem.dataset + (other ? ", whole programs" : "");
}

/** @param formed the set of pairs that the folder's stage has formed so; without, they are formed here and kept */
async function pairsOfRun(
  dir: string,
  options: PairsOptions,
  chosen: readonly (OrderName | Order)[],
  policy: PairOptions,
  formed?: string,
): Promise<void> {
  const host = denoHost();
  const path = `${dir.replace(/\/+$/, "")}/run.db`;
  if (!await host.exists(path)) throw new Error(`Cannot read ${path}: no such file`);
  const store = await openStore(host, path);
  const pool = createPool(() => host.spawnArena(), { size: options.workers });
  try {
    const raw = await store.samples(options.set);
    if (raw.length === 0) {
      const sets = (await store.sets()).join(", ") || "none";
      throw new Error(`Cannot read samples of set ${options.set}: ${path} has ${sets}`);
    }
    const met = new Set(raw.map(({ problemId }) => problemId));
    const problems = (await store.problems()).filter(({ id }) => met.has(id));
    const samples = await addAgreement(pool, problems, raw, options.referenceSibling === true);
    const lines: unknown[] = [];
    const figures: DatasetStats["orders"] = [];
    for (const order of chosen) {
      const name = typeof order === "string" ? order : order.name;
      const { rows } = formed === undefined
        ? await tracedPairs(pool, problems, samples, order, policy)
        : { rows: await store.pairs(formed) };
      if (formed === undefined) await store.addPairs(`${options.set}, ${name}, ${policyName(policy)}`, rows);
      lines.push(...rows.map((row) => trlRow(row, name)));
      figures.push(statistics(samples, order, policy));
    }
    if (options.out !== undefined) await host.write(options.out, toJsonl(lines));
    show({ run: dir, set: options.set, policy, datasets: [{ dataset: options.set, orders: figures }] }, options.json);
  } finally {
    pool.close();
    await store.close();
  }
}

/** Other options make other pairs: a set of pairs says in its name which. */
function policyName({ maxPairsPerPrompt, failFail, weightTests, calibrated, seed }: PairOptions): string {
  const marks = [weightTests ? "weighted tests" : "", calibrated ? "calibrated" : ""].filter(Boolean);
  return [failFail, `${maxPairsPerPrompt} a prompt`, ...marks, `seed ${seed}`].join(", ");
}

function statistics(samples: readonly Sample[], order: OrderName | Order, policy: PairOptions) {
  return { stats: pairStats(samples, order, policy), drawn: makePairs(samples, order, policy).counts.byReason };
}

function show(document: { datasets: DatasetStats[]; [field: string]: unknown }, json = false): void {
  print(json ? JSON.stringify(document, null, 2) + "\n" : pairStatsTable(document.datasets) + "\n");
}
