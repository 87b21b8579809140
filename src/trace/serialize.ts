/**
 * A traced program as the text a model reads, in the method's format. parse_text.ts reads it back.
 *
 * A line shows the state before it runs. Notes on a line follow after ` | `; an exception raised by the line just
 * printed, in the same frame, joins it, and any later frame it passes prints `exception: … propagated`, as does its own
 * frame if it got on to other lines first (finally, with, an except clause that raised again). Else the unwinding of a
 * frame prints nothing. Deeper calls are indented by two spaces a level, up to eight levels. What the engine left out
 * is a line of its own. Whatever a program put into names and values, an event is one line: control characters are
 * escaped, and a name that no Python text can hold stands in double quotes.
 */
import type { ErrorInfo, ProgramResult, TraceEvent, TraceNote } from "./schema.ts";

/** What the text form says of one traced test. */
export interface TraceDocument {
  problem: string;
  program: string;
  /** the call, or `loading the program` */
  test: string;
  events: TraceEvent[];
  /** line events after which recording stopped; null: it went on to the end */
  stopped: number | null;
  /** why there are no events: the program did not come to run */
  error: ErrorInfo | null;
  /** null leaves the result out */
  outcome: "PASS" | "FAIL" | null;
}

/**
 * The problem, the numbered program, one test's execution line by line and its result; ends in a `---` line.
 *
 * `outcome: false` leaves the result out, for reward models that must not read the label. The program is printed
 * without its trailing blank lines.
 */
export function traceText(
  problemText: string,
  program: string,
  result: ProgramResult,
  options: { outcome?: boolean } = {},
): string {
  return formatTrace(traceDocument(problemText, program, result, options));
}

/** The content of the text form, taken from a result. */
export function traceDocument(
  problem: string,
  program: string,
  result: ProgramResult,
  options: { outcome?: boolean } = {},
): TraceDocument {
  const test = result.tests[result.traceTest ?? result.tests.findIndex((test) => test.outcome !== "PASS")];
  const { trace } = result;
  return {
    problem,
    program,
    test: result.stage === "run" && test ? test.source : "loading the program",
    events: trace?.events ?? [],
    stopped: trace?.truncated === "steps" ? trace.steps : null,
    error: trace ? null : result.error ?? null,
    outcome: options.outcome ?? true ? outcomeOf(result) : null,
  };
}

/** Of the traced test; of the whole program if none was traced. */
export function outcomeOf(result: ProgramResult): "PASS" | "FAIL" {
  const passed = result.traceTest === undefined ? result.passed : result.tests[result.traceTest]?.outcome === "PASS";
  return passed ? "PASS" : "FAIL";
}

export function formatTrace(document: TraceDocument): string {
  const lines = [`Problem: ${quoted(document.problem)}`, "Generated Code:"];
  // Python ends a line at each of the three, so these are the numbers its events have.
  document.program.trimEnd().split(/\r\n|\r|\n/).forEach((line, index) => lines.push(`${index + 1}: ${line}`));
  lines.push("", `Test Case: ${oneLine(document.test)}`, "Execution Trace:");
  lines.push(...eventLines(document.events));
  if (document.stopped !== null) lines.push(`... stopped after ${document.stopped} lines ...`);
  if (document.error) lines.push(loadErrorLine(document.error));
  if (document.outcome) lines.push(`Test Result: ${document.outcome}`);
  lines.push("---");
  return lines.map((line) => line.trimEnd() + "\n").join("");
}

/** The one event of a program that did not load. */
export function loadErrorLine({ type, message, line }: ErrorInfo): string {
  return `[L${line ?? "?"}] exception: ${raised(type, message)}`;
}

/** One line of text per event; an exception joins the line that raised it. */
function eventLines(events: readonly TraceEvent[]): string[] {
  const out: string[] = [];
  let previous: TraceEvent | undefined;
  let omitted = 0;
  const tellOmitted = () => {
    if (omitted > 0) out.push(`... ${omitted} events omitted ...`);
    omitted = 0;
  };
  for (const event of toldUnwinding(events)) {
    omitted += event.step - (previous ? previous.step + 1 : 0);
    if (joinsLine(event, previous)) {
      const parts = [content(previous!), `EXCEPTION: ${errorText(event)}`];
      out[out.length - 1] = head(previous!) + parts.filter((part) => part !== "").join(" | ");
    } else if (event.event_type !== "unwind" || event.error_info) {
      tellOmitted();
      out.push(head(event) + content(event));
    }
    previous = event;
  }
  tellOmitted();
  return out;
}

/**
 * The events, with the exception on those unwindings of a frame that do not follow from the event before: Python reports
 * no exception where one goes on after a `finally`, or is raised again by a bare `raise`.
 */
export function toldUnwinding(events: readonly TraceEvent[]): TraceEvent[] {
  const last = new Map<number, TraceEvent>(); // of every frame
  const errors = new Map<number, TraceEvent["error_info"]>();
  return events.map((event) => {
    const { event_type, frame, error_info } = event;
    const known = last.get(frame)?.event_type !== "exception" && errors.get(frame);
    if (error_info?.handled) errors.delete(frame);
    else if (error_info) errors.set(frame, error_info);
    last.set(frame, event);
    return event_type === "unwind" && known ? { ...event, error_info: known } : event;
  });
}

/** An exception right after a line event of the same frame: that line raised it. */
export function joinsLine(event: TraceEvent, previous: TraceEvent | undefined): boolean {
  return event.event_type === "exception" && previous?.event_type === "line" && previous.frame === event.frame &&
    event.step === previous.step + 1;
}

function head(event: TraceEvent): string {
  const nested = event.depth > 0 && (event.event_type === "call" || event.event_type === "resume");
  const named = nested || event.event_type === "resume";
  const kind = event.event_type === "unwind" ? "exception" : event.event_type;
  const name = named ? `${kind} ${functionName(event)}` : kind;
  return `${indent(event)}[L${event.line_number}] ${name}: `;
}

/** Two spaces a level, up to eight levels. */
export function indent(event: TraceEvent): string {
  return "  ".repeat(Math.min(event.depth, 8));
}

function content(event: TraceEvent): string {
  if (event.error_info) return `${errorText(event)} propagated`;
  if (event.value !== undefined) return oneLine(event.value);
  const states = Object.entries(event.variable_states ?? {}).map(([name, text]) =>
    `${variable(name)}=${oneLine(text)}`
  );
  return [states.join(", "), ...(event.notes ?? []).map(noteText)].filter((part) => part !== "").join(" | ");
}

export function noteText(note: TraceNote): string {
  switch (note.kind) {
    case "condition":
      return `Condition (${oneLine(note.text)}) is ${note.value ? "True" : "False"}`;
    case "returning":
      return `Returning ${oneLine(note.text)}`;
    case "yielding":
      return `Yielding ${oneLine(note.text)}`;
    case "stdout":
      return `Printed ${quoted(note.text)}`;
  }
}

/** `Type("message")` of an exception event. */
export function errorText(event: TraceEvent): string {
  const { error_type, error_message } = event.error_info!;
  return raised(error_type, error_message);
}

function raised(type: string, message: string): string {
  return `${variable(type)}(${quoted(message)})`;
}

const identifier = /^[\p{L}_][\p{L}\p{N}_]*$/u;

/** A name as it is, or in quotes if Python's grammar does not know it: `globals()["a b"] = 1` is possible. */
export function variable(name: string): string {
  return identifier.test(name) ? name : quoted(name);
}

/** As variable(), for qualified names, which may hold dots, angle brackets and inner spaces. */
export function functionName({ function: name }: TraceEvent): string {
  return /^[^\s:"\p{Cc}](?:[^:"\p{Cc}]*[^\s:"\p{Cc}])?$/u.test(name) ? name : quoted(name);
}

const lineBreaking = /[\p{Cc}\u2028\u2029]/gu;
const escapes: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Without control characters and line separators. */
export function oneLine(text: string): string {
  return text.replace(
    lineBreaking,
    (found) => escapes[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** In double quotes, on one line. */
export function quoted(text: string): string {
  return `"${oneLine(text.replace(/["\\]/g, (found) => escapes[found]))}"`;
}
