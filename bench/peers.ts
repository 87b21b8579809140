/**
 * `deno task bench peers`: ours beside jax-js, TensorFlow.js and PyTorch on the fixed workloads (bench/peers/workload.ts), in
 * turns in the same run, each time in a process of its own. Also alone: deno run -A bench/peers.ts --help
 */
import { Command, Option } from "commander";
import { ensureAdapterForChildren } from "../src/cli/setup.ts";
import { runInChromium } from "./peers/chromium.ts";
import { runInDeno, runTorch } from "./peers/hosts.ts";
import { bundleContestant, fetchPackages } from "./peers/packages.ts";
import { disagreements, type GoldenShape, peerRows, stepMilliseconds } from "./peers/rows.ts";
import { type PeerRun, shapes } from "./peers/workload.ts";
import { formatReport, formatSuite, loadNote, type Report, type Suite } from "./report.ts";

export { disagreements } from "./peers/rows.ts";

export interface PeersOptions {
  shapes: GoldenShape[];
  /** In Chromium on SwiftShader too, where a step of the slowest takes a quarter of a minute. */
  browser: boolean;
  /** Not in Deno. */
  browserOnly: boolean;
  /** Steps of the first round of tiny-GPT, whose losses are compared; 20 is what the golden values hold. */
  lossSteps: number;
  /** Rounds, in each of which everybody runs once; and steps of those after the first. small-GPT runs 3 steps in each. */
  rounds: number;
  steps: number;
  /** Names to keep, e.g. ["etalon", "jax"]; all if empty. */
  only: string[];
}

export const PEERS: PeersOptions = {
  shapes: ["tiny"],
  browser: false,
  browserOnly: false,
  lossSteps: 20,
  rounds: 3,
  steps: 5,
  only: [],
};

type Host = "deno" | "chromium";

interface Entry {
  key: string;
  hosts: Host[];
  run(host: Host, shape: GoldenShape, steps: number): Promise<PeerRun | null>;
}

async function entries(only: string[]): Promise<Entry[]> {
  const native: Host[] = ["deno"];
  const bundled = (key: string, entry: string, backend: string, hosts: Host[]): Entry => {
    const bundle = bundleContestant(entry); // once; a failure is this contestant's alone
    bundle.catch(() => {});
    return {
      key,
      hosts,
      run: async (host, shape, steps) => {
        const run = host === "deno" ? runInDeno : runInChromium;
        return run({ bundle: await bundle, backend, shape, steps });
      },
    };
  };
  await fetchPackages();
  const all = [
    bundled("etalon", "etalon_gpt.ts", "webgpu", ["deno", "chromium"]),
    bundled("jax", "jax_gpt.js", "webgpu", ["deno", "chromium"]),
    bundled("tfjs", "tfjs_gpt.js", "webgpu", ["deno", "chromium"]),
    bundled("jax-wasm", "jax_gpt.js", "wasm", native),
    { key: "torch", hosts: native, run: (_: Host, shape: GoldenShape, steps: number) => runTorch(shape, steps) },
  ];
  const unknown = only.find((key) => !all.some((entry) => entry.key === key));
  if (unknown) throw new Error(`Cannot run "${unknown}": the contestants are ${all.map(({ key }) => key).join(", ")}`);
  return all.filter(({ key }) => only.length === 0 || only.includes(key));
}

/** Runs everybody and gives a suite per host and shape. `say` hears of each run as it ends, and of who could not run. */
export async function benchPeers(options: PeersOptions, say: (line: string) => void = () => {}): Promise<Suite[]> {
  const { browser, browserOnly, rounds, only } = options;
  const contestants = await entries(only);
  await ensureAdapterForChildren();
  const suites: Suite[] = [];
  const hosts: Host[] = browserOnly ? ["chromium"] : browser ? ["deno", "chromium"] : ["deno"];
  for (const host of hosts) {
    for (const shape of options.shapes) {
      const present = contestants.filter((entry) => entry.hosts.includes(host));
      const runs = new Map<string, PeerRun[]>(present.map(({ key }) => [key, []]));
      for (let round = 0; round < rounds; round++) {
        const steps = shape === "small" ? 3 : round === 0 ? options.lossSteps : options.steps;
        for (const { key, run } of present) {
          if (!runs.has(key)) continue; // did not run before
          try {
            const result = await run(host, shape, steps);
            if (!result) throw new Error("not installed here");
            runs.get(key)!.push(result);
            say(`${host} ${shape} ${result.contestant}: ${stepMilliseconds([result]).toFixed(0)} ms, ${steps} steps`);
          } catch (error) {
            if (key === "etalon") throw error; // a comparison without ours says nothing
            runs.delete(key);
            say(`${host} ${shape} ${key} did not run: ${(error as Error).message}`);
          }
        }
      }
      if (runs.size > 0) suites.push(suiteOf(host, shape, [...runs.values()]));
    }
  }
  return suites;
}

function suiteOf(host: Host, shape: GoldenShape, runs: PeerRun[][]): Suite {
  const { B, T, C, L, H, V } = shapes[shape];
  const adapters = [...new Set(runs.map(([{ adapter }]) => adapter))].join("; ");
  const workload =
    `a training step with its loss read back, B ${B}, T ${T}, C ${C}, L ${L}, H ${H}, V ${V}; ${adapters}`;
  return { name: `peers ${shape}-GPT ${host}`, workload, rows: peerRows(runs, shape) };
}

async function main(options: PeersOptions & { json?: string }): Promise<void> {
  const load = Deno.loadavg()[0], cores = navigator.hardwareConcurrency;
  const adapter = await ensureAdapterForChildren();
  const suites = await benchPeers(options, console.error);
  for (const suite of suites) console.log(`\n${formatSuite(suite)}`);
  if (options.json) {
    const report: Report = {
      adapter,
      command: ["deno run -A bench/peers.ts", ...Deno.args].join(" "),
      date: new Date().toISOString().slice(0, 10),
      runtime: `Deno ${Deno.version.deno}`,
      cores,
      loadBefore: load,
      note: loadNote(load, cores),
      suites,
    };
    await Deno.writeTextFile(options.json, formatReport(report));
  }
  const wrong = disagreements(suites);
  for (const line of wrong) console.error(`error: ${line}`);
  if (wrong.length > 0) Deno.exit(1);
}

if (import.meta.main) {
  await new Command("bench/peers.ts")
    .description("Train the fixed GPT workloads with Etalon, jax-js, TensorFlow.js and PyTorch, and compare")
    .addOption(new Option("--shapes <names...>", "workloads").choices(["tiny", "small"]).default(PEERS.shapes))
    .option("--browser", "in Chromium on SwiftShader too", PEERS.browser)
    .option("--browser-only", "only in Chromium on SwiftShader", PEERS.browserOnly)
    .option("--loss-steps <n>", "steps of the first round, whose losses are compared", Number, PEERS.lossSteps)
    .option("--rounds <n>", "how often everybody runs", Number, PEERS.rounds)
    .option("--steps <n>", "steps of the further rounds", Number, PEERS.steps)
    .option("--only <names...>", "etalon, jax, tfjs, jax-wasm, torch", PEERS.only)
    .option("--json <file>", "write the figures")
    .action(main)
    .parseAsync(Deno.args, { from: "user" });
}
