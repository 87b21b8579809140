/** Flags, config files and `--set` for the settings of a recipe: all checked against its defaults, in that order of weight. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parse as parseYaml } from "yaml";
import {
  choices,
  hint,
  leafNames,
  LOSS_DEFAULTS,
  numberKind,
  parseAssignment,
  type PreferenceLoss,
  type Settings,
  withSettings,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { parseCount, parseNumber, parsePositive } from "./options.ts";

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What each setting is, by its own name or, where sections differ, by section and name. */
const HELP: Record<string, string> = {
  seed: "of problems, sampling and order",
  samples: "programs per problem",
  "ppo.samples": "programs per problem of an iteration (of evaluation: --set sample.samples)",
  "grpo.samples": "programs per problem of an iteration: the group (of evaluation: --set sample.samples)",
  "ppo.temperature": "of the programs it learns from, above 0 (of evaluation: --set sample.temperature)",
  "grpo.temperature": "of the programs it learns from, above 0 (of evaluation: --set sample.temperature)",
  "ppo.maxNewTokens": "longest completion (of evaluation: --set sample.maxNewTokens)",
  "grpo.maxNewTokens": "longest completion (of evaluation: --set sample.maxNewTokens)",
  steps: "optimizer steps",
  rounds: "rounds of sampling, pairing and training",
  iterations: "rounds of sampling and learning",
  prompts: "problems of an iteration",
  learningRate: "peak learning rate (the default suits models/micro; large models want about 1e-6)",
  beta: "KL strength",
  alpha: "weight of the SFT term on winners",
  loss: "of the DPO family",
  labelSmoothing: "share of preferences taken to be flipped (cDPO)",
  batchSize: "items of a step: pairs, or sequences",
  microBatch: "items on the GPU at a time",
  schedule: "of the learning rate",
  warmup: "steps of linear warm-up",
  weightDecay: "decoupled, on matrices",
  maxGradNorm: "clip the global gradient norm",
  temperature: "of sampling; 0 is greedy",
  topP: "nucleus sampling; 1 is off",
  topK: "keep the k likeliest tokens; 0 is off",
  stops: "texts that end a completion, with commas between (default: by the problems)",
  maxNewTokens: "longest completion",
  sampleBatch: "sequences sampled at a time",
  order: "preference order",
  maxPairsPerPrompt: "at most so many pairs of one problem",
  failFail: "where two failing programs are paired",
  calibrated: "label smoothing by the rule that decided a pair",
  mask: "tokens of the loser that are pushed down",
  referenceSibling: "where nothing passes, compare traces with the reference solution's",
  logEvery: "steps between metrics",
  checkpointEvery: "steps between checkpoints (0: only at the end)",
  recompute: "what the backward pass computes again to save memory",
  activations: "how what waits for the backward pass is kept",
  moments: "how Adam's moments are kept: 8 bytes a parameter or 2",
  pack: "let short sequences share a row: less padding",
  "lora.rank": "of LoRA adapters beside frozen weights; 0 trains all weights",
  "lora.alpha": "adapters are scaled by alpha / rank",
  "reward.name": "what a program scores",
  "reward.fill":
    "where a graded reward stands: everywhere (never), where nothing passes, or there while that is frequent",
  "dense.kind": "step-wise credit: which tokens a trace accuses",
  klCoefficient: "strength of the KL penalty",
  clip: "range of the probability ratio",
  groupSize: "programs of a group",
  silent: "add reference solutions of problems on which nothing passes",
  maxPerProblem: "own passing programs of a problem, at most",
};

/** Flags whose name alone would not say what they set. */
const NAMES: Record<string, string> = {
  "lora.rank": "loraRank",
  "lora.alpha": "loraAlpha",
  "reward.name": "reward",
  "dense.kind": "credit",
};

export interface Flag {
  /** As commander names it. */
  option: string;
  /** Of the setting: `dpo.beta`. */
  path: string;
}

/** One flag for every setting with a help text; a name that two sections have belongs to the first. */
export function addFlags(command: Command, settings: Settings): Flag[] {
  const flags = new Map<string, Flag>();
  for (const path of leafNames(settings)) {
    const own = path.split(".").at(-1)!;
    const name = NAMES[path] ?? own;
    const text = HELP[path] ?? HELP[name];
    if (text === undefined || flags.has(name)) continue;
    flags.set(name, { option: name, path });
    const value = valueAt(settings, path);
    if (typeof value === "boolean") command.option(`--${kebab(name)}`, text, value);
    else {
      const allowed = typeof value === "string" ? choices[path] ?? choices[own] : undefined;
      const form = typeof value === "number" ? "n" : allowed ? "name" : "text";
      const shown = Array.isArray(value) ? value.join(",") : value;
      const option = new Option(`--${kebab(name)} <${form}>`, text).default(shown === "" ? undefined : shown);
      if (typeof value === "number") {
        const kind = numberKind(own);
        option.argParser(kind === "any" ? parseNumber : kind === "from 0" ? parseCount : parsePositive);
      }
      if (allowed) option.choices(allowed);
      command.addOption(option);
    }
  }
  return [...flags.values()];
}

export function addSettingOptions(command: Command): void {
  command
    .option("--config <file>", "settings as JSON or YAML, nested as --print-config shows them")
    .option("--set <name=value>", "any setting, as in dpo.beta=0.2; may be repeated", collect, [])
    .option("--print-config", "print all settings as they are resolved, and stop", false);
}

const collect = (text: string, before: string[]): string[] => {
  if (!text.includes("=")) throw new InvalidArgumentError("expected name=value, as in dpo.beta=0.2.");
  return [...before, text];
};

/** Defaults, then the config file, then --set, then flags that were given. Errors name where a wrong value came from. */
export async function resolveSettings(
  defaults: Settings,
  options: { config?: string; set: readonly string[] },
  command: Command,
  flags: readonly Flag[],
): Promise<Settings> {
  const settings = await overlaid(defaults, options, command, flags);
  // Some losses of the DPO family want other numbers than DPO's own, unless those were given.
  const loss = (settings.dpo as Settings | undefined)?.loss as PreferenceLoss | undefined;
  const wanted = loss && LOSS_DEFAULTS[loss];
  if (!wanted || loss === (defaults.dpo as Settings).loss) return settings;
  return await overlaid(
    withSettings(defaults, { dpo: wanted }, `the defaults of loss ${loss}`),
    options,
    command,
    flags,
  );
}

async function overlaid(
  defaults: Settings,
  options: { config?: string; set: readonly string[] },
  command: Command,
  flags: readonly Flag[],
): Promise<Settings> {
  let settings = defaults;
  if (options.config !== undefined) {
    settings = withSettings(settings, ofRun(await readConfig(options.config), settings), options.config, choices);
  }
  for (const text of options.set) {
    settings = withSettings(settings, assignment(text, settings), `--set ${text}`, choices);
  }
  for (const { option, path } of flags) {
    if (command.getOptionValueSource(option) !== "cli") continue;
    settings = withSettings(settings, nested(path, command.getOptionValue(option)), `--${kebab(option)}`, choices);
  }
  return settings;
}

/** The config.json of a run, and what train prints, are config files too: without what a command cannot be told. */
function ofRun(config: unknown, settings: Settings): unknown {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return config;
  return Object.fromEntries(
    Object.entries(config).filter(([name]) => name in settings || !["recipe", "weights"].includes(name)),
  );
}

/** A setting may be named without its section where that leaves no doubt: the first that has the name, as for flags. */
function assignment(text: string, settings: Settings): Settings {
  const given = parseAssignment(text);
  const [[name, value]] = Object.entries(given);
  if (name in settings || text.slice(0, text.indexOf("=")).includes(".")) return given;
  const names = leafNames(settings);
  const path = names.find((path) => path.endsWith(`.${name}`));
  if (path === undefined) throw new Error(`Cannot read --set ${text}: "${name}" is no setting${hint(name, names)}`);
  return nested(path, value);
}

function nested(path: string, value: unknown): Settings {
  return path.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Settings;
}

function valueAt(settings: Settings, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], settings);
}

/** JSON is YAML too. */
export async function readConfig(path: string): Promise<unknown> {
  const text = await denoHost().readText(path);
  try {
    return parseYaml(text);
  } catch (error) {
    throw new Error(`Cannot read ${path}: neither JSON nor YAML (${(error as Error).message.split("\n")[0]})`);
  }
}
