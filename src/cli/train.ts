/** `etalon train`: the main job, from a model and problems to a report of before and after. */
import { type Command, Option } from "commander";
import { createPool, orders, PIPELINE, type PipelineConfig, runPipeline, Stopped } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { interruptSignal } from "./interrupt.ts";
import { memoryBudget, memoryOption } from "./memory.ts";
import { addOptions, parsePositive, readOptions } from "./options.ts";
import { chooseProblems } from "./problems.ts";
import { terminalProgress } from "./progress.ts";
import { chooseFolder } from "./run_folder.ts";
import { ensureAdapter } from "./setup.ts";
import { deterministicOption, openTunedGpu, pinChoices } from "./tune.ts";
import { finish, show } from "./show.ts";

/** Flags of `train` beside those of the recipe. */
export interface TrainOptions extends Record<string, unknown> {
  deterministic: boolean;
  data: string;
  model: string;
  out?: string;
  problems: number;
  evalProblems?: number;
  workers: number;
  memory?: number;
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
    .addOption(new Option("--problems <n>", "problems to train on").default(64).argParser(parsePositive))
    .addOption(
      new Option("--eval-problems <n>", "problems to evaluate on (default: 96 for micro, else as --problems)")
        .argParser(parsePositive),
    )
    .addOption(new Option("--workers <n>", "Python interpreters at once").default(2).argParser(parsePositive))
    .option("--json", "print one JSON summary as the last line of stdout", false)
    .addOption(deterministicOption())
    .addOption(memoryOption())
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
    learningRate: "peak learning rate (the default suits models/micro; large models want about 1e-6)",
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
    recompute: "what the backward pass computes again to save memory",
    activations: "how what waits for the backward pass is kept",
    moments: "how Adam's moments are kept: 8 bytes a parameter or 2",
    pack: "let short sequences share a row: less padding",
  });
  command.addOption(
    new Option("--order <name>", "preference order").choices(Object.keys(orders)).default(PIPELINE.order),
  );
}

async function runTrain(options: TrainOptions): Promise<void> {
  const host = denoHost();
  const config = readOptions(options, PIPELINE);
  checkConfig(config);
  const progress = terminalProgress();
  const { dir, fresh } = await chooseFolder(options, config);
  if (!fresh) progress.log(`going on with the run in ${dir}`);
  await ensureAdapter();
  const signal = interruptSignal();
  const gpu = await openTunedGpu(options, dir);
  await pinChoices(gpu, dir);
  progress.log(`${gpu.adapterName}`);
  const pool = createPool(() => host.spawnArena(), { size: options.workers });
  try {
    const data = await chooseProblems(options, config.seed, pool);
    const command = ["deno task train", ...Deno.args.slice(1)].join(" ");
    const memoryBytes = memoryBudget(options.memory, gpu);
    const given = { host, gpu, pool, dir, modelDir: options.model, command, memoryBytes, ...data };
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

function checkConfig(config: PipelineConfig): void {
  if (!(config.topP > 0 && config.topP <= 1)) throw new Error(`Cannot train: topP is ${config.topP}, not in (0, 1]`);
  if (config.temperature < 0) throw new Error(`Cannot train: temperature is ${config.temperature}, below 0`);
}
