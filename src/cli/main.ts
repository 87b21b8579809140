/** The command line: `deno task train`, `deno task etalon <command>`. */
import { Command } from "commander";
import { addMicro } from "./micro.ts";
import { addPlan } from "./plan.ts";
import { addSft } from "./sft.ts";
import { addTrace } from "./trace.ts";
import { addTrain } from "./train.ts";

const program = new Command("etalon")
  .description("Execution-trace alignment of code models on WebGPU")
  .configureHelp({ sortSubcommands: false })
  .showSuggestionAfterError()
  .showHelpAfterError("(add --help for all options and examples)");
addTrain(program);
addSft(program);
addMicro(program);
addTrace(program);
addPlan(program);

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
