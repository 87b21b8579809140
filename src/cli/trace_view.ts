/** The trace as a teacher would show it: the numbered program, what each line did, the verdict. For terminals only. */
import type { ErrorInfo, ProgramResult, TestResult, TraceEvent, TraceNote } from "../mod.ts";
import { fit, paint, type Span, span, type Style, widthOf, wrap } from "./trace_style.ts";

export interface ViewOptions {
  /** Width of the terminal in columns. */
  columns: number;
  colour: boolean;
  /** Set where nothing was expected: what the program did with the value it came to. */
  unjudged?: "returned" | "printed";
}

const SOURCE_FROM = 96; // columns at which the source stands beside the events
const SOURCE_SHARE = 0.4;
const MAX_DEPTH = 8; // deeper calls are not indented further, as in the text form
const MAX_TESTS = 40;

/** Program, trace and verdict; lines without a trailing newline. */
export function traceView(title: string, program: string, result: ProgramResult, options: ViewOptions): string {
  const source = program.trimEnd().split("\n");
  const test = result.traceTest === undefined ? undefined : result.tests[result.traceTest];
  const error = test ? test.error : result.error;
  const lines: Span[][] = [[span(title, "bold")], [], ...programLines(source, result, error), []];
  if (result.trace) {
    const number = result.tests.length > 1 && test ? `Test ${test.index + 1} of ${result.tests.length}: ` : "";
    lines.push([span(number), span(test?.source ?? "Loading the program", "bold")], []);
    lines.push(...eventLines(source, result, options), []);
  }
  lines.push(verdictLine(result, test, options.unjudged));
  return lines.map((line) => paint(line, options.colour)).join("\n");
}

/** Every line with its number: lines that never ran are dim, the line that raised the error carries it. */
function programLines(source: string[], result: ProgramResult, error?: ErrorInfo): Span[][] {
  const digits = String(source.length).length;
  const covered = linesOf(result);
  return source.flatMap((text, index) => {
    const number = index + 1;
    const failed = number === error?.line;
    const ran = !result.trace || covered.has(number) || failed;
    const shown = [
      span(failed ? " ✗ " : "   ", "red"),
      span(String(number).padStart(digits), failed ? "red" : "dim"),
      ran ? span(`  ${text}`) : span(`  ${text}`, "dim"),
    ];
    const indent = " ".repeat(digits + 5) + text.match(/^[ \t]*/)![0];
    return failed ? [shown, [span(indent), span(`${error!.type}: ${error!.message}`, "red")]] : [shown];
  });
}

/** Lines that ran, and those of the functions called. */
function linesOf({ trace }: ProgramResult): Set<number> {
  return new Set([...trace?.lines_covered ?? [], ...(trace?.events ?? []).map((event) => event.line_number)]);
}

/** Columns: line, source where there is room, event, state and what the line did. */
function eventLines(source: string[], result: ProgramResult, { columns, colour }: ViewOptions): Span[][] {
  const trace = result.trace!;
  const digits = String(source.length).length;
  const longest = Math.max(0, ...[...linesOf(result)].map((line) => widthOf([span(source[line - 1] ?? "")])));
  const beside = columns >= SOURCE_FROM ? Math.min(longest, Math.floor(columns * SOURCE_SHARE)) : 0;
  const states = new Map<number, State>();
  const out: Span[][] = [];
  for (const event of shownEvents(trace)) {
    if (typeof event === "string") {
      out.push([span(`      ${event}`, "dim")]);
      continue;
    }
    const indent = "  ".repeat(Math.min(event.depth, MAX_DEPTH));
    const failed = event.event_type === "exception";
    const text = failed || event.event_type === "return" ? "" : source[event.line_number - 1] ?? "";
    const head = [
      span(event.error_info?.origin ? " ✗ " : "   ", "red"),
      span(String(event.line_number).padStart(digits) + "  ", failed ? "red" : "dim"),
      ...(beside > 0 ? [fit(span(text), beside), span("  ")] : []),
      span(indent),
      ...eventName(event),
    ];
    const used = widthOf(head);
    const room = Math.max(24, columns - used - 1);
    const [first, ...rest] = wrap(eventBody(event, states.get(event.frame), room, colour), room);
    if (event.variable_states) states.set(event.frame, event.variable_states);
    out.push([...head, ...first], ...rest.map((line) => [span(" ".repeat(used)), ...line]));
  }
  return out;
}

/**
 * The events that are shown, and words in place of others: what the engine left out, and of the calls an exception
 * passes on its way up all but the first and the last.
 */
function* shownEvents(trace: NonNullable<ProgramResult["trace"]>): Generator<TraceEvent | string> {
  let next = 0;
  let passed: TraceEvent[] = []; // by an exception that nobody caught yet
  function* flush() {
    if (passed.length <= 4) yield* passed;
    else {
      const [first, last] = [passed[0], passed.at(-1)!];
      yield* [first, `… through ${first.depth - last.depth - 1} more calls …`, last];
    }
    passed = [];
  }
  for (const event of trace.events) {
    const { step, event_type: type, error_info: error, variable_states: state } = event;
    if (type === "call" && !state) continue; // so deep that the engine kept nothing else of it
    const left = step - next;
    next = step + 1;
    const passes = type === "exception" && !error!.origin && !error!.handled;
    if (passed.length === 0 || !(passes || type === "unwind")) {
      yield* flush();
      if (left > 0) yield `… ${left} event${left === 1 ? "" : "s"} left out …`;
    }
    if (passes) passed.push(event);
    else if (type !== "unwind") yield event; // an unwinding frame ends by the exception above
  }
  yield* flush();
  if (trace.truncated === "steps") yield `… tracing stopped after ${trace.steps} lines …`;
}

type State = Record<string, string>;
const gap = span("  ");

const eventStyles: Record<TraceEvent["event_type"], Style> = {
  line: "dim",
  call: "cyan",
  return: "blue",
  exception: "red",
  yield: "blue",
  resume: "cyan",
  unwind: "red",
};

function eventName(event: TraceEvent): Span[] {
  const name = event.event_type === "exception" ? (event.error_info!.origin ? "raise" : "raised") : event.event_type;
  const called = event.event_type === "call" || event.event_type === "resume";
  const whose = called && (event.depth > 0 || event.event_type === "resume")
    ? [span(`${event.function}  `, "cyan")]
    : [];
  return [span(`${name.padEnd(6)}  `, eventStyles[event.event_type]), ...whose];
}

function eventBody(event: TraceEvent, before: State | undefined, room: number, colour: boolean): Span[] {
  const { error_info: error, value, variable_states: state = {} } = event;
  if (error) {
    const where = error.external ? [span(`  in ${error.external}`, "dim")] : [];
    const caught = error.handled ? [span("  caught here", "yellow")] : [];
    return [span(`${error.error_type}: ${error.error_message}`, "red", "bold"), ...where, ...caught];
  }
  if (value !== undefined) return [span(value, "bold")];
  const notes = (event.notes ?? []).flatMap(noteSpans);
  const variables = stateSpans(state, before, room - widthOf(notes) - 3, colour);
  return variables.length > 0 && notes.length > 0 ? [...variables, span("   "), ...notes] : [...variables, ...notes];
}

/** The variables, changed ones bright. Where not all fit on the line, unchanged ones are left out, newest first. */
function stateSpans(state: State, before: State | undefined, room: number, colour: boolean): Span[] {
  const all = Object.entries(state).map(([name, text]) => {
    const changed = before !== undefined && before[name] !== text;
    const styles: Style[] = changed ? ["yellow", "bold"] : before ? ["dim"] : [];
    // Without colours a star says what changed.
    return { changed, shown: span(`${changed && !colour ? "*" : ""}${name}=${text}`, ...styles) };
  });
  const kept = [...all];
  const row = () => kept.flatMap(({ shown }, index) => index > 0 ? [gap, shown] : [shown]);
  while (before && widthOf(row()) > room) {
    const last = kept.findLastIndex(({ changed }) => !changed);
    if (last < 0) break;
    kept.splice(last, 1);
  }
  if (kept.length === all.length) return row();
  return [...row(), ...(kept.length > 0 ? [gap] : []), span("…", "dim")];
}

function noteSpans(note: TraceNote, index: number): Span[] {
  const before = index > 0 ? [gap] : [];
  switch (note.kind) {
    case "condition":
      return [...before, span(`${note.text} is `), note.value ? span("True", "green") : span("False", "red")];
    case "returning":
    case "yielding":
      return []; // the event that follows has the value, the source line the text
    case "stdout":
      return [...before, span(`prints "${note.text}"`, "magenta")];
  }
}

/** PASS or FAIL and why, in one line. */
function verdictLine(result: ProgramResult, test: TestResult | undefined, unjudged?: string): Span[] {
  const passed = test ? test.outcome === "PASS" : result.passed;
  if (passed && unjudged) return [span(`${unjudged} `, "dim"), span(test?.actual ?? "", "bold")];
  if (passed) return [span("PASS", "green", "bold")];
  const reason = test ? testReason(test) : result.verdict + (result.error ? `: ${errorText(result.error)}` : "");
  return [span("FAIL", "red", "bold"), span(`  ${reason}`)];
}

/** The verdict of every test with expected and actual values; many tests are cut down to those that failed. */
export function testsView(result: ProgramResult, options: { colour: boolean }): string {
  const { tests, testsPassed, testsTotal } = result;
  const chosen = tests.length <= MAX_TESTS ? tests : tests.filter((test) => test.outcome !== "PASS");
  const shown = chosen.slice(0, MAX_TESTS);
  const digits = String(tests.length).length;
  const lines = shown.map((test) => {
    const [sign, style]: [string, Style] = test.outcome === "PASS"
      ? ["✓", "green"]
      : test.outcome === "SKIP"
      ? ["·", "dim"]
      : ["✗", "red"];
    const reason = testReason(test);
    return [
      span(` ${sign} `, style),
      span(`${String(test.index + 1).padStart(digits)}  ${test.source}`),
      span(reason ? `   ${reason}` : "", style),
    ];
  });
  if (shown.length < tests.length) lines.push([span(`   … and ${tests.length - shown.length} more`, "dim")]);
  const all = testsPassed === testsTotal && testsTotal > 0;
  lines.push([span(`${testsPassed} of ${testsTotal} tests passed`, all ? "green" : "red", "bold")]);
  return lines.map((line) => paint(line, options.colour)).join("\n");
}

function testReason(test: TestResult): string {
  if (test.outcome === "PASS") return "";
  if (test.outcome === "SKIP") return test.verdict === "pass" ? "not run" : `not run (${test.verdict})`;
  if (test.verdict === "wrong_answer" && test.expected !== undefined) {
    return `expected ${test.expected}, got ${test.actual}`;
  }
  return test.error ? `${test.verdict}: ${errorText(test.error)}` : test.verdict;
}

function errorText({ type, message, line }: ErrorInfo): string {
  return `${type}${message ? `: ${message}` : ""}${line === null ? "" : ` (line ${line})`}`;
}
