// Traces leave Python as short arrays with only what changed; here they become the public form.

import type { Trace, TraceEvent, TraceNote } from "./schema.ts";

export interface WireError {
  type: string;
  message: string;
  origin: boolean;
  handled: boolean;
  traceback: [number, string][];
  external?: string;
}
/** [kind, line, frame, depth, changed, value or error, notes, step, function] */
export type WireEvent = [
  number,
  number,
  number,
  number,
  Record<string, string | null> | null,
  string | WireError | null,
  [string, string, boolean?][] | null,
  number,
  string,
];
export interface WireTrace extends Omit<Trace, "events" | "origin"> {
  events: WireEvent[];
  origin: [number, string, string] | null;
}

const kinds = ["line", "call", "return", "exception", "yield", "resume", "unwind"] as const;
const noteKinds: Record<string, TraceNote["kind"]> = {
  c: "condition",
  r: "returning",
  y: "yielding",
  o: "stdout",
};

export function expandTrace(wire: WireTrace): Trace {
  const frames = new Map<number, Map<string, string>>();
  let previous = -1;
  const events = wire.events.map((row): TraceEvent => {
    const [kind, line, frame, depth, changed, arg, notes, step, name] = row;
    if (step !== previous + 1) frames.clear();
    previous = step;
    const event: TraceEvent = {
      line_number: line,
      event_type: kinds[kind],
      step,
      frame,
      depth,
      function: name,
    };
    if (changed) {
      const states = new Map(frames.get(frame));
      for (const [key, text] of Object.entries(changed)) {
        if (text === null) states.delete(key);
        else states.set(key, text);
      }
      frames.set(frame, states);
      event.variable_states = Object.fromEntries(states);
    }
    if (typeof arg === "string") event.value = arg;
    else if (arg) {
      event.error_info = {
        error_type: arg.type,
        error_message: arg.message,
        traceback: arg.traceback.map(([line_number, function_]) => ({ line_number, function: function_ })),
        origin: arg.origin,
        handled: arg.handled,
        ...(arg.external ? { external: arg.external } : {}),
      };
    }
    if (notes) {
      event.notes = notes.map(([kind, text, value]) => {
        const name = noteKinds[kind];
        return name === "condition" ? { kind: name, text, value: value! } : { kind: name, text };
      });
    }
    return event;
  });
  const { origin } = wire;
  return {
    ...wire,
    events,
    origin: origin && { line_number: origin[0], error_type: origin[1], error_message: origin[2] },
  };
}
