/** `etalon sft`: supervised fine-tuning of a model, or training one from scratch. */
import type { Command } from "commander";
import {
  type CompletionRow,
  createLlama,
  initialize,
  loadModel,
  loadTokenizer,
  paddingShares,
  parseConfig,
  parseJsonl,
  positionsOf,
  saveModel,
  SFT,
  sha256,
  tokenizeRows,
  trainSft,
  whole,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { checkMemory, memoryLine, memoryOption, packingLine } from "./memory.ts";
import { addOptions, readOptions } from "./options.ts";
import { duration, terminalProgress } from "./progress.ts";
import { parseJson } from "./run_folder.ts";
import { interruptSignal } from "./interrupt.ts";
import { ensureAdapter } from "./setup.ts";
import { deterministicOption, openTunedGpu, pinChoices } from "./tune.ts";

export function addSft(program: Command): void {
  const command = program.command("sft")
    .description("Train a model on prompt/completion rows (JSON lines), from its weights or from scratch")
    .requiredOption("--data <file>", "JSON lines with the fields prompt and completion (.gz is read too)")
    .requiredOption(
      "--model <dir>",
      "Hugging Face folder: config.json, tokenizer.json and, unless --scratch, model.safetensors",
    )
    .requiredOption("--out <dir>", "folder for the trained model, the metrics and the checkpoints")
    .option("--scratch", "start from random weights", false)
    .addOption(deterministicOption())
    .addOption(memoryOption())
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon micro --count 60000 --out runs/corpus.jsonl
  $ deno task etalon sft --data runs/corpus.jsonl --model models/micro --scratch --out runs/base --steps 1000

An interrupted run (Ctrl-C) leaves a checkpoint; the same command goes on from there, bit for bit.`,
    )
    .action(async (options) => await runSft(options));
  addOptions(command, SFT, {
    steps: "optimizer steps",
    batchSize: "sequences of a step",
    microBatch: "sequences on the GPU at a time",
    learningRate: "peak learning rate",
    schedule: "constant, linear or cosine (to a tenth)",
    warmup: "steps of linear warm-up",
    weightDecay: "decoupled, on matrices",
    maxGradNorm: "clip the global gradient norm",
    seed: "of initial weights and order",
    logEvery: "steps between metrics",
    checkpointEvery: "steps between checkpoints (0: only at the end)",
    recompute: "what the backward pass computes again to save memory",
    activations: "how what waits for the backward pass is kept",
    moments: "how Adam's moments are kept: 8 bytes a parameter or 2",
    pack: "let short sequences share a row: less padding",
  });
}

interface SftOptions extends Record<string, unknown> {
  data: string;
  model: string;
  out: string;
  scratch: boolean;
  deterministic: boolean;
  memory?: number;
}

async function runSft(options: SftOptions): Promise<void> {
  await ensureAdapter();
  const host = denoHost();
  const progress = terminalProgress();
  const config = readOptions(options, SFT);
  const bytes = await host.readBytes(options.data);
  const plain = options.data.endsWith(".gz") ? await host.gunzip(bytes) : bytes;
  const rows = parseJsonl(new TextDecoder().decode(plain), options.data) as Partial<CompletionRow>[];
  rows.forEach((row, i) => {
    for (const field of ["prompt", "completion"] as const) {
      if (typeof row[field] !== "string") {
        throw new Error(`Cannot read ${options.data}: row ${i + 1} has ${typeof row[field]} as ${field}, not text`);
      }
    }
  });
  const tokenizer = await loadTokenizer(host, options.model);
  const gpu = await openTunedGpu(options, options.out);
  const path = `${options.model}/config.json`;
  const shape = parseConfig(await host.readText(path), path);
  if (tokenizer.vocabSize > shape.V) {
    throw new Error(
      `Cannot train: the tokenizer has ${tokenizer.vocabSize} tokens, vocab_size of ${path} is ${shape.V}`,
    );
  }
  const { sequences, tooLong } = tokenizeRows(tokenizer, rows as CompletionRow[], shape.maxPositions);
  if (sequences.length === 0) {
    throw new Error(`Cannot train: no row of ${options.data} has at most ${shape.maxPositions} tokens`);
  }
  const lengths = sequences.map(positionsOf);
  const prediction = await checkMemory(gpu, { recipe: "sft", config, model: shape, lengths }, options.memory);
  progress.log(memoryLine(prediction));
  if (config.pack) progress.log(packingLine(paddingShares(lengths, { ...config, longest: shape.maxPositions })));
  const model = options.scratch ? createLlama(gpu, shape, true) : await loadModel(host, gpu, options.model, true);
  if (options.scratch) initialize(model, config.seed);
  progress.log(
    `${gpu.adapterName}: ${model.weights.parameters} parameters, ${sequences.length} sequences` +
      (tooLong > 0 ? `, ${tooLong} longer than ${shape.maxPositions} tokens left out` : ""),
  );

  await claimFolder(options.out, {
    command: ["deno task etalon", ...Deno.args].join(" "),
    adapter: gpu.adapterName,
    data: { path: options.data, sha256: await sha256(bytes) },
    model: options.model,
    scratch: options.scratch,
    config,
  });
  await pinChoices(gpu, options.out);
  const metricsPath = `${options.out}/metrics.jsonl`;
  const given = {
    host,
    policy: whole(model),
    sequences,
    padId: tokenizer.padId,
    checkpoints: `${options.out}/checkpoints`,
  };
  const started = performance.now();
  let known = await host.exists(metricsPath) ? await host.readText(metricsPath) : "";
  for await (const event of trainSft(config, given, interruptSignal())) {
    if (event.type === "step") {
      const { loss, mean_token_accuracy, grad_norm } = event.metrics;
      progress.live(
        `step ${event.step}/${event.steps}  loss ${loss.toFixed(4)}  accuracy ${mean_token_accuracy.toFixed(3)}  ` +
          `grad ${grad_norm.toFixed(2)}  ${event.tokensPerSecond.toFixed(0)} tokens/s  ${
            duration(event.secondsLeft)
          } left`,
      );
      if (known) {
        // Steps after the last checkpoint are done again when a run resumes: their rows give way.
        const earlier = known.split("\n").filter((line) => line && JSON.parse(line).step < event.step);
        await host.write(metricsPath, earlier.map((line) => line + "\n").join(""));
        known = "";
      }
      await host.append(metricsPath, JSON.stringify({ step: event.step, ...event.metrics }) + "\n");
    } else if (event.type === "stopped") {
      progress.log(`stopped after step ${event.step}; the same command goes on from there`);
      Deno.exit(130);
    }
  }
  await saveModel(host, model, options.out, options.model);
  progress.log(`trained in ${duration((performance.now() - started) / 1000)}, written to ${options.out}`);
  gpu.close();
}

/** Writes what this run is to sft.json; a folder in which another run has begun is left alone. */
async function claimFolder(dir: string, record: Record<string, unknown>): Promise<void> {
  const host = denoHost();
  const path = `${dir}/sft.json`;
  if (await host.exists(`${dir}/checkpoints/latest.json`)) {
    const known = await host.exists(path) ? parseJson(await host.readText(path), path) : {};
    for (const name of ["data", "model", "scratch", "config"]) {
      const [was, is] = [known[name], record[name]].map((value) => JSON.stringify(value));
      if (was !== is) throw new Error(`Cannot go on with ${dir}: ${name} was ${was} there and is ${is} now`);
    }
  }
  await host.write(path, JSON.stringify(record, null, 2) + "\n");
}
