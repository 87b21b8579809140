/** `etalon tune`: times every kernel variant at a model's shapes on this adapter, and keeps the winners. */
import { type Command, Option } from "commander";
import { createLlama, debugWords, type Gpu, initialize, loadTuned, openGpu, parseConfig } from "../mod.ts";
import { type Tuned, tunedName, tuneUsed, useRecipes } from "../mod.ts";
import { cacheFolder, denoHost } from "../host/deno.ts";
import { parsePositive } from "./options.ts";
import { terminalProgress } from "./progress.ts";
import { parseJson } from "./run_folder.ts";
import { ensureAdapter } from "./setup.ts";

interface TuneOptions {
  model: string;
  batch: number;
  tokens: number;
  samples: number;
  rounds: number;
  forget: boolean;
  json: boolean;
}

const PINNED = "kernels.json";
const tunedPath = (gpu: Gpu) => `${cacheFolder()}/${tunedName(gpu)}`;

/**
 * Opens the GPU for a command that trains or samples: with what the tuner found on this machine, or, with `deterministic`, with
 * the shipped choices alone. A run that goes on in `dir` keeps the choices it began with, so that it ends with the same bits.
 */
export async function openTunedGpu(options: { deterministic: boolean }, dir: string): Promise<Gpu> {
  const host = denoHost();
  const gpu = await openGpu({ debug: debugWords(Deno.env.get("DEBUG")) });
  const pinned = `${dir}/${PINNED}`;
  if (await host.exists(pinned)) {
    const choices = parseJson(await host.readText(pinned), pinned) as Record<string, string>;
    const [first] = Object.keys(choices);
    if (options.deterministic && first !== undefined) {
      throw new Error(`Cannot go on with --deterministic: ${pinned} has tuned choices (${first}: ${choices[first]})`);
    }
    gpu.choices.learn(choices);
  } else if (!options.deterministic) await loadTuned(host, gpu, tunedPath(gpu));
  return gpu;
}

/** Writes down which kernels a run uses where they are not the shipped choice. */
export async function pinChoices(gpu: Gpu, dir: string): Promise<void> {
  await denoHost().write(`${dir}/${PINNED}`, JSON.stringify(gpu.choices.learned, null, 2) + "\n");
}

export function deterministicOption(): Option {
  const text = "the shipped kernel choices, not this machine's tuning: equal bits on machines with the same adapter";
  return new Option("--deterministic", text).default(false);
}

export function addTune(program: Command): void {
  program.command("tune")
    .description("Time every kernel variant at a model's shapes on this adapter and remember the fastest")
    .option("--model <dir>", "folder with a config.json", "models/micro")
    .addOption(new Option("--batch <n>", "sequences of a micro-batch").default(16).argParser(parsePositive))
    .addOption(new Option("--tokens <n>", "tokens of a sequence").default(64).argParser(parsePositive))
    .addOption(new Option("--samples <n>", "sequences sampled at a time").default(64).argParser(parsePositive))
    .addOption(
      new Option("--rounds <n>", "runs of each variant; the median counts").default(5).argParser(parsePositive),
    )
    .option("--forget", "drop what was found on this adapter and go back to the shipped choices", false)
    .option("--json", "the table as JSON on stdout", false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ deno task etalon tune\n  $ deno task etalon tune --model path/to/llama-folder --batch 8 --tokens 512" +
        "\n  $ deno task etalon tune --forget",
    )
    .action(runTune);
}

async function runTune(options: TuneOptions): Promise<void> {
  await ensureAdapter();
  const host = denoHost();
  const progress = terminalProgress();
  const gpu = await openGpu();
  const path = tunedPath(gpu);
  if (options.forget) {
    await host.remove(path);
    progress.log(`${gpu.adapterName}: back to the shipped choices (${path} removed)`);
    return gpu.close();
  }
  const configPath = `${options.model}/config.json`;
  const config = parseConfig(await host.readText(configPath), configPath);
  const model = createLlama(gpu, config, true);
  initialize(model, 1);
  await useRecipes(model, options);
  const rows: Tuned[] = [];
  for await (const row of tuneUsed(host, gpu, path, options.rounds)) {
    rows.push(row);
    progress.live(`${rows.length} shapes tuned: ${row.op} ${row.shapeClass} -> ${row.winner}`);
  }
  progress.log(`${gpu.adapterName}: ${rows.length} shapes tuned, kept in ${path}`);
  console.log(options.json ? JSON.stringify({ adapter: gpu.adapterName, path, rows }) : tuneTable(rows));
  gpu.close();
}

/** One line a shape: the winner, its time, its gain over the choice before, and the times of the others. */
export function tuneTable(rows: readonly Tuned[]): string {
  const ms = (microseconds: number) => (microseconds / 1000).toPrecision(3);
  const lines = rows.map(({ op, shapeClass, timings, winner, before }) => {
    const [best, ...others] = timings;
    const old = timings.find(({ variant }) => variant === before)!;
    const gain = winner === before ? "as before" : `${(old.microseconds / best.microseconds).toFixed(2)} x ${before}`;
    const rest = others.map(({ variant, microseconds }) => `${variant} ${ms(microseconds)}`).join(", ");
    return [op, shapeClass, winner, ms(best.microseconds), gain, rest];
  });
  const all = [["op", "shape", "fastest", "ms", "against", "others, ms"], ...lines];
  const widths = all[0].map((_, k) => Math.max(...all.map((line) => line[k].length)));
  return all.map((line) => line.map((cell, k) => cell.padEnd(widths[k])).join("  ").trimEnd()).join("\n");
}
