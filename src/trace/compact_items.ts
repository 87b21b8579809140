/** The events of a trace as the lines of the compact form (compact.ts), before anything is left out. */
import { type Crash, crashOf } from "./crash.ts";
import type { Trace, TraceEvent, TraceNote } from "./schema.ts";
import { functionName, indent, joinsLine, noteText, oneLine, quoted, toldUnwinding, variable } from "./serialize.ts";
import type { StatementTable } from "./statements.ts";

/** One line of text, made of one event or several. */
export interface Item {
  /** null: events that the engine left out */
  event: TraceEvent | null;
  /** 1-based line of the program */
  line: number;
  /** as `name=value` */
  states: [string, string][];
  /** name -> value before and after; null: there was or is none */
  changes: Map<string, [string | null, string | null]>;
  notes: TraceNote[];
  /** the return, yield or exception of this line */
  ends: TraceEvent[];
  /** how many events it stands for */
  events: number;
  lastStep: number;
  /** never left out */
  must: boolean;
}

export function compactItems(trace: Trace, statements?: StatementTable): Item[] {
  const items: Item[] = [];
  const frames = new Map<number, { states: Record<string, string>; item: Item | null }>();
  const crash = crashOf(trace);
  let previous: TraceEvent | undefined;
  for (const event of toldUnwinding(trace.events)) {
    const gap = event.step - (previous ? previous.step + 1 : 0);
    if (gap > 0) {
      items.push({ ...newItem(event, null), events: gap, lastStep: event.step - 1 });
      for (const frame of frames.values()) frame.item = null; // what changed meanwhile is no single line's doing
    }
    const item = place(event, previous);
    const { frame: id, variable_states: states, event_type: kind } = event;
    const frame = frames.get(id);
    if (states) {
      const owner = kind === "resume" ? null : frame?.item ?? null;
      for (const [name, change] of differences(frame?.states ?? {}, states)) {
        const before = owner?.changes.get(name);
        if (owner) owner.changes.set(name, before ? [before[0], change[1]] : change);
        else if (change[1] !== null) item.states.push([name, change[1]]);
        else item.changes.set(name, change);
      }
    }
    const runs = kind === "line" || kind === "call" || kind === "resume";
    frames.set(id, { states: states ?? frame?.states ?? {}, item: runs ? item : frame?.item ?? null });
    if (event.step === crash?.origin?.step) item.must = true;
    previous = event;
  }
  if (items.length > 0) items.at(-1)!.must = true;
  const gap = items.findLastIndex((item) => item.event === null);
  if (crash && !crash.origin && gap !== -1) items.splice(gap + 1, 0, causeInGap(trace, crash, items[gap + 1].event!));
  return items;

  /** The item the event is part of: a new one, or the last one. */
  function place(event: TraceEvent, previous: TraceEvent | undefined): Item {
    const last = items.at(-1);
    if (last?.event && previous && last.lastStep === event.step - 1) {
      const ends = event.event_type === "return" || event.event_type === "yield";
      const sameLine = previous.event_type === "line" && previous.frame === event.frame &&
        previous.line_number === event.line_number;
      const joins = joinsLine(event, previous) || (ends && sameLine);
      if (joins) last.ends.push(event);
      if (joins || (event.event_type === "unwind" && !event.error_info) || continues(event, previous)) {
        last.notes.push(...event.notes ?? []);
        last.events++;
        last.lastStep = event.step;
        return last;
      }
    }
    const item = newItem(event, event);
    item.line = statementOf(event)?.lines[0] ?? event.line_number;
    items.push(item);
    return item;
  }

  /** A further line of the multi-line simple statement that the frame was in. */
  function continues(event: TraceEvent, previous: TraceEvent): boolean {
    const statement = statementOf(event);
    return statement !== null && previous.frame === event.frame && statementOf(previous) === statement;
  }

  function statementOf(event: TraceEvent) {
    if (event.event_type !== "line" || !statements) return null;
    const owners = statements.onLine.get(event.line_number) ?? [];
    const statement = owners.length === 1 ? statements.statements[owners[0]] : null;
    return statement && !statement.compound && statement.lines.length > 1 ? statement : null;
  }
}

/** The line that raised the error, in place of its event among those that the engine left out. */
function causeInGap(trace: Trace, crash: Crash, next: TraceEvent): Item {
  const left = trace.events.findLast(({ error_info }) => error_info)!;
  const line: TraceEvent = { ...next, event_type: "line", line_number: crash.line, step: next.step - 1 };
  return { ...newItem(line, line), notes: [], ends: [left], events: 0, must: true };
}

function newItem(at: TraceEvent, event: TraceEvent | null): Item {
  const notes = [...event?.notes ?? []];
  const changes = new Map();
  const base = { states: [], changes, notes, ends: [], events: 1, must: false };
  return { event, line: at.line_number, lastStep: at.step, ...base };
}

function differences(before: Record<string, string>, after: Record<string, string>) {
  const out: [string, [string | null, string | null]][] = [];
  for (const [name, text] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : null;
    if (old !== text) out.push([name, [old, text]]);
  }
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) out.push([name, [before[name], null]]);
  return out;
}

/**
 * Two items of one key are the same step of a program: line, kind and what ended it, whatever the values. Nor does depth
 * count: a function that calls itself turns in a cycle too.
 */
export function itemKey({ event, line, ends }: Item): string {
  if (!event) return ""; // no gap is like another
  return [event.event_type, line, event.function, ...ends.map((end) => end.event_type)].join(" ");
}

/** The item as text, every value in it cut to `cap` characters. */
export function itemText({ event, line, states, changes, notes, ends, events }: Item, cap: number): string {
  if (!event) return `… ${events} events omitted …`;
  const value = (text: string) => oneLine(cut(text, cap));
  const kind = event.event_type;
  const nested = (kind === "call" && event.depth > 0) || kind === "resume";
  const label = kind === "line" || event.error_info ? "" : ` ${kind}${nested ? ` ${functionName(event)}` : ""}:`;
  const given = states.map(([name, text]) => `${variable(name)}=${value(text)}`).join(", ");
  const changed = [...changes].map(([name, [before, after]]) => {
    if (after === null) return `del ${variable(name)}`;
    return before === null
      ? `${variable(name)}=${value(after)}`
      : `${variable(name)}: ${value(before)}→${value(after)}`;
  });
  const ended = (end: TraceEvent) => {
    if (!end.error_info) return value(end.value ?? "");
    return `${variable(end.error_info.error_type)}(${quoted(cut(end.error_info.error_message, cap))})`;
  };
  const parts = [
    kind === "line" && given ? `state: ${given}` : given,
    changed.join(", "),
    ...notes.map((note) => noteText({ ...note, text: cut(note.text, cap) })),
    ...(event.error_info ? [`EXCEPTION: ${ended(event)} propagated`] : []),
    ...(kind === "return" || kind === "yield" ? [ended(event)] : []),
    ...ends.map((end) => `${end.event_type === "exception" ? "EXCEPTION" : end.event_type}: ${ended(end)}`),
  ];
  return `${indent(event)}[L${line}]${label} ${parts.filter((part) => part !== "").join(" | ")}`.trimEnd();
}

/** At most `cap` characters, the last of them `…` where something is cut. */
export function cut(text: string, cap: number): string {
  if (text.length <= cap) return text;
  const characters = [...text];
  return characters.length <= cap ? text : `${characters.slice(0, cap - 1).join("")}…`;
}
