/** What the commands that work in a run folder share: its options, and everything a run needs around it. */
import { type Command, Option } from "commander";
import { createPool, openRun, type Run, type RunConfig, type RunEvent, sha256, type Stage, Stopped } from "../mod.ts";
import type { Settings } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { interruptSignal } from "./interrupt.ts";
import { memoryBudget, memoryOption } from "./memory.ts";
import { parsePositive } from "./options.ts";
import { chooseProblems } from "./problems.ts";
import { type Progress, terminalProgress } from "./progress.ts";
import { ensureAdapter } from "./setup.ts";
import { show } from "./show.ts";
import { deterministicOption, openTunedGpu, pinChoices } from "./tune.ts";

/** Of the machine and the terminal, not of the run. */
export interface MachineOptions {
  deterministic: boolean;
  workers: number;
  memory?: number;
  json: boolean;
}

/** What a run is about, beside its recipe's settings. */
export interface Subject {
  data: string;
  model: string;
  /** Problems to train on. */
  problems: number;
  /** Problems to evaluate on; 0: 96 for micro, else as many as to train on. */
  evalProblems: number;
}

export const SUBJECT: Subject = { data: "micro", model: "models/micro", problems: 64, evalProblems: 0 };

export function addSubjectOptions(command: Command): void {
  command
    .option(
      "--data <name>",
      "micro, humaneval, mbpp, or a path: normalised or published JSON lines (.gz too), an APPS folder",
      SUBJECT.data,
    )
    .option("--model <dir>", "Hugging Face folder of the model to align", SUBJECT.model)
    .addOption(new Option("--problems <n>", "problems to train on").default(SUBJECT.problems).argParser(parsePositive))
    .addOption(
      new Option("--eval-problems <n>", "problems to evaluate on (default: 96 for micro, else as --problems)")
        .argParser(parsePositive),
    );
}

export const SUBJECT_FLAGS = Object.keys(SUBJECT).map((name) => ({ option: name, path: name }));

export function addMachineOptions(command: Command): void {
  command
    .addOption(new Option("--workers <n>", "Python interpreters at once").default(2).argParser(parsePositive))
    .option("--json", "print one JSON summary as the last line of stdout", false)
    .addOption(deterministicOption())
    .addOption(memoryOption());
}

/** The hash that tells whether a folder's model is still the one that it began with. */
export async function weightsHash(model: string): Promise<string> {
  return await sha256(await denoHost().readBytes(`${model}/model.safetensors`));
}

/**
 * Opens GPU, interpreters and store, checks the memory that `stages` need, lets `work` yield its events, which are shown, and closes everything. Where the work was
 * stopped, says how to go on and sets the exit code 130.
 */
export async function withRun(
  dir: string,
  subject: Subject,
  settings: Settings,
  options: MachineOptions,
  stages: readonly Stage[],
  work: (run: Run, signal: AbortSignal, progress: Progress) => AsyncGenerator<RunEvent>,
  goOn: string,
): Promise<void> {
  const host = denoHost();
  const progress = terminalProgress();
  await ensureAdapter();
  const signal = interruptSignal();
  signal.addEventListener("abort", () => progress.log("stopping at the next safe point; Ctrl-C again: at once"));
  const gpu = await openTunedGpu(options, dir);
  await pinChoices(gpu, dir);
  progress.log(`${gpu.adapterName}`);
  const pool = createPool(() => host.spawnArena(), { size: options.workers });
  let run: Run | undefined;
  try {
    const config = settings as unknown as RunConfig;
    const chosen = await chooseProblems(
      { ...subject, evalProblems: subject.evalProblems || undefined },
      config.seed,
      pool,
    );
    run = await openRun(config, {
      ...chosen,
      host,
      gpu,
      pool,
      dir,
      modelDir: subject.model,
      command: [
        "deno task",
        Deno.args[0] === "train" ? "train" : "etalon",
        ...Deno.args.slice(Deno.args[0] === "train" ? 1 : 0),
      ]
        .join(" "),
      settings: reported(settings),
      memoryBytes: memoryBudget(options.memory, gpu),
    }, stages);
    if (options.memory !== undefined && run.predictions.length === 0) {
      progress.log("--memory has no effect here: what these stages take of the GPU's memory is not predicted yet");
    }
    for await (const event of work(run, signal, progress)) show(event, progress);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    progress.log(`${error.message}: ${goOn}`);
    Deno.exitCode = 130;
  } finally {
    pool.close();
    run?.unload();
    await run?.store.close();
    gpu.close();
  }
}

/** Settings as a report shows them: flat, without those that change no result. */
function reported(settings: Settings, path = ""): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => {
      const full = path === "" ? name : `${path}.${name}`;
      if (["microBatch", "sampleBatch"].includes(name)) return [];
      const group = typeof value === "object" && value !== null && !Array.isArray(value);
      return group ? Object.entries(reported(value as Settings, full)) : [[full, value]];
    }),
  );
}
