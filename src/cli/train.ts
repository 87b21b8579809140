/** `etalon train`: the main job, from a model and problems to a report of before and after, by one of the recipes. */
import { type Command, Option } from "commander";
import {
  type Recipe,
  type RecipeName,
  RECIPES,
  recipeSettings,
  requireActing,
  runStages,
  writeReport,
} from "../mod.ts";
import type { Settings } from "../mod.ts";
import { addFlags, addSettingOptions, readConfig, resolveSettings } from "./recipe_flags.ts";
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
import { chooseFolder } from "./run_folder.ts";
import { finish } from "./show.ts";

const DEFAULT: RecipeName = "eta-dpo";

interface TrainOptions extends MachineOptions {
  out?: string;
  config?: string;
  set: string[];
  printConfig: boolean;
}

/** @param args of the command line: which flags there are, and their defaults, is the recipe's to say */
export async function addTrain(program: Command, args: readonly string[]): Promise<void> {
  const name = args[0] === "train" ? await recipeOf(args) : DEFAULT;
  const defaults: Settings = { recipe: name, ...SUBJECT, ...recipeSettings(name) };
  const command = program.command("train")
    .description("Align a model with what its programs do: sample, trace, train by a recipe, compare before and after")
    .addOption(new Option("--recipe <name>", "what to do").choices(Object.keys(RECIPES)).default(name))
    .option(
      "--out <dir>",
      "run folder (default: runs/<data>-<recipe>-seed<seed>, numbered on if that run is finished)",
    );
  addSubjectOptions(command);
  addSettingOptions(command);
  addMachineOptions(command);
  const recipes = Object.entries<Recipe>(RECIPES);
  const width = Math.max(...recipes.map(([name]) => name.length));
  command.addHelpText(
    "after",
    `
Recipes (--recipe; each has flags of its own, which --recipe <name> --help shows):
${recipes.map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`).join("\n")}

Examples:
  $ deno task train
  $ deno task train --recipe binary-dpo --seed 2 --out runs/binary-2
  $ deno task train --data path/to/mbpp.jsonl --problems 16 --samples 4
  $ deno task train --problems 8 --samples 4 --eval-problems 8 --steps 5 --json
  $ deno task train --recipe rft --print-config > rft.json; deno task train --config rft.json --set rft.steps=100

The run folder holds config.json, run.db (problems, samples, traces, pairs, metrics), a folder for each stage that trains
(checkpoints, model), report.json and report.html. After Ctrl-C or a crash the same command goes on where the run stopped.`,
  );
  command.optionsGroup(`Settings of ${name}:`);
  const flags = [...SUBJECT_FLAGS, ...addFlags(command, recipeSettings(name))];
  command.action(async (options: TrainOptions) => {
    const settings = await resolveSettings(defaults, options, command, flags).catch((error) => {
      throw withOwner(error, name);
    });
    if (options.printConfig) return console.log(JSON.stringify(settings, null, 2));
    await runTrain(name, settings, options);
  });
}

/** Adds to an error about an unknown setting which recipes have it, where others do. */
function withOwner(error: Error, name: RecipeName): Error {
  const section = error.message.match(/"(\w+)(?:\.\w+)*" is no setting$/)?.[1];
  const owners = Object.keys(RECIPES).filter((other) =>
    section !== undefined && section in recipeSettings(other as RecipeName)
  );
  if (owners.length === 0) return error;
  return new Error(`${error.message} of recipe ${name}; ${section} is of ${owners.join(", ")}`);
}

/** The recipe that a command line or its config file names. An unknown one is left for the parser to refuse. */
async function recipeOf(args: readonly string[]): Promise<RecipeName> {
  const given = (flag: string) => {
    const at = args.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
    return at < 0 ? undefined : args[at].includes("=") ? args[at].slice(flag.length + 1) : args[at + 1];
  };
  const file = given("--config");
  const config = file === undefined ? undefined : await readConfig(file) as { recipe?: unknown } | null;
  const name = given("--recipe") ?? config?.recipe;
  if (typeof name === "string" && Object.hasOwn(RECIPES, name)) return name as RecipeName;
  if (given("--recipe") === undefined && name !== undefined) {
    throw new Error(
      `Cannot read ${file}: "recipe" is ${JSON.stringify(name)}, not one of ${Object.keys(RECIPES).join(", ")}`,
    );
  }
  return DEFAULT;
}

async function runTrain(name: RecipeName, settings: Settings, options: TrainOptions): Promise<void> {
  const recipe: Recipe = RECIPES[name];
  const subject = settings as unknown as Subject;
  requireActing(settings, { ...settings, ...recipeSettings(name) });
  const wanted = { ...settings, weights: await weightsHash(subject.model) };
  const label = subject.data.split("/").at(-1)!.replace(/\.jsonl(\.gz)?$/, "");
  const { dir, fresh } = await chooseFolder(options.out, `runs/${label}-${name}-seed${settings.seed}`, wanted);
  if (!fresh) console.error(`going on with the run in ${dir}`);
  const startedAt = new Date().toISOString();
  await withRun(dir, subject, settings, options, recipe.stages, async function* (run, signal, progress) {
    yield* runStages(run, recipe.stages, signal);
    const event = await writeReport(run, name, recipe.stages, recipe.trains, startedAt);
    yield event;
    if (event.type === "report") finish(event.report, dir, options.json, progress);
  }, `--out ${dir}`);
}
