/** `etalon plan`: every GPU dispatch of a recipe, before anything runs. */
import { Argument, type Command, Option } from "commander";
import {
  ACTIVATIONS,
  type Activations,
  bytesText,
  describeRecipe,
  DPO,
  formatPrediction,
  type LlamaConfig,
  openGpu,
  parseConfig,
  predict,
  RECOMPUTE,
  type Recompute,
  requireMemory,
  savings,
  SFT,
  type Workload,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { memoryOption } from "./memory.ts";
import { parsePositive } from "./options.ts";
import { ensureAdapter } from "./setup.ts";

interface PlanOptions {
  model: string;
  batch: number;
  tokens: number;
  recompute: Recompute;
  activations: Activations;
  moments: "f32" | "8bit";
  memory?: number;
}

export function addPlan(program: Command): void {
  program.command("plan")
    .description("Print the dispatches, bytes and FLOPs of one accumulation step, and the GPU memory of a run")
    .addArgument(new Argument("<recipe>").choices(["sft", "dpo"]))
    .option("--model <dir>", "folder with a config.json", "models/micro")
    .addOption(new Option("--batch <n>", "sequences").default(16).argParser(parsePositive))
    .addOption(new Option("--tokens <n>", "tokens of a sequence").default(64).argParser(parsePositive))
    .addOption(
      new Option("--recompute <what>", "computed again in the backward pass").choices(RECOMPUTE).default(SFT.recompute),
    )
    .addOption(
      new Option("--activations <type>", "how what waits for the backward pass is kept").choices(ACTIVATIONS)
        .default("f32"),
    )
    .addOption(new Option("--moments <type>", "how Adam's moments are kept").choices(["f32", "8bit"]).default("f32"))
    .addOption(memoryOption())
    .addHelpText("after", "\nExample:\n  $ deno task plan dpo --batch 16 --tokens 96 --memory 4")
    .action(async (recipe: "sft" | "dpo", options: PlanOptions) => {
      await ensureAdapter();
      if (recipe === "dpo" && options.batch % 2 === 1) {
        throw new Error(`Cannot plan dpo: ${options.batch} sequences are no pairs`);
      }
      const path = `${options.model}/config.json`;
      const config = parseConfig(await denoHost().readText(path), path);
      const gpu = await openGpu();
      console.log(describeRecipe(gpu, config, recipe, options.batch, options.tokens, options));
      const workload = workloadOf(recipe, config, options);
      const prediction = await predict(gpu, workload);
      console.log(formatPrediction(prediction));
      for (const { option, peakBytes } of await savings(gpu, workload)) {
        const saved = prediction.peakBytes - peakBytes;
        console.log(`  with ${option}: ${bytesText(peakBytes)}, ${bytesText(saved)} less`);
      }
      if (options.memory !== undefined) await requireMemory(gpu, workload, prediction, options.memory * 1e9);
      gpu.close();
    });
}

function workloadOf(recipe: "sft" | "dpo", model: LlamaConfig, options: PlanOptions): Workload {
  const { batch, tokens, recompute, activations, moments } = options;
  const lengths = [tokens];
  return recipe === "sft"
    ? { recipe, model, lengths, config: { ...SFT, microBatch: batch, recompute, activations, moments } }
    : { recipe, model, lengths, config: { ...DPO, microBatch: batch / 2, recompute, activations, moments } };
}
