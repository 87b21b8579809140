/** `etalon plan`: every GPU dispatch of a recipe, before anything runs. */
import { Argument, type Command, Option } from "commander";
import { describeRecipe, openGpu, parseConfig } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { parsePositive } from "./options.ts";
import { ensureAdapter } from "./setup.ts";

interface PlanOptions {
  model: string;
  batch: number;
  tokens: number;
  recompute: boolean;
}

export function addPlan(program: Command): void {
  program.command("plan")
    .description("Print the dispatches, bytes and FLOPs of one accumulation step of a recipe")
    .addArgument(new Argument("<recipe>").choices(["sft", "dpo"]))
    .option("--model <dir>", "folder with a config.json", "models/micro")
    .addOption(new Option("--batch <n>", "sequences").default(16).argParser(parsePositive))
    .addOption(new Option("--tokens <n>", "tokens of a sequence").default(64).argParser(parsePositive))
    .option("--recompute", "with recomputation of blocks", false)
    .addHelpText("after", "\nExample:\n  $ deno task plan dpo --batch 16 --tokens 96")
    .action(async (recipe: "sft" | "dpo", options: PlanOptions) => {
      await ensureAdapter();
      if (recipe === "dpo" && options.batch % 2 === 1) {
        throw new Error(`Cannot plan dpo: ${options.batch} sequences are no pairs`);
      }
      const path = `${options.model}/config.json`;
      const config = parseConfig(await denoHost().readText(path), path);
      const gpu = await openGpu();
      console.log(describeRecipe(gpu, config, recipe, options.batch, options.tokens, options.recompute));
      gpu.close();
    });
}
