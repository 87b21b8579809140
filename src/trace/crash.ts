/** The exception that ended a run, told apart from those the program handled. */
import type { Trace, TraceEvent } from "./schema.ts";

export interface Crash {
  type: string;
  message: string;
  /** 1-based line that raised it */
  line: number;
  /** line of the entry frame that it left */
  entryLine: number;
  /** the event where it was raised; null if that was left out of the trace */
  origin: TraceEvent | null;
}

/** Null for a run that no exception ended. */
export function crashOf(trace: Trace): Crash | null {
  const left = trace.events.findLast(({ event_type, depth }) => event_type === "exception" && depth === 0);
  const end = trace.events.findLast(({ depth }) => depth === 0);
  if (!left || !end || !(end.event_type === "unwind" || end === left && !left.error_info!.handled)) return null;
  const { error_type: type, error_message: message } = left.error_info!;
  // Closing a file or the like may raise and handle others on the way out, so the last origin need not be this one's.
  const same = (error: { error_type: string; error_message: string }) =>
    error.error_type === type && error.error_message === message;
  const origin =
    trace.events.findLast(({ step, error_info }) => step <= left.step && error_info?.origin && same(error_info)) ??
      null;
  const elsewhere = trace.origin && same(trace.origin) ? trace.origin.line_number : left.line_number;
  return { type, message, line: origin?.line_number ?? elsewhere, entryLine: left.line_number, origin };
}
