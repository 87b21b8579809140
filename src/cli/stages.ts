/**
 * Stages as commands over one run folder: `etalon sample|rm|dpo|kto|rft|ppo|grpo|eval --run DIR`. The first one makes the folder; each
 * leaves its result there, goes on where it was interrupted, and is skipped where it is done. `trace --run` and `pairs --run` belong
 * to their namesakes, which work on files too.
 */
import type { Command } from "commander";
import {
  defaults,
  differing,
  evaluate,
  requireUnchanged,
  type Run,
  runStages,
  type Settings,
  SETTLED_STAGES,
  type Stage,
  STAGE_COMMANDS,
  TRAINING_STAGES,
  withSettings,
  writeReport,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { addFlags, addSettingOptions, type Flag, resolveSettings } from "./recipe_flags.ts";
import {
  addMachineOptions,
  addSubjectOptions,
  type MachineOptions,
  SUBJECT,
  type Subject,
  SUBJECT_FLAGS,
  weightsHash,
  withRun,
} from "./run.ts";
import { parseJson, writeRecord } from "./run_folder.ts";
import { finish } from "./show.ts";

export interface StageOptions extends MachineOptions {
  run: string;
  config?: string;
  set: string[];
  printConfig: boolean;
}

type StageName = keyof typeof STAGE_COMMANDS;

const ALL: Settings = { ...SUBJECT, ...defaults } as unknown as Settings;

/** `trace` and `pairs` have commands of their own, which call `runStage`. */
export function addStages(program: Command): void {
  for (
    const [name, { sections, help }] of Object.entries(STAGE_COMMANDS) as [
      StageName,
      typeof STAGE_COMMANDS[StageName],
    ][]
  ) {
    if (name === "trace" || name === "pairs") continue;
    const command = program.command(name).description(`In a run folder: ${help}`);
    addStageOptions(command, name);
    const own = Object.fromEntries(["seed", ...sections].map((section) => [section, ALL[section]]));
    const flags = [...SUBJECT_FLAGS, ...addFlags(command, own)];
    command.action(async (options: StageOptions) => await runStage(name, command, options, flags));
  }
  const command = program.command("eval")
    .description(
      "In a run folder: evaluate the base and the newest model that a stage has trained, and write the report",
    );
  addStageOptions(command, "eval");
  const flags = [...SUBJECT_FLAGS, ...addFlags(command, { seed: ALL.seed, sample: ALL.sample })];
  command.action(async (options: StageOptions) => await runEvaluation(command, options, flags));
}

function addStageOptions(command: Command, name: string): void {
  command.requiredOption("--run <dir>", "run folder; made by the first command that names it");
  addSubjectOptions(command);
  addSettingOptions(command);
  addMachineOptions(command);
  command.addHelpText(
    "after",
    `
Examples:
  $ deno task etalon sample --run runs/mine --problems 32 --samples 16
  $ deno task etalon trace --run runs/mine
  $ deno task etalon pairs --run runs/mine --order eta
  $ deno task etalon dpo --run runs/mine --beta 0.2 --steps 40
  $ deno task etalon eval --run runs/mine${name === "eval" ? " --json" : ""}

What was set by an earlier command of the folder stays set. A stage that is done is not done again; with other settings it
is refused.`,
  );
}

/** Runs one stage in a folder, with the settings of the folder and what is given now. */
export async function runStage(
  name: StageName,
  command: Command,
  options: StageOptions,
  flags: readonly Flag[],
): Promise<void> {
  const stages = [STAGE_COMMANDS[name].stage];
  await inFolder(command, options, flags, stages, async function* (run, signal) {
    yield* runStages(run, stages, signal);
    const record = await run.record(STAGE_COMMANDS[name].stage.name);
    if (options.json) console.log(JSON.stringify({ dir: options.run, stage: name, ...record }));
  });
}

async function runEvaluation(command: Command, options: StageOptions, flags: readonly Flag[]): Promise<void> {
  const startedAt = new Date().toISOString();
  await inFolder(command, options, flags, [], async function* (run, signal, progress) {
    const trained = await newest(run);
    const done = await doneStages(run);
    const stages = [evaluate(null), ...done, ...trained === null ? [] : [evaluate(trained)]];
    yield* runStages(run, [evaluate(null), ...trained === null ? [] : [evaluate(trained)]], signal);
    const event = await writeReport(
      { ...run, settings: used(run.settings, done) },
      trained ?? "base",
      stages,
      trained,
      startedAt,
    );
    yield event;
    if (event.type === "report") finish(event.report, options.run, options.json, progress);
  });
}

/** Settings that the stages of this folder have read; those of stages that never ran here say nothing about it. */
function used(settings: Record<string, unknown>, done: readonly Stage[]): Record<string, unknown> {
  const read = Object.values<{ stage: Stage; sections: readonly string[] }>(STAGE_COMMANDS)
    .flatMap(({ stage, sections }) => done.some(({ name }) => name === stage.name) ? sections : []);
  const sections = new Set(["sample", ...read, ...done.map(({ name }) => name)]);
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => !name.includes(".") || sections.has(name.split(".")[0])),
  );
}

/** Stages between sampling and evaluation that this folder has results of. */
async function doneStages(run: Run): Promise<Stage[]> {
  const known: Stage[] = [...Object.values(STAGE_COMMANDS).map(({ stage }) => stage), ...SETTLED_STAGES];
  const stages = new Map(known.map((stage) => [stage.name, stage])).values();
  const found: Stage[] = [];
  for (const stage of stages) if (await run.record(stage.name)) found.push(stage);
  return found;
}

async function newest(run: Run): Promise<string | null> {
  const done: { name: string; at: number }[] = [];
  for (const name of TRAINING_STAGES) {
    const record = await run.record(name);
    if (record) done.push({ name, at: record.finishedAt });
  }
  return done.sort((a, b) => b.at - a.at)[0]?.name ?? null;
}

async function inFolder(
  command: Command,
  options: StageOptions,
  flags: readonly Flag[],
  stages: readonly Stage[],
  work: Parameters<typeof withRun>[5],
): Promise<void> {
  const host = denoHost();
  const dir = options.run;
  const path = `${dir}/config.json`;
  const begun = await host.exists(`${dir}/run.db`);
  let before = ALL;
  let known: Settings | null = null;
  if (await host.exists(path)) {
    const { recipe: _, weights: _w, ...kept } = known = parseJson(await host.readText(path), path) as Settings;
    before = withSettings(ALL, kept, path);
  }
  const settings = await resolveSettings(before, options, command, flags);
  if (options.printConfig) return console.log(JSON.stringify(settings, null, 2));
  const subject = settings as unknown as Subject;
  const weights = await weightsHash(subject.model);
  const needs = stages.flatMap((stage) => stage.needs.map((name) => ({ stage: stage.name, name })));
  if (!begun && needs.length > 0) {
    throw new Error(`Cannot run stage ${needs[0].stage} in ${dir}: stage ${needs[0].name} comes first`);
  }
  if (known && begun) {
    const about = (record: Settings) =>
      Object.fromEntries([...Object.keys(SUBJECT), "seed", "weights"].map((name) => [name, record[name]]));
    const other = differing(about(known), about({ ...settings, weights }));
    if (other) {
      throw new Error(
        `Cannot go on with ${dir}: ${other.name} was ${other.was} there and is ${other.is} now; choose another --run`,
      );
    }
  }
  const record = { ...known?.recipe === undefined ? {} : { recipe: known.recipe }, ...settings, weights };
  await withRun(dir, subject, settings, options, stages, async function* (run, signal, progress) {
    // A command that is refused leaves the settings as they were: what was done here was done with those.
    await requireUnchanged(run, stages.length > 0 ? stages : [evaluate(null)], SETTLED_STAGES);
    await writeRecord(dir, record);
    yield* work(run, signal, progress);
  }, `--run ${dir}`);
}
