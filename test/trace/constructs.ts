// The table of Python's constructs in constructs/*.txt: programs, a call, and what the trace of that call has to say.
//
// === what it shows
// program
// --- call
// the lines of the trace's text form; then one line per exception event: line, type, whether it is the origin and
// whether the frame handled it, the library file that raised it, the frames it has come through; then what ended the call

import { readdirSync, readFileSync } from "node:fs";
import type { ProgramResult, Trace } from "../../src/trace/schema.ts";
import { traceText } from "../../src/trace/serialize.ts";

export interface Construct {
  name: string;
  program: string;
  call: string;
  expected: string;
}

const folder = new URL("./constructs/", import.meta.url);

export const constructs: Construct[] = readdirSync(folder).sort().flatMap((file) =>
  readFileSync(new URL(file, folder), "utf8").split(/^=== /m).slice(1).map((part) => {
    const [, name, program, call, expected] = part.match(/^(.*)\n([^]*?)^--- (.*)\n([^]*)$/m)!;
    return { name: `${file.replace(".txt", "")}: ${name}`, program, call, expected: expected.trimEnd() };
  })
);

/** A trace as the table writes it. */
export function told(program: string, trace: Trace): string {
  const result = { stage: "run", tests: [], trace, traceTest: 0 } as unknown as ProgramResult;
  const text = traceText("", program, result, { outcome: false });
  const start = text.indexOf("Execution Trace:\n") + "Execution Trace:\n".length;
  const lines = [text.slice(start, text.lastIndexOf("---")).trimEnd()];
  for (const { line_number, error_info: error } of trace.events) {
    if (!error) continue;
    const { error_type, origin, handled, external, traceback } = error;
    const words = [`error L${line_number}`, error_type, origin && "origin", handled && "handled"];
    const frames = traceback.map((frame) => `${frame.function}:${frame.line_number}`);
    lines.push([...words, external?.replace(/:\d+$/, ""), ...frames].filter(Boolean).join(" "));
  }
  if (trace.origin) lines.push(`ended by ${trace.origin.error_type} of L${trace.origin.line_number}`);
  if (trace.truncated) lines.push(`truncated: ${trace.truncated}`);
  return lines.join("\n");
}
