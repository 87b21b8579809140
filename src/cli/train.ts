/** `etalon train`: the main job, from a model and problems to a report of before and after. */
import { type Command, Option } from "commander";
import {
  createPool,
  debugWords,
  loadProblems,
  microProblems,
  openGpu,
  orders,
  PIPELINE,
  type PipelineConfig,
  type PipelineEvent,
  type Pool,
  type Problem,
  runPipeline,
  type RunReport,
  shuffled,
  Stopped,
  uniformStream,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { interruptSignal } from "./interrupt.ts";
import { addOptions, parseCount, readOptions } from "./options.ts";
import { duration, type Progress, terminalProgress } from "./progress.ts";
import { ensureAdapter } from "./setup.ts";

/** Named data sets: where their published files are expected, and where they come from. */
const NAMED: Record<string, { files: string[]; origin: string }> = {
  humaneval: {
    files: ["data/humaneval.jsonl", "data/HumanEval.jsonl.gz", "data/HumanEval.jsonl"],
    origin: "https://github.com/openai/human-eval (data/HumanEval.jsonl.gz)",
  },
  mbpp: {
    files: ["data/mbpp.jsonl", "data/mbpp.jsonl.gz"],
    origin: "https://github.com/google-research/google-research/tree/master/mbpp (mbpp.jsonl)",
  },
};

/** Micro problems take seeds of their own, so that three runs with seeds 1, 2, 3 meet three sets of problems. */
const MICRO_SEED = 1000;

interface TrainOptions extends Record<string, unknown> {
  data: string;
  model: string;
  out?: string;
  problems: number;
  evalProblems?: number;
  workers: number;
  json: boolean;
}

export function addTrain(program: Command): void {
  const command = program.command("train")
    .description(
      "Sample programs from a model, trace them, form preferences, train with ETA-DPO, compare before and after",
    )
    .option(
      "--data <name>",
      "micro, humaneval, mbpp, or a path: normalised or published JSON lines (.gz too), an APPS folder",
      "micro",
    )
    .option("--model <dir>", "Hugging Face folder of the model to align", "models/micro")
    .option("--out <dir>", "run folder (default: runs/<data>-<order>-seed<seed>, numbered on if that run is finished)")
    .addOption(new Option("--problems <n>", "problems to train on").default(64).argParser(parseCount))
    .addOption(
      new Option("--eval-problems <n>", "problems to evaluate on (default: 96 for micro, else as --problems)")
        .argParser(parseCount),
    )
    .addOption(new Option("--workers <n>", "Python interpreters at once").default(2).argParser(parseCount))
    .option("--json", "print one JSON summary as the last line of stdout", false)
    .addHelpText(
      "after",
      `
Examples:
  $ deno task train
  $ deno task train --seed 2 --order binary --out runs/binary-2
  $ deno task train --data path/to/mbpp.jsonl --problems 16 --samples 4
  $ deno task train --problems 8 --samples 4 --eval-problems 8 --steps 5 --json

The run folder holds config.json, candidates/, pairs.jsonl, metrics.jsonl, checkpoints/, model/, report.json and
report.html. After Ctrl-C or a crash the same command goes on where the run stopped.`,
    )
    .action(async (options: TrainOptions) => await runTrain(options));
  addOptions(command, PIPELINE, {
    seed: "of problems, sampling and order",
    samples: "programs per problem",
    steps: "optimizer steps",
    learningRate: "peak learning rate",
    beta: "DPO's KL strength",
    alpha: "weight of the SFT term on winners",
    labelSmoothing: "share of preferences taken to be flipped (cDPO)",
    batchSize: "pairs of a step",
    microBatch: "pairs on the GPU at a time",
    schedule: "constant, linear or cosine",
    warmup: "steps of linear warm-up",
    weightDecay: "decoupled, on matrices",
    maxGradNorm: "clip the global gradient norm",
    temperature: "of sampling; 0 is greedy",
    topP: "nucleus sampling; 1 is off",
    topK: "keep the k likeliest tokens; 0 is off",
    maxNewTokens: "longest completion",
    sampleBatch: "sequences sampled at a time",
    maxPairsPerPrompt: "at most so many pairs of one problem",
    referenceSibling: "where nothing passes, compare traces with the reference solution's",
    logEvery: "steps between metrics",
    checkpointEvery: "steps between checkpoints (0: only at the end)",
    recompute: "recompute blocks in the backward pass to save memory",
  });
  command.addOption(
    new Option("--order <name>", "preference order").choices(Object.keys(orders)).default(PIPELINE.order),
  );
}

async function runTrain(options: TrainOptions): Promise<void> {
  const host = denoHost();
  const config = readOptions(options, PIPELINE);
  checkConfig(config, options);
  const progress = terminalProgress();
  const { dir, fresh } = await chooseFolder(options, config);
  if (!fresh) progress.log(`going on with the run in ${dir}`);
  await ensureAdapter();
  const signal = interruptSignal();
  const gpu = await openGpu({ debug: debugWords(Deno.env.get("DEBUG")) });
  progress.log(`${gpu.adapterName}`);
  const pool = createPool(() => host.spawnArena(), { size: Math.max(1, options.workers) });
  try {
    const data = await chooseProblems(options, config.seed, pool);
    const command = ["deno task train", ...Deno.args.slice(1)].join(" ");
    const given = { host, gpu, pool, dir, modelDir: options.model, command, ...data };
    for await (const event of runPipeline(config, given, signal)) {
      show(event, progress);
      if (event.type === "report") finish(event.report, dir, options.json, progress);
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    progress.log(`${error.message}: --out ${dir}`);
    Deno.exitCode = 130;
  } finally {
    pool.close();
    gpu.close();
  }
}

function checkConfig(config: PipelineConfig, options: TrainOptions): void {
  for (const field of ["samples", "steps", "batchSize", "microBatch", "sampleBatch", "maxNewTokens"] as const) {
    if (config[field] < 1) throw new Error(`Cannot train: ${field} is ${config[field]}, at least 1 is needed`);
  }
  if (options.problems < 1) throw new Error(`Cannot train: problems is ${options.problems}, at least 1 is needed`);
  if (!(config.topP > 0 && config.topP <= 1)) throw new Error(`Cannot train: topP is ${config.topP}, not in (0, 1]`);
  if (config.temperature < 0) throw new Error(`Cannot train: temperature is ${config.temperature}, below 0`);
}

/** The run's folder; an unfinished run with the same settings is resumed, any other is left alone. */
async function chooseFolder(options: TrainOptions, config: PipelineConfig): Promise<{ dir: string; fresh: boolean }> {
  const host = denoHost();
  const { data, model, problems, evalProblems } = options;
  const wanted = { data, model, problems, evalProblems: evalProblems ?? null, ...config };
  const label = data.split("/").at(-1)!.replace(/\.jsonl(\.gz)?$/, "");
  const base = options.out ?? `runs/${label}-${config.order}-seed${config.seed}`;
  for (let n = 1;; n++) {
    const dir = n === 1 ? base : `${base}-${n}`;
    const path = `${dir}/config.json`;
    // Without a first sample nothing depends on the settings yet: a mistyped path may be mended in place.
    if (!await host.exists(path) || !await host.exists(`${dir}/candidates`)) {
      await host.write(path, JSON.stringify(wanted, null, 2) + "\n");
      return { dir, fresh: true };
    }
    const known = JSON.parse(await host.readText(path)) as Record<string, unknown>;
    const finished = await host.exists(`${dir}/report.json`);
    const other = Object.entries(wanted).find(([name, value]) => known[name] !== value);
    if (!finished && !other) return { dir, fresh: false };
    if (options.out === undefined) continue; // a name of our own choosing: take the next
    if (finished) throw new Error(`Cannot train into ${dir}: it holds a finished run; choose another --out`);
    throw new Error(
      `Cannot go on with ${dir}: ${other![0]} was ${JSON.stringify(known[other![0]])} there and is ` +
        `${JSON.stringify(other![1])} now; choose another --out`,
    );
  }
}

async function chooseProblems(options: TrainOptions, seed: number, pool: Pool) {
  const { data, problems } = options;
  const host = denoHost();
  if (data === "micro") {
    const evaluated = options.evalProblems ?? 96;
    return {
      dataName: "micro",
      trainProblems: await microProblems(pool, { seed: MICRO_SEED + seed, count: problems, split: "train" }),
      evalProblems: await microProblems(pool, { seed: MICRO_SEED + seed, count: evaluated, split: "heldout" }),
      evalOn: "held-out families",
      notes: [
        "The base model has seen programs of all families in pre-training, right and wrong ones; alignment has seen " +
        "the train families only. Problems of alignment and evaluation never stood in the pre-training corpus.",
      ],
    };
  }
  let path = data;
  if (data in NAMED) {
    const { files, origin } = NAMED[data];
    const found = (await Promise.all(files.map(async (file) => await host.exists(file) ? file : null))).find(Boolean);
    if (!found) throw new Error(`Cannot find data set ${data}: expected ${files.join(" or ")}, published at ${origin}`);
    path = found;
  }
  const all = await loadProblems(host, path);
  const mixed = (of: Problem[], stream: number) => shuffled(of, uniformStream(seed, stream));
  const [train, test] = ["train", "test"].map((split) => all.filter((problem) => problem.split === split));
  const count = options.evalProblems ?? problems;
  const notes: string[] = [];
  let trainProblems: Problem[], evalProblems: Problem[], evalOn: string;
  if (train.length > 0 && test.length > 0) {
    trainProblems = mixed(train, 2000).slice(0, problems);
    evalProblems = mixed(test, 2001).slice(0, count);
    evalOn = "problems of the test split";
  } else {
    const order = mixed(all, 2000);
    // Too few for both: train on at most half, so that something unseen is left.
    const trained = Math.min(problems, Math.max(1, order.length - count), Math.ceil(order.length / 2));
    trainProblems = order.slice(0, trained);
    evalProblems = order.slice(trained, trained + count);
    evalOn = "problems not trained on";
  }
  if (evalProblems.length === 0) {
    throw new Error(`Cannot evaluate: ${path} holds ${all.length} problem, at least 2 are needed`);
  }
  if (trainProblems.length < problems) {
    notes.push(`${path} left ${trainProblems.length} problems to train on, ${problems} were asked for.`);
  }
  return { dataName: path, trainProblems, evalProblems, evalOn, notes };
}

function show(event: PipelineEvent, progress: Progress): void {
  if (event.type === "stage") {
    const time = event.seconds === null ? "" : `  ${duration(event.seconds)}`;
    if (event.seconds === null) progress.live(`${event.name}: ${event.detail}`);
    else progress.log(`${event.name}: ${event.detail}${time}`);
  } else if (event.type === "progress") {
    const { done, total, tokens, seconds } = event;
    const left = done > 0 && done < total ? `  ${duration(seconds / done * (total - done))} left` : "";
    progress.live(
      `${event.stage}: ${done}/${total} programs  ${(tokens / Math.max(seconds, 1e-3)).toFixed(0)} tokens/s${left}`,
    );
  } else if (event.type === "step") {
    const { loss } = event.metrics;
    progress.live(
      `train: step ${event.step}/${event.steps}  loss ${loss.toFixed(4)}  ` +
        `margin ${event.metrics["rewards/margins"].toFixed(3)}  accuracy ${
          event.metrics["rewards/accuracies"].toFixed(2)
        }  ` +
        `${event.tokensPerSecond.toFixed(0)} tokens/s  ${duration(event.secondsLeft)} left`,
    );
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function finish(report: RunReport, dir: string, json: boolean, progress: Progress): void {
  const { before, after, comparison } = report;
  const lines = Object.keys(before.passAt).map((k) => {
    const { value, low, high } = comparison.passAt[k];
    return `  pass@${k.padEnd(3)} ${percent(before.passAt[k].value).padStart(7)} -> ` +
      `${percent(after.passAt[k].value).padStart(7)}   change ${signed(value)} [${signed(low)}, ${signed(high)}]`;
  });
  const mix = (evaluation: typeof before) => {
    const total = Object.values(evaluation.outcomes).reduce((sum, count) => sum + count, 0);
    return Object.entries(evaluation.outcomes).filter(([, count]) => count > 0)
      .map(([kind, count]) => `${kind} ${percent(count / total)}`).join(", ");
  };
  progress.log(
    [
      "",
      `${before.problems} problems (${report.data.evalOn}), ${before.samplesPerProblem} samples each, seed ${report.seed}:`,
      ...lines,
      `  before: ${mix(before)}`,
      `  after:  ${mix(after)}`,
      `  ${report.pairs.total} pairs; ${duration(report.timing.totalSeconds)} on ${report.adapter}`,
      `  ${dir}/report.html`,
    ].join("\n"),
  );
  if (!json) return;
  const values = (evaluation: typeof before) =>
    Object.fromEntries(Object.entries(evaluation.passAt).map(([k, { value }]) => [`pass@${k}`, value]));
  console.log(JSON.stringify({
    dir,
    adapter: report.adapter,
    seed: report.seed,
    data: report.data,
    before: { ...values(before), outcomes: before.outcomes },
    after: { ...values(after), outcomes: after.outcomes },
    change: comparison.passAt,
    pairs: report.pairs.total,
    seconds: report.timing.totalSeconds,
    stages: report.timing.stages,
    tokensPerSecond: report.timing.tokensPerSecond,
  }));
}

function signed(change: number): string {
  return `${change >= 0 ? "+" : "-"}${(100 * Math.abs(change)).toFixed(1)}`;
}
