/** Command-line flags from a recipe's defaults: `learningRate: 1e-3` becomes `--learning-rate <number>`. */
import { ACTIVATIONS, RECOMPUTE } from "../mod.ts";
import { type Command, InvalidArgumentError, Option } from "commander";

type Value = number | string | boolean;

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("not a number.");
  return value;
}

export function parseCount(text: string): number {
  const value = parseNumber(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("not a whole number from 0.");
  return value;
}

export function parsePositive(text: string): number {
  const value = parseCount(text);
  if (value < 1) throw new InvalidArgumentError("not a whole number from 1.");
  return value;
}

export function parseGigabytes(text: string): number {
  const value = parseNumber(text);
  if (value <= 0) throw new InvalidArgumentError("not a number above 0.");
  return value;
}

/** Fields that take fractions; all other numbers count something. */
const FRACTIONS = new Set([
  "learningRate",
  "weightDecay",
  "maxGradNorm",
  "beta",
  "alpha",
  "labelSmoothing",
  "temperature",
  "topP",
]);
/** Counts that may be 0. */
const FROM_ZERO = new Set(["seed", "warmup", "topK", "checkpointEvery"]);
const CHOICES: Record<string, readonly string[]> = {
  schedule: ["constant", "linear", "cosine"],
  recompute: RECOMPUTE,
  activations: ACTIVATIONS,
  moments: ["f32", "8bit"],
};

/** Adds one flag per field, typed and defaulted by its value; `help` says what each is for. */
export function addOptions<T extends object>(
  command: Command,
  defaults: T,
  help: Partial<Record<keyof T, string>>,
): void {
  for (const [name, value] of Object.entries(defaults) as [string, Value][]) {
    const text = help[name as keyof T];
    if (text === undefined) continue; // a field that other flags decide
    if (typeof value === "boolean") command.option(`--${kebab(name)}`, text, value);
    else {
      const option = new Option(`--${kebab(name)} <${typeof value === "number" ? "n" : "text"}>`, text).default(value);
      if (typeof value === "number") {
        option.argParser(FRACTIONS.has(name) ? parseNumber : FROM_ZERO.has(name) ? parseCount : parsePositive);
      }
      if (name in CHOICES) option.choices(CHOICES[name]);
      command.addOption(option);
    }
  }
}

/** The fields of `defaults` as given on the command line. */
export function readOptions<T extends object>(options: Record<string, unknown>, defaults: T): T {
  const picked = Object.keys(defaults).filter((name) => options[name] !== undefined);
  return { ...defaults, ...Object.fromEntries(picked.map((name) => [name, options[name]])) };
}
