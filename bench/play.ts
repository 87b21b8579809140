/** `deno task play <op>`: the versions of one kernel, checked against each other and timed side by side in one run. */
import { Command } from "commander";
import { openGpu, PORTABLE } from "../src/plan/mod.ts";
import { ensureAdapter } from "../src/cli/setup.ts";
import { parseCount } from "../src/cli/options.ts";
import { climb } from "./play/climb.ts";
import { ops } from "./play/mod.ts";
import { playVariants, usedOps } from "./play/used.ts";
import { gigaPerSecond, show, table } from "./units.ts";
import { isSoftware } from "./workload.ts";

async function play(name: string | undefined, options: { rounds: number; large: boolean }): Promise<void> {
  if (name === undefined) {
    for (const [op, { about, at }] of Object.entries(ops)) {
      console.log(`${op.padEnd(30)} ${at("micro").versions.length} versions of: ${about}`);
    }
    for (const [op, picks] of await usedOps(PORTABLE)) {
      console.log(`${op.padEnd(30)} ${picks[0].op.variants.length} variants, at the sizes of models/micro`);
    }
    return;
  }
  const names = [...Object.keys(ops), ...(await usedOps(PORTABLE)).keys()];
  if (!names.includes(name)) {
    throw new Error(`'${name}' is invalid for argument 'op'. The ops are ${names.join(", ")}.`);
  }
  if (options.rounds === 0) throw new Error("--rounds is 0, at least 1 is needed to time anything");
  await ensureAdapter();
  const gpu = await openGpu();
  console.log(`adapter: ${gpu.adapterName}`);
  if (!(name in ops)) {
    console.log(`\n${await playVariants(gpu, (await usedOps(gpu)).get(name)!, options.rounds)}`);
    return gpu.close();
  }
  const sizes = options.large || !isSoftware(gpu.adapterName) ? ["micro", "large"] as const : ["micro"] as const;
  for (const size of sizes) {
    const ladder = ops[name].at(size);
    const rungs = await climb(gpu, ladder, options.rounds);
    const ours = rungs[rungs.length - 1].microseconds;
    const lines = rungs.map((rung) => [
      rung.name,
      show(rung.microseconds / 1000),
      show(gigaPerSecond(ladder.flops, rung.microseconds)),
      `x${(rung.microseconds / ours).toFixed(2)}`,
      show(rung.valueBytes / 1e6),
      rung.difference.toExponential(0),
    ]);
    const header = ["", "ms", "GFLOP/s", "time / ours", "values MB", "difference"];
    console.log(
      `\n${name}: ${ladder.workload}; median of ${options.rounds} interleaved rounds\n${table([header, ...lines])}`,
    );
  }
  gpu.close();
}

const program = new Command("deno task play")
  .description("Time the versions of one kernel against each other; without an op, list the ops")
  .argument("[op]", "a ladder or an op with variants; without it, the list")
  .option("--rounds <n>", "timed rounds of each version", parseCount, 9)
  .option("--large", "the large size on a software adapter too (slow)", false)
  .addHelpText(
    "after",
    "\nExamples:\n  $ deno task play\n  $ deno task play matmul --rounds 5\n  $ deno task play attention_forward",
  )
  .action(play);

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
