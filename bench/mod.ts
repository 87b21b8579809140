/** `deno task bench`: measures this adapter. Every figure is a share of a ceiling, or a ratio, of the same run. */
import { Argument, Command } from "commander";
import { openGpu } from "../src/plan/mod.ts";
import { createPool } from "../src/trace/pool.ts";
import { denoHost } from "../src/host/deno.ts";
import { ensureAdapter } from "../src/cli/setup.ts";
import { ceilingSuite, measureCeiling } from "./ceiling.ts";
import { benchDecode } from "./decode.ts";
import { benchFixed } from "./fixed.ts";
import { benchGrowth } from "./growth.ts";
import { benchKernels } from "./kernels.ts";
import { benchMemory } from "./memory.ts";
import { benchOffload } from "./offload.ts";
import { benchOnPolicy } from "./on_policy.ts";
import { formatReport, formatSuite, loadNote, parseReport, type Report, type Suite } from "./report.ts";
import { benchPeers, disagreements, PEERS } from "./peers.ts";
import { benchReplay } from "./replay.ts";
import { stepShapes } from "./shapes.ts";
import { benchStep } from "./step.ts";
import { benchTrace } from "./trace.ts";
import { isSoftware, largeShape, microShape } from "./workload.ts";

const SUITES = [
  "kernels",
  "step",
  "replay",
  "growth",
  "memory",
  "decode",
  "offload",
  "on-policy",
  "trace",
  "peers",
  "all",
] as const;

interface BenchOptions {
  json?: string;
  compare?: string;
  quick: boolean;
  large: boolean;
  browser: boolean;
}

async function bench(what: typeof SUITES[number], options: BenchOptions): Promise<void> {
  const host = denoHost();
  const before = options.compare && parseReport(await host.readText(options.compare), options.compare) || undefined;
  const wants = (name: string) => what === "all" || what === name;
  const rounds = options.quick ? 3 : 9;
  const load = Deno.loadavg()[0];
  const cores = navigator.hardwareConcurrency;

  await ensureAdapter();
  const gpu = await openGpu();
  const report: Report = {
    adapter: gpu.adapterName,
    command: ["deno task bench", ...Deno.args].join(" "),
    date: new Date().toISOString().slice(0, 10),
    runtime: `Deno ${Deno.version.deno}`,
    cores,
    loadBefore: load,
    note: loadNote(load, cores),
    suites: [],
  };
  console.log(`adapter: ${report.adapter}\n${report.note}`);
  if (before) console.log(`in brackets: now / ${options.compare} (${before.adapter})`);
  const add = (suite: Suite) => {
    report.suites.push(suite);
    console.log(`\n${formatSuite(suite, before)}`);
  };

  const shapes = [await microShape()];
  if (options.large || !isSoftware(gpu.adapterName)) shapes.push(largeShape());
  if (wants("kernels") || wants("step")) {
    const ceiling = await measureCeiling(gpu, 9);
    add(ceilingSuite(ceiling));
    if (wants("kernels")) {
      (await benchFixed(gpu, ceiling, rounds)).forEach(add);
      for (const shape of shapes) add(await benchKernels(gpu, shape, ceiling, rounds));
    }
    if (wants("step")) {
      for (const shape of await stepShapes(gpu.traits.software, options.large, !options.quick)) {
        add(await benchStep(gpu, shape, ceiling, rounds));
      }
    }
  }
  if (wants("replay")) add(await benchReplay(gpu, shapes[0], options.quick ? 1000 : 10_000));
  if (wants("growth")) (await benchGrowth(gpu, options.quick ? 1 : 3, options.quick)).forEach(add);
  if (wants("decode")) {
    for (const shape of shapes) add(await benchDecode(gpu, shape, options.quick ? 16 : 64, options.quick ? 1 : 3));
  }
  if (wants("memory")) {
    const pool = options.quick ? null : createPool(() => host.spawnArena(), { size: 1 });
    (await benchMemory(gpu, pool)).forEach(add);
    pool?.close();
  }
  if (wants("offload")) add(await benchOffload(gpu, options.quick ? 3 : 7));
  if (wants("on-policy")) add(await benchOnPolicy(gpu, options.quick));
  gpu.close();
  if (wants("trace")) add(await benchTrace(options.quick ? 50 : 200, options.quick ? 1 : 3));

  // By name alone: it fetches the other libraries and takes many minutes.
  let wrong: string[] = [];
  if (what === "peers") {
    const rounds = options.quick ? 1 : PEERS.rounds;
    const shapes = options.large ? ["tiny" as const, "small" as const] : PEERS.shapes;
    const suites = await benchPeers({ ...PEERS, rounds, shapes, browser: options.browser }, console.error);
    suites.forEach(add);
    wrong = disagreements(suites);
  }

  if (options.json) {
    await host.write(options.json, formatReport(report));
    console.log(`\nwrote ${options.json}`);
  }
  if (wrong.length > 0) throw new Error(wrong.join("; "));
}

const program = new Command("deno task bench")
  .description(
    "Time kernels, training steps, decoding and the tracer on this machine; peers: beside other libraries (not part of all)",
  )
  .addArgument(new Argument("[what]").choices(SUITES).default("all"))
  .option("--json <file>", "write the figures")
  .option("--compare <file>", "show the ratio to an earlier --json file beside each figure")
  .option("--quick", "fewer rounds and programs", false)
  .option("--large", "the large shapes on a software adapter too (minutes)", false)
  .option("--browser", "peers: in Chromium on SwiftShader too", false)
  .addHelpText(
    "after",
    "\nExamples:\n  $ deno task bench step --quick\n  $ deno task bench all --json before.json\n" +
      "  $ deno task bench kernels --compare before.json",
  )
  .action(bench);

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
