/**
 * Settings of a run as plain data: defaults are an object of sections, and whatever comes from a file or the command line is
 * laid over them, checked against them. An unknown name, a value of another type or out of its range is one clear error.
 */
import { ACTIVATIONS, RECOMPUTE } from "../model/saving.ts";
import { editDistance } from "../trace/code_tokens.ts";

export type Value = number | string | boolean | null | readonly Value[];
export interface Settings {
  readonly [name: string]: Value | Settings;
}

/** Numbers that count something, from 1; those of the second list may be 0. All other numbers may be any. */
const COUNTS = new Set([
  ...["steps", "batchSize", "microBatch", "logEvery", "iterations", "epochs", "minibatches", "prompts", "groupSize"],
  ...["samples", "maxNewTokens", "sampleBatch", "maxPairsPerPrompt", "maxPerProblem", "rounds", "problems", "width"],
  ...["layers", "heads", "promptTokens", "codeTokens", "traceTokens", "attempts"],
]);
const FROM_ZERO = new Set(["seed", "warmup", "topK", "checkpointEvery", "rank", "shots", "evalProblems", "validation"]);

const FROM_0 = { holds: (value: number) => value >= 0, wanted: "a number from 0" };
/** What the other numbers may be, where nobody would say otherwise. */
const RANGES: Readonly<Record<string, { holds: (value: number) => boolean; wanted: string }>> = {
  topP: { holds: (value) => value > 0 && value <= 1, wanted: "above 0 and at most 1" },
  kappa: { holds: (value) => value >= 0 && value <= 1, wanted: "from 0 to 1" },
  temperature: FROM_0,
  learningRate: FROM_0,
  weightDecay: FROM_0,
};

/** Texts that are one of a list, by the name of the setting, with its section where two sections differ. */
export type Choices = Readonly<Record<string, readonly string[]>>;

export const CHOICES: Choices = {
  schedule: ["constant", "linear", "cosine"],
  recompute: RECOMPUTE,
  activations: ACTIVATIONS,
  moments: ["f32", "8bit"],
};

/** What a number of this name may be. */
export function numberKind(name: string): "any" | "from 0" | "from 1" {
  return COUNTS.has(name) ? "from 1" : FROM_ZERO.has(name) ? "from 0" : "any";
}

/**
 * `defaults` with `given` laid over it, both nested alike. Errors: `Cannot read run.yaml: "dpo.bta" is no setting; did you mean
 * "dpo.beta"?`, `Cannot read run.yaml: "dpo.beta" is "high", not a number`.
 */
export function withSettings<T extends object>(
  defaults: T,
  given: unknown,
  from: string,
  choices: Choices = CHOICES,
): T {
  const names = leafNames(defaults as unknown as Settings);
  const merge = (base: Settings, over: unknown, path: string): Settings => {
    if (!isObject(over)) throw new Error(`Cannot read ${from}: "${path}" is ${shown(over)}, not a group of settings`);
    const merged: Record<string, Value | Settings> = { ...base };
    for (const [name, value] of Object.entries(over)) {
      const full = path === "" ? name : `${path}.${name}`;
      if (!Object.hasOwn(base, name)) {
        throw new Error(`Cannot read ${from}: "${full}" is no setting${hint(full, names)}`);
      }
      const known = base[name];
      merged[name] = isObject(known)
        ? merge(known as Settings, value, full)
        : checked(known as Value, value, full, from, choices);
    }
    return merged;
  };
  if (given === undefined || given === null) return defaults;
  if (!isObject(given)) throw new Error(`Cannot read ${from}: it holds ${shown(given)}, not settings`);
  return merge(defaults as unknown as Settings, given, "") as T;
}

/** The nested object that `dpo.beta=0.2` names; the value is read as JSON where it is JSON, else as text. */
export function parseAssignment(text: string): Settings {
  const at = text.indexOf("=");
  if (at < 1) throw new Error(`Cannot read --set ${text}: expected name=value, as in dpo.beta=0.2`);
  const names = text.slice(0, at).trim().split(".");
  const written = text.slice(at + 1).trim();
  let value: Value | Settings;
  try {
    value = JSON.parse(written);
  } catch {
    value = written;
  }
  return names.reduceRight<Value | Settings>((inner, name) => ({ [name]: inner }), value) as Settings;
}

/** Dotted names of all settings, in their order. */
export function leafNames(settings: Settings, path = ""): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const full = path === "" ? name : `${path}.${name}`;
    return isObject(value) ? leafNames(value as Settings, full) : [full];
  });
}

/** The first setting in which the two differ, with both values as text; null if there is none. */
export function differing(known: Settings, wanted: Settings): { name: string; was: string; is: string } | null {
  const names = [...new Set([...leafNames(wanted), ...leafNames(known)])];
  const text = (record: Settings, name: string) =>
    JSON.stringify(
      name.split(".").reduce<unknown>((inner, part) => (inner as Record<string, unknown>)?.[part], record),
    ) ??
      "not set";
  const name = names.find((name) => text(known, name) !== text(wanted, name));
  return name === undefined ? null : { name, was: text(known, name), is: text(wanted, name) };
}

function checked(known: Value, value: unknown, name: string, from: string, choices: Choices): Value {
  const fail = (wanted: string) => new Error(`Cannot read ${from}: "${name}" is ${shown(value)}, not ${wanted}`);
  const last = name.split(".").at(-1)!;
  if (Array.isArray(known)) {
    const list = typeof value === "string" ? value.split(",").map((word) => word.trim()) : value;
    if (!Array.isArray(list) || list.some((item) => typeof item !== "string")) throw fail("a list of texts");
    return list;
  }
  if (typeof known === "boolean") {
    if (typeof value !== "boolean") throw fail("true or false");
    return value;
  }
  if (typeof known === "number") {
    if (typeof value !== "number" || !Number.isFinite(value)) throw fail("a number");
    const kind = numberKind(last);
    if (kind !== "any" && !(Number.isInteger(value) && value >= (kind === "from 0" ? 0 : 1))) {
      throw fail(`a whole number ${kind}`);
    }
    const range = RANGES[last];
    if (range && !range.holds(value)) throw fail(range.wanted);
    return value;
  }
  const allowed = choices[name] ?? choices[last];
  if (value === null && known === null) return null;
  if (known === null || typeof value !== "string") {
    if (known === null && typeof value === "number" && Number.isFinite(value)) return value;
    throw fail(known === null ? "a number or null" : "text");
  }
  if (allowed && !allowed.includes(value)) throw fail(`one of ${allowed.join(", ")}${hint(value, allowed)}`);
  return value;
}

/** `; did you mean "dpo.beta"?`, or nothing where no name is near. A name may be given without its section. */
export function hint(name: string, names: readonly string[]): string {
  const lower = name.toLowerCase();
  const last = lower.split(".").at(-1)!;
  const distance = (known: string) => {
    const whole = known.toLowerCase();
    const own = whole.split(".").at(-1)!;
    return Math.min(
      editDistance([...lower], [...whole]),
      editDistance([...last], [...own]) + (whole.startsWith(lower.split(".")[0]) ? 0 : 0.5),
    );
  };
  const nearest = [...names].map((known) => ({ known, far: distance(known) })).sort((a, b) => a.far - b.far)[0];
  return nearest && nearest.far <= Math.max(1.5, last.length / 3) ? `; did you mean "${nearest.known}"?` : "";
}

const shown = (value: unknown) => value === undefined ? "nothing" : JSON.stringify(value);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
