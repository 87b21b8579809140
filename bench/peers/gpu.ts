/**
 * Ours beside PyTorch's CUDA build on a GPU, in turns: deno run -A bench/peers/gpu.ts gpt124m gpt1b --json gpu.json
 * PyTorch runs eager in float32 (TF32 off; scores written out, and with its fused attention), TF32 and bf16 autocast. The
 * large shapes have no golden losses: `loss error` is the largest difference from PyTorch's float32 run of the same round.
 */
import { Argument, Command } from "commander";
import { ensureAdapterForChildren, quietVulkanLoader } from "../../src/cli/setup.ts";
import { formatReport, formatSuite, loadNote, type Report, type Suite } from "../report.ts";
import { runEtalon, runTorch } from "./hosts.ts";
import { stepMilliseconds } from "./rows.ts";
import { type PeerRun, type ShapeName, shapes, stepFlops } from "./workload.ts";

const TORCH = {
  "f32 math": ["--dtype", "f32", "--attention", "math"],
  "f32": ["--dtype", "f32", "--attention", "sdpa"],
  "tf32": ["--dtype", "tf32", "--attention", "sdpa"],
  "bf16": ["--dtype", "bf16", "--attention", "sdpa"],
};

/** `rounds` runs of `steps` steps of everybody. Errors of PyTorch's runs are said and leave their row out. */
export async function benchGpu(
  shape: ShapeName,
  rounds: number,
  steps: number,
  say: (line: string) => void,
): Promise<Suite> {
  const contestants: [string, () => Promise<PeerRun | null>][] = [
    ["Etalon", () => runEtalon(shape, steps)],
    ...Object.entries(TORCH).map(([name, args]): [string, () => Promise<PeerRun | null>] => [
      `PyTorch ${name}`,
      () => runTorch(shape, steps, ["--device", "cuda", ...args]),
    ]),
  ];
  const runs = new Map<string, PeerRun[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of contestants) {
      try {
        const result = await run();
        if (!result) throw new Error("no Python with a torch that sees a CUDA device");
        runs.set(name, [...runs.get(name) ?? [], result]);
        say(
          `${shape} ${name}: ${stepMilliseconds([result]).toFixed(2)} ms, first step ${
            result.milliseconds[0].toFixed(0)
          }`,
        );
      } catch (error) {
        say(`${shape} ${name} did not run: ${(error as Error).message}`);
      }
    }
  }
  if (runs.size === 0) throw new Error(`Cannot compare on ${shape}: nobody ran`);
  const reference = runs.get("PyTorch f32 math") ?? runs.get("PyTorch f32");
  const eager = runs.get("PyTorch f32") ?? reference;
  const { B, T, C, L, H, V } = shapes[shape];
  const rows = [...runs].map(([name, of]) => {
    const ms = stepMilliseconds(of);
    const peak = of[0].device?.peakBytes ?? of[0].peakBytes;
    return {
      name: name === "Etalon" ? name : of[0].contestant,
      values: {
        ms,
        ...(eager && { "x eager f32": ms / stepMilliseconds(eager) }),
        "tokens/s": B * T / ms * 1000,
        "GFLOP/s": stepFlops(shapes[shape]) / ms / 1e6,
        ...(peak && { "peak MB": peak / 1e6 }),
        ...(of[0].device && { dispatches: of[0].device.dispatches, submits: of[0].device.submits }),
        ...(reference && { "loss error": largestDifference(of[0].losses, reference[0].losses) }),
      },
    };
  });
  const adapters = [...new Set([...runs.values()].map(([{ adapter }]) => adapter))].join("; ");
  const workload =
    `a training step with its loss read back, B ${B}, T ${T}, C ${C}, L ${L}, H ${H}, V ${V}; ${adapters}`;
  return { name: `peers ${shape}`, workload, rows };
}

function largestDifference(a: readonly number[], b: readonly number[]): number {
  const differences = a.slice(0, b.length).map((value, i) => Math.abs(value - b[i]));
  return differences.some(Number.isNaN) ? NaN : Math.max(...differences);
}

async function main(names: ShapeName[], options: { rounds: number; steps: number; json?: string }): Promise<void> {
  quietVulkanLoader();
  const load = Deno.loadavg()[0], cores = navigator.hardwareConcurrency;
  const report: Report = {
    adapter: await ensureAdapterForChildren(),
    command: ["deno run -A bench/peers/gpu.ts", ...Deno.args].join(" "),
    date: new Date().toISOString().slice(0, 10),
    runtime: `Deno ${Deno.version.deno}`,
    cores,
    loadBefore: load,
    note: loadNote(load, cores),
    suites: [],
  };
  for (const name of names) {
    const suite = await benchGpu(name, options.rounds, options.steps, console.error);
    report.suites.push(suite);
    console.log(`\n${formatSuite(suite)}`);
    // After every shape: a run that is cut off leaves what it has.
    if (options.json) await Deno.writeTextFile(options.json, formatReport(report));
  }
}

if (import.meta.main) {
  await new Command("bench/peers/gpu.ts")
    .description("A training step beside PyTorch's CUDA build: float32, TF32 and bf16")
    .addArgument(
      new Argument("[shapes...]").choices(Object.keys(shapes)).default(["tiny", "small", "gpt124m", "gpt1b"]),
    )
    .option("--rounds <n>", "how often everybody runs", Number, 2)
    .option("--steps <n>", "steps of each run", Number, 12)
    .option("--json <file>", "write the figures")
    .action(main)
    .parseAsync(Deno.args, { from: "user" });
}
