/** The command line: `deno task train`, `deno task etalon <command>`. */
import { Command } from "commander";
import { addSft } from "./sft.ts";

const program = new Command("etalon")
  .description("Execution-trace alignment of code models on WebGPU")
  .showSuggestionAfterError()
  .showHelpAfterError("(add --help for examples)");
addSft(program);

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
