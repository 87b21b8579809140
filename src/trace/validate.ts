/** Checks that JSON from outside is a trace of schema.ts, key by key. Unknown keys are errors: they mean another schema. */
import type { Trace } from "./schema.ts";

/** Throws an Error whose message begins with `path`, unless the value is as it should be. */
export type Check = (value: unknown, path: string) => void;

function check(wanted: string, holds: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (!holds(value)) throw new Error(`${path} is ${shown(value)}, not ${wanted}`);
  };
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

const whole = (least: number) => (value: unknown) => Number.isSafeInteger(value) && value as number >= least;
export const string = check("a string", (value) => typeof value === "string");
export const flag = check("true or false", (value) => typeof value === "boolean");
export const count = check("a whole number of 0 or more", whole(0));
export const lineNumber = check("a line number of 1 or more", whole(1));
export const oneOf = (...values: unknown[]) =>
  check(`one of ${JSON.stringify(values)}`, (value) => values.includes(value));
const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

export function nullable(inner: Check): Check {
  return (value, path) => value === null || inner(value, path);
}

export function listOf(inner: Check): Check {
  return (value, path) => {
    check("a list", Array.isArray)(value, path);
    (value as unknown[]).forEach((item, index) => inner(item, `${path}[${index}]`));
  };
}

/** All of `required`, any of `optional`, and nothing else. */
export function object(required: Record<string, Check>, optional: Record<string, Check> = {}): Check {
  return (value, path) => {
    check("an object", isObject)(value, path);
    const fields = value as Record<string, unknown>;
    for (const [key, inner] of Object.entries(required)) inner(own(fields, key), `${path}.${key}`);
    for (const [key, inner] of Object.entries(optional)) {
      if (own(fields, key) !== undefined) inner(fields[key], `${path}.${key}`);
    }
    const unknown = Object.keys(fields).find((key) => !Object.hasOwn(required, key) && !Object.hasOwn(optional, key));
    if (unknown !== undefined) throw new Error(`${path} has the unknown key ${JSON.stringify(unknown)}`);
  };
}

const own = (fields: Record<string, unknown>, key: string) => Object.hasOwn(fields, key) ? fields[key] : undefined;

const texts: Check = (value, path) => {
  check("an object", isObject)(value, path);
  for (const [name, text] of Object.entries(value as object)) string(text, `${path}[${JSON.stringify(name)}]`);
};

const source = (kind: string) => object({ kind: oneOf(kind), text: string });
const notes: Record<string, Check> = {
  condition: object({ kind: string, text: string, value: flag }),
  returning: source("returning"),
  yielding: source("yielding"),
  stdout: source("stdout"),
};
const note: Check = (value, path) => {
  check("an object", isObject)(value, path);
  const { kind } = value as { kind: string };
  oneOf(...Object.keys(notes))(kind, `${path}.kind`);
  notes[kind](value, path);
};

const error = object({
  error_type: string,
  error_message: string,
  traceback: listOf(object({ line_number: lineNumber, function: string })),
  origin: flag,
  handled: flag,
}, { external: string });

const eventFields = object({
  line_number: lineNumber,
  event_type: oneOf("line", "call", "return", "exception", "yield", "resume", "unwind"),
  step: count,
  frame: count,
  depth: count,
  function: string,
}, { variable_states: texts, error_info: error, value: string, notes: listOf(note) });

/** The one place where a kind of event decides on its fields: what an exception was, what was returned or yielded. */
const event: Check = (value, path) => {
  eventFields(value, path);
  const { event_type: kind, error_info, value: result } = value as Trace["events"][number];
  const belongs = (key: string, present: boolean, expected: boolean) => {
    if (present !== expected) {
      throw new Error(`${path}.${key} is ${present ? "present on" : "missing from"} an event of type "${kind}"`);
    }
  };
  belongs("error_info", error_info !== undefined, kind === "exception");
  belongs("value", result !== undefined, kind === "return" || kind === "yield");
};

const stepsAscend: Check = (value, path) => {
  const { events } = value as Trace;
  events.forEach(({ step }, index) => {
    if (index > 0 && step <= events[index - 1].step) {
      const before = events[index - 1].step;
      throw new Error(`${path}.events[${index}].step is ${step}, not more than the one before, ${before}`);
    }
  });
};

const fields = {
  events: listOf(event),
  dropped: count,
  truncated: oneOf(null, "events", "bytes", "steps", "recursion"),
  steps: count,
  frames: count,
  max_depth: count,
  lines_covered: listOf(lineNumber),
};

export const origin = nullable(object({ line_number: lineNumber, error_type: string, error_message: string }));

const both = (first: Check, second: Check): Check => (value, path) => {
  first(value, path);
  second(value, path);
};

export const trace = both(object({ ...fields, origin }), stepsAscend);
export const traceWithoutOrigin = both(object(fields), stepsAscend);

/** The value itself, if it is a trace. Error: `Cannot read the trace: trace.events[3].line_number is "x", not …`. */
export function parseTrace(json: unknown): Trace {
  try {
    trace(json, "trace");
  } catch (error) {
    throw new Error(`Cannot read the trace: ${(error as Error).message}`);
  }
  return json as Trace;
}
