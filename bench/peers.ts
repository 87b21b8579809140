/**
 * `deno task bench peers`: ours beside jax-js, TensorFlow.js and PyTorch on the fixed workloads (bench/peers/workload.ts), in
 * turns in the same run, each time in a process of its own. Also alone: deno run -A bench/peers.ts --help
 */
import { Command } from "commander";
import { ensureAdapterForChildren } from "../src/cli/setup.ts";
import golden from "../test/golden/gpt_torch.json" with { type: "json" };
import { type Host, runOn, runTorch } from "./peers/hosts.ts";
import { bundleContestant, fetchPackages } from "./peers/packages.ts";
import { type PeerRun, shapes, stepFlops } from "./peers/workload.ts";
import { formatReport, formatSuite, loadNote, type Report, type Row, type Suite } from "./report.ts";
import { median } from "./units.ts";

export interface PeersOptions {
  /** small-GPT too. */
  full: boolean;
  /** In Chromium on SwiftShader too, where a step of the slowest takes a quarter of a minute. */
  browser: boolean;
  /** Steps of the first round of tiny-GPT, whose losses are compared; 20 is what the golden values hold. */
  lossSteps: number;
  /** Names to keep, e.g. ["etalon", "jax"]; all if empty. */
  only: string[];
}

/** How far a loss may lie from PyTorch's in float64. */
export const LOSS_TOLERANCE = 1e-4;

interface Entry {
  key: string;
  hosts: Host[];
  run(host: Host, shape: GoldenShape, steps: number): Promise<PeerRun | null>;
}

type GoldenShape = "tiny" | "small";

async function entries(only: string[]): Promise<Entry[]> {
  await fetchPackages();
  const bundled = async (key: string, entry: string, backend: string): Promise<Entry> => {
    const bundle = await bundleContestant(entry);
    return {
      key,
      hosts: ["deno", "chromium"],
      run: (host, shape, steps) => runOn(host, { bundle, backend, shape, steps }),
    };
  };
  const all = [
    await bundled("etalon", "etalon_gpt.ts", "webgpu"),
    await bundled("jax", "jax_gpt.js", "webgpu"),
    await bundled("tfjs", "tfjs_gpt.js", "webgpu"),
    { ...await bundled("jax-wasm", "jax_gpt.js", "wasm"), hosts: ["deno" as const] },
    {
      key: "torch",
      hosts: ["deno" as const],
      run: (_: Host, shape: GoldenShape, steps: number) => runTorch(shape, steps),
    },
  ];
  const unknown = only.find((key) => !all.some((entry) => entry.key === key));
  if (unknown) throw new Error(`Cannot run "${unknown}": the contestants are ${all.map(({ key }) => key).join(", ")}`);
  return all.filter(({ key }) => only.length === 0 || only.includes(key));
}

/** Largest |loss - PyTorch's| over the steps of a run that the golden values hold. */
export function lossError(run: Pick<PeerRun, "losses">, expected: readonly number[]): number {
  const errors = run.losses.slice(0, expected.length).map((loss, step) => Math.abs(loss - expected[step]));
  return errors.some(Number.isNaN) ? NaN : Math.max(...errors);
}

/** One row per contestant: medians over all steps but each run's first, and ratios to the first row's milliseconds. */
export function peerRows(runs: readonly PeerRun[][], shape: GoldenShape): Row[] {
  const medians = runs.map((of) => median(of.flatMap(({ milliseconds }) => milliseconds.slice(1))));
  const { B, T } = shapes[shape];
  return runs.map((of, k) => {
    const ms = medians[k];
    const device = of.at(-1)!.device;
    return {
      name: of[0].contestant,
      values: {
        ms,
        [`x ${of[0] === runs[0][0] ? "itself" : runs[0][0].contestant}`]: ms / medians[0],
        "tokens/s": B * T / ms * 1000,
        "GFLOP/s": stepFlops(shapes[shape]) / ms / 1e6,
        "loss error": Math.max(...of.map((run) => lossError(run, golden[shape].losses))),
        steps: Math.max(...of.map(({ losses }) => losses.length)),
        ...(device && {
          dispatches: device.dispatches,
          submits: device.submits,
          buffers: device.buffers,
          "peak MB": device.peakBytes / 1e6,
        }),
      },
    };
  });
}

/** Runs everybody and gives a suite per host and shape. `say` hears of each run as it ends, and of who could not run. */
export async function benchPeers(options: PeersOptions, say: (line: string) => void = () => {}): Promise<Suite[]> {
  const contestants = await entries(options.only);
  await ensureAdapterForChildren();
  const suites: Suite[] = [];
  for (const host of options.browser ? ["deno", "chromium"] as const : ["deno"] as const) {
    for (const shape of options.full ? ["tiny", "small"] as const : ["tiny"] as const) {
      const present = contestants.filter(({ hosts }) => hosts.includes(host));
      const runs = new Map<string, PeerRun[]>(present.map(({ key }) => [key, []]));
      // The first round of tiny-GPT is as long as the golden losses; further ones are there for the clock.
      for (const steps of shape === "tiny" ? [options.lossSteps, 5] : [4, 3]) {
        for (const { key, run } of present) {
          if (!runs.has(key)) continue; // could not run before
          try {
            const result = await run(host, shape, steps);
            if (!result) throw new Error("not installed here");
            runs.get(key)!.push(result);
            const ms = median(result.milliseconds.slice(1)).toFixed(0);
            say(`${host} ${shape}: ${result.contestant}, ${steps} steps, median ${ms} ms`);
          } catch (error) {
            runs.delete(key);
            say(`${host} ${shape}: ${key} did not run: ${(error as Error).message}`);
          }
        }
      }
      const ran = [...runs.values()].filter((of) => of.length > 0);
      if (ran.length > 0) {
        suites.push({ name: `peers ${shape} ${host}`, workload: workload(shape, ran), rows: peerRows(ran, shape) });
      }
    }
  }
  return suites;
}

function workload(shape: GoldenShape, runs: PeerRun[][]): string {
  const { B, T, C, L, H, V } = shapes[shape];
  const adapters = [...new Set(runs.map(([{ adapter }]) => adapter))].join("; ");
  return `${shape}-GPT (B ${B}, T ${T}, C ${C}, L ${L}, H ${H}, V ${V}), a training step with its loss read back; ${adapters}`;
}

/** Rows whose losses are not PyTorch's, as lines to print. */
export function disagreements(suites: readonly Suite[]): string[] {
  return suites.flatMap(({ name, rows }) =>
    rows.filter(({ values }) => !(values["loss error"] <= LOSS_TOLERANCE)).map((row) =>
      `${name}: ${row.name} is ${row.values["loss error"]} from PyTorch's losses, more than ${LOSS_TOLERANCE}`
    )
  );
}

interface CommandOptions extends Omit<PeersOptions, "lossSteps"> {
  lossSteps: string;
  json?: string;
}

async function main({ json, lossSteps, ...options }: CommandOptions): Promise<void> {
  const load = Deno.loadavg()[0], cores = navigator.hardwareConcurrency;
  const suites = await benchPeers({ ...options, lossSteps: Number(lossSteps) }, console.error);
  for (const suite of suites) console.log(`\n${formatSuite(suite)}`);
  if (json) {
    const report: Report = {
      adapter: await ensureAdapterForChildren(),
      command: ["deno run -A bench/peers.ts", ...Deno.args].join(" "),
      date: new Date().toISOString().slice(0, 10),
      runtime: `Deno ${Deno.version.deno}`,
      cores,
      loadBefore: load,
      note: loadNote(load, cores),
      suites,
    };
    await Deno.writeTextFile(json, formatReport(report));
  }
  const wrong = disagreements(suites);
  for (const line of wrong) console.error(`error: ${line}`);
  if (wrong.length > 0) Deno.exit(1);
}

if (import.meta.main) {
  await new Command("bench/peers.ts")
    .description("Train the fixed GPT workloads with Etalon, jax-js, TensorFlow.js and PyTorch, and compare")
    .option("--full", "small-GPT too", false)
    .option("--browser", "in Chromium on SwiftShader too", false)
    .option("--loss-steps <n>", "steps of the first round, whose losses are compared with PyTorch's", "20")
    .option("--only <names...>", "etalon, jax, tfjs, jax-wasm, torch", [])
    .option("--json <file>", "write the figures")
    .action(main)
    .parseAsync(Deno.args, { from: "user" });
}
