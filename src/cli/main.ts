/** The command line: `deno task train`, `deno task etalon <command>`. */
import { Command } from "commander";
import { addBenchOrder } from "./bench_order.ts";
import { addData } from "./data.ts";
import { addExplain } from "./explain.ts";
import { addMicro } from "./micro.ts";
import { addPairs } from "./pairs.ts";
import { addPlan } from "./plan.ts";
import { addSft } from "./sft.ts";
import { addStages } from "./stages.ts";
import { addTrace } from "./trace.ts";
import { addTrain } from "./train.ts";
import { addTune } from "./tune.ts";

const program = new Command("etalon")
  .description("Execution-trace alignment of code models on WebGPU")
  .configureHelp({ sortSubcommands: false })
  .configureOutput({ outputError: (text, write) => write(oneLine(text) + "\n") });
try {
  await addTrain(program, Deno.args);
  addSft(program);
  addStages(program);
  addMicro(program);
  addTrace(program);
  addExplain(program);
  addPairs(program);
  addBenchOrder(program);
  addData(program);
  addPlan(program);
  addTune(program);
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  console.error(oneLine(`error: ${error instanceof Error ? error.message : error}`));
  Deno.exit(Deno.exitCode || 1);
}

/** JSON.parse quotes the text around a mistake, line breaks included; commander puts its suggestion on a second line. */
function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}
