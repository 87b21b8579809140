/**
 * Where two runs of the same test part: their value-change streams side by side.
 *
 * A stream has one entry for every new value a variable takes, with its name and the line that made it (the last line of
 * that frame: a line event shows the state before its line runs), then the returned value or the exception that left
 * the call. Values a frame was called with are left out, as in the streams the tracer collects itself (agreement.ts).
 */
import type { Trace, TraceEvent } from "./schema.ts";

/** Longer values are cut, as in the tracer's own streams. */
const maxValueChars = 80;

export interface ValueChange {
  /** null for the returned value (`R:…`) and the exception (`X:…`) at the end */
  name: string | null;
  value: string;
  /** 1-based; the line that made the value */
  line: number;
  /** the event of that line */
  step: number;
}

export interface ValueStream {
  changes: ValueChange[];
  /**
   * How the run ended: it returned, an exception left it, or neither was seen (out of steps, killed). `gap`: events or
   * values were left out, and the stream ends before them, since nothing after can be placed.
   */
  end: "return" | "exception" | "open" | "gap";
  /** the last line that ran, and its event; null: none did */
  last: { line: number; step: number } | null;
}

/** The value changes of a run, in order, up to the first gap in its events. */
export function valueStream(trace: Trace): ValueStream {
  const frames = new Map<number, { states: Record<string, string>; given: Set<string>; line: TraceEvent }>();
  const changes: ValueChange[] = [];
  const lines = trace.events.filter((event) => event.event_type === "line");
  const last = lines.length > 0 ? { line: lines.at(-1)!.line_number, step: lines.at(-1)!.step } : null;
  let end: ValueStream["end"] = "open";
  let error: TraceEvent | undefined;
  let expected = 0;
  for (const event of trace.events) {
    const { frame: id, variable_states: states, event_type: kind } = event;
    const frame = frames.get(id);
    const blind = states === undefined && (kind === "line" || kind === "call" || kind === "resume");
    if (event.step !== expected++ || blind || (!frame && kind !== "call")) return { changes, end: "gap", last };
    if (kind === "call") frames.set(id, { states: states!, given: new Set(Object.values(states!)), line: event });
    else if (frame) {
      if (states && kind !== "resume") {
        for (const [name, text] of Object.entries(states)) {
          if (frame.states[name] === text || frame.given.has(text)) continue;
          const { line_number: line, step } = frame.line;
          changes.push({ name, value: cut(text), line, step });
        }
        frame.states = states;
      }
      if (kind === "line") frame.line = event;
      if (kind === "exception") error = event;
      if (event.depth === 0 && (kind === "return" || kind === "unwind" && error)) {
        const value = kind === "return" ? `R:${event.value}` : `X:${error!.error_info!.error_type}`;
        changes.push({ name: null, value: cut(value), line: event.line_number, step: event.step });
        end = kind === "return" ? "return" : "exception";
      }
    }
  }
  return { changes, end, last };
}

function cut(text: string): string {
  return text.length <= maxValueChars ? text : [...text].slice(0, maxValueChars).join("");
}

export interface Divergence {
  /**
   * `value`: the candidate's line made another value than the sibling's. `end`: all its values agree, but it crashed or
   * ran out of steps. `unknown`: they agree as far as both are known, and one of them has a gap there.
   */
  kind: "value" | "end" | "unknown";
  /** of `value`: the line that made the value; of `end`: the last line that ran, if any; null of `unknown` */
  line: number | null;
  /** the event of that line */
  step: number | null;
  /** what each made there; null: nothing, it had ended */
  candidate: string | null;
  sibling: string | null;
}

/**
 * The first value that the candidate makes and its passing sibling, on the same test, does not; null if there is none.
 *
 * If there are names under which both make values, only those names are compared, else values under all names. (Of the
 * names that merely occur in both programs, parameters would always be some, and would hide everything where the
 * programs name their own variables differently.) Returned values always count. An exception is no value.
 */
export function firstDivergence(candidate: Trace, sibling: Trace): Divergence | null {
  const [own, other] = [valueStream(candidate), valueStream(sibling)];
  const named = (stream: ValueStream) =>
    new Set(stream.changes.map(({ name }) => name).filter((name) => name !== null));
  const common = named(own).intersection(named(other));
  const restricted = ({ changes }: ValueStream) =>
    common.size === 0 ? changes : changes.filter(({ name }) => name === null || common.has(name));
  const [mine, theirs] = [restricted(own), restricted(other)];
  let at = 0;
  while (at < mine.length && at < theirs.length && mine[at].value === theirs[at].value) at++;
  const made: ValueChange | undefined = mine[at];
  const values = { candidate: made?.value ?? null, sibling: theirs[at]?.value ?? null };
  if (!made && !theirs[at] && own.end !== "gap" && own.end === other.end) return own.end === "open" ? ending() : null;
  // It crashed, or nothing follows: where all its values agree, what the sibling did later is no matter.
  if (made ? made.name === null && own.end === "exception" : own.end !== "gap") return ending();
  if (!made || (!theirs[at] && other.end === "gap")) {
    return { kind: "unknown", line: null, step: null, ...values };
  }
  return { kind: "value", line: made.line, step: made.step, ...values };

  function ending(): Divergence {
    return { kind: "end", line: own.last?.line ?? null, step: own.last?.step ?? null, ...values };
  }
}
