// A traced program as the text a model reads, in the method's format.

import type { ProgramResult, Trace, TraceEvent, TraceNote } from "./schema.ts";

/**
 * The problem, the numbered program, one test's execution line by line and its result; ends in a `---` line.
 *
 * A line shows the state before it runs. `outcome: false` leaves the result out, for reward models that must not read
 * the label. The program is printed without its trailing blank lines.
 */
export function traceText(
  problemText: string,
  program: string,
  result: ProgramResult,
  options: { outcome?: boolean } = {},
): string {
  const lines = [`Problem: ${quoted(problemText)}`, "Generated Code:"];
  program.trimEnd().split("\n").forEach((line, index) => lines.push(`${index + 1}: ${line}`.trimEnd()));
  const test = result.tests[result.traceTest ?? result.tests.findIndex((test) => test.outcome !== "PASS")];
  lines.push("", `Test Case: ${result.stage === "run" && test ? test.source : "loading the program"}`);
  lines.push("Execution Trace:");
  if (result.trace) lines.push(...eventLines(result.trace));
  else if (result.error) {
    const { type, message, line } = result.error;
    lines.push(`[L${line ?? "?"}] exception: ${type}(${quoted(message)})`);
  }
  if (options.outcome ?? true) {
    const passed = result.traceTest === undefined ? result.passed : test?.outcome === "PASS";
    lines.push(`Test Result: ${passed ? "PASS" : "FAIL"}`);
  }
  lines.push("---");
  return lines.join("\n") + "\n";
}

/** One line of text per event; an exception joins the line that raised it. */
export function eventLines(trace: Trace): string[] {
  const out: string[] = [];
  let previous: TraceEvent | undefined;
  for (const event of trace.events) {
    const gap = event.step - (previous ? previous.step + 1 : 0);
    if (gap > 0) out.push(`... ${gap} events omitted ...`);
    const raisedHere = event.event_type === "exception" && gap === 0 && previous?.event_type === "line" &&
      previous.frame === event.frame;
    if (raisedHere) out[out.length - 1] += ` | EXCEPTION: ${errorText(event)}`;
    else if (event.event_type !== "unwind") out.push(eventLine(event)); // an unwinding frame returns nothing
    previous = event;
  }
  if (trace.truncated === "steps") out.push(`... stopped after ${trace.steps} lines ...`);
  return out;
}

function eventLine(event: TraceEvent): string {
  const indent = "  ".repeat(Math.min(event.depth, 8));
  const nested = event.depth > 0 && (event.event_type === "call" || event.event_type === "resume");
  const name = nested || event.event_type === "resume" ? `${event.event_type} ${event.function}` : event.event_type;
  return `${indent}[L${event.line_number}] ${name}: ${content(event)}`.trimEnd();
}

function content(event: TraceEvent): string {
  if (event.event_type === "exception") return `${errorText(event)} propagated`;
  if (event.value !== undefined) return event.value;
  const states = Object.entries(event.variable_states ?? {}).map(([name, text]) => `${name}=${text}`).join(", ");
  return [states, ...(event.notes ?? []).map(noteText)].filter((part) => part !== "").join(" | ");
}

function noteText(note: TraceNote): string {
  switch (note.kind) {
    case "condition":
      return `Condition (${note.text}) is ${note.value ? "True" : "False"}`;
    case "returning":
      return `Returning ${note.text}`;
    case "yielding":
      return `Yielding ${note.text}`;
    case "stdout":
      return `Printed ${quoted(note.text)}`;
  }
}

function errorText(event: TraceEvent): string {
  const { error_type, error_message } = event.error_info!;
  return `${error_type}(${quoted(error_message)})`;
}

/** In double quotes, on one line. */
function quoted(text: string): string {
  const escapes: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${text.replace(/["\\\n\r\t]/g, (found) => escapes[found])}"`;
}
