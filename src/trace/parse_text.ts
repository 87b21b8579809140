/**
 * Reads the text form of serialize.ts back: formatTrace(parseTraceText(text)) is the same text, or there is an error.
 *
 * The text says less than the events do. Frames are numbered anew and told apart by calls and depth (which is printed up
 * to 8); names of functions at depth 0 are empty; steps count what is printed and what is said to be omitted, not the
 * unwinding of frames; an exception is the origin if it is printed with the line that raised it; tracebacks are empty.
 */
import type { TraceEvent, TraceNote } from "./schema.ts";
import { formatTrace, type TraceDocument } from "./serialize.ts";

/** Longer values are cut there by the snapshot, so that their quotes and brackets stay open. */
const maxValueChars = 400;

const string = String.raw`"(?:[^"\\]|\\.)*"`;
const name = String.raw`[\p{L}_][\p{L}\p{N}_]*|${string}`;
const patterns = {
  event: new RegExp(
    String.raw`^((?:  ){0,8})\[L(\d+)\] (line|call|return|exception|yield|resume)(?: (${string}|[^:"]+))?:(?: (.*))?$`,
    "u",
  ),
  error: new RegExp(String.raw`^(${name})\((${string})\)( propagated)?$`, "u"),
  state: new RegExp(`(${name})=`, "uy"),
  nextState: new RegExp(`, (?=(?:${name})=)`, "uy"),
  nextNote: / \| (?=Condition \(|Returning |Yielding |Printed "|EXCEPTION: )/uy,
};

/** Error: `Cannot read the trace text: line 7 is "…", not an event`. */
export function parseTraceText(text: string): TraceDocument {
  const lines = text.split("\n");
  let at = 0;
  const fail = (wanted: string): never => {
    const found = at < lines.length ? JSON.stringify(lines[at]) : "missing";
    throw new Error(`Cannot read the trace text: line ${at + 1} is ${found}, not ${wanted}`);
  };
  const take = (pattern: RegExp, wanted: string): RegExpMatchArray => {
    const match = lines[at]?.match(pattern) ?? fail(wanted);
    at++;
    return match;
  };

  const problem = unquoted(take(new RegExp(`^Problem: (${string})$`, "u"), 'Problem: "…"')[1]);
  take(/^Generated Code:$/, '"Generated Code:"');
  const program: string[] = [];
  while (lines[at] !== "") {
    program.push(take(new RegExp(`^${program.length + 1}:(?: (.*))?$`), `program line ${program.length + 1}`)[1] ?? "");
  }
  take(/^$/, "the empty line after the program");
  const test = take(/^Test Case:(?: (.*))?$/, '"Test Case: …"')[1] ?? "";
  take(/^Execution Trace:$/, '"Execution Trace:"');

  const reader = eventReader();
  const document: TraceDocument = {
    problem,
    program: program.join("\n"),
    test,
    events: reader.events,
    stopped: null,
    error: null,
    outcome: null,
  };
  for (; at < lines.length && !/^(Test Result: |---$)/.test(lines[at]); at++) {
    const line = lines[at];
    const failure = line.match(/^\[L(\d+|\?)\] exception: (.*)$/)?.slice(1);
    const error = failure && failure[1].match(patterns.error);
    const omitted = line.match(/^\.\.\. (\d+) events omitted \.\.\.$/);
    const stopped = line.match(/^\.\.\. stopped after (\d+) lines \.\.\.$/);
    if (stopped) document.stopped = Number(stopped[1]);
    else if (omitted) reader.omit(Number(omitted[1]));
    else if (error && !error[3]) {
      const number = failure[0] === "?" ? null : Number(failure[0]);
      document.error = { type: unquoted(error[1]), message: unquoted(error[2]), line: number };
    } else if (!reader.read(line)) fail("an event");
  }
  reader.end();
  if (lines[at]?.startsWith("Test Result: ")) {
    document.outcome = take(/^Test Result: (PASS|FAIL)$/, '"Test Result: PASS" or "… FAIL"')[1] as "PASS" | "FAIL";
  }
  take(/^---$/, '"---"');
  take(/^$/, "the end");
  if (at < lines.length) fail("the end");

  // Text of another make (spaces, order, escapes) would come out changed; it is refused rather than misread.
  const again = formatTrace(document).split("\n");
  at = lines.findIndex((line, index) => line !== again[index]);
  if (at !== -1) fail(`as it would be written: ${JSON.stringify(again[at])}`);
  return document;
}

function eventReader() {
  const events: TraceEvent[] = [];
  const stack: { id: number; name: string }[] = []; // by depth
  const suspended: { id: number; name: string }[] = [];
  let frames = 0;
  let step = 0;
  let gap = false;

  const add = (event: Omit<TraceEvent, "step">) => {
    events.push({ ...event, step: step++ });
    gap = false;
  };

  /** False if the line is no event. */
  function read(line: string): boolean {
    const match = line.match(patterns.event);
    if (!match) return false;
    const [, spaces, number, kind, label, rest = ""] = match;
    const event_type = kind as TraceEvent["event_type"];
    const depth = spaces.length / 2;
    const called = label === undefined ? "" : unquoted(label);
    const before = events.at(-1);
    if (kind === "call") stack[depth] = { id: frames++, name: called };
    if (kind === "resume") {
      const place = suspended.findLastIndex((frame) => frame.name === called);
      stack[depth] = place === -1 ? { id: frames++, name: called } : suspended.splice(place, 1)[0];
    }
    // An exception that does not join the line above it belongs to another frame than that line.
    const apart = kind === "exception" && !gap && before?.event_type === "line" && before.frame === stack[depth]?.id;
    if (!stack[depth] || apart) stack[depth] = { id: frames++, name: "" };
    stack.length = depth + 1;
    const frame = stack[depth];
    const base = { line_number: Number(number), event_type, frame: frame.id, depth, function: frame.name };

    if (kind === "exception") {
      const error = rest.match(patterns.error);
      if (!error?.[3]) return false;
      add({ ...base, error_info: errorInfo(error, false) });
    } else if (kind === "return" || kind === "yield") {
      if (kind === "yield") suspended.push(frame);
      add({ ...base, value: rest });
      stack.length = depth;
    } else {
      const content = readContent(rest);
      if (!content) return false;
      if (kind === "line") {
        const error = events.findLast((event) => event.frame === frame.id);
        if (error?.error_info) error.error_info.handled = true;
      }
      const notes = content.notes.length > 0 ? { notes: content.notes } : {};
      add({ ...base, variable_states: content.states, ...notes });
      if (content.error) add({ ...base, event_type: "exception", error_info: errorInfo(content.error, true) });
    }
    return true;
  }

  function omit(count: number) {
    step += count;
    gap = true;
    stack.length = 0;
  }

  return {
    events,
    read,
    omit,
    /** An omission that nothing printed follows was before the unwinding of a frame. */
    end() {
      const last = events.at(-1);
      if (gap && last) {
        add({ line_number: last.line_number, event_type: "unwind", frame: frames, depth: 0, function: "" });
      }
    },
  };
}

function errorInfo([, type, message]: RegExpMatchArray, origin: boolean): TraceEvent["error_info"] {
  const [error_type, error_message] = [unquoted(type), unquoted(message)];
  return { error_type, error_message, traceback: [], origin, handled: false };
}

/** Variables, then notes, then perhaps an exception; null if it is none of these. */
function readContent(text: string) {
  const states: [string, string][] = [];
  const notes: TraceNote[] = [];
  let at = 0;
  const begins = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    const match = begins(patterns.state);
    if (!match) break;
    const end = valueEnd(text, at);
    states.push([unquoted(match[1]), text.slice(at, end)]);
    at = end;
    if (!begins(patterns.nextState)) break;
  }
  let error: RegExpMatchArray | null = null;
  while (at < text.length) {
    if (at > 0 && !begins(patterns.nextNote)) return null;
    const rest = text.slice(at);
    const printed = rest.match(new RegExp(`^Printed (${string})`, "u"));
    const next = printed?.[0].length ?? noteEnd(rest);
    const part = rest.slice(0, next);
    const condition = part.match(/^Condition \((.*)\) is (True|False)$/);
    const source = part.match(/^(Returning|Yielding) (.*)$/);
    error = part.startsWith("EXCEPTION: ") ? part.slice(11).match(patterns.error) : null;
    if (printed) notes.push({ kind: "stdout", text: unquoted(printed[1]) });
    else if (condition) notes.push({ kind: "condition", text: condition[1], value: condition[2] === "True" });
    else if (source) notes.push({ kind: source[1] === "Returning" ? "returning" : "yielding", text: source[2] });
    else if (!error) return null;
    at += next;
  }
  return { states: Object.fromEntries(states), notes, error };
}

/**
 * Where the note at the start of `text` ends. Its source text may hold ` | ` too: only a whole note counts, and one whose
 * quotes are closed rather than one whose are not (source text may be cut off in the middle of a string).
 */
function noteEnd(text: string): number {
  if (text.startsWith("EXCEPTION: ")) return text.length;
  const ends = [...text.matchAll(new RegExp(patterns.nextNote.source, "gu"))].map(({ index }) => index)
    .concat(text.length)
    .filter((end) => !text.startsWith("Condition (") || /\) is (True|False)$/.test(text.slice(0, end)));
  const closed = (end: number) => /^(?:[^"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*$/u.test(text.slice(0, end));
  return ends.find(closed) ?? ends[0] ?? text.length;
}

/** Where the value that starts at `start` ends: at the first place outside quotes and brackets where something follows. */
function valueEnd(text: string, start: number): number {
  const follows = (at: number) =>
    at === text.length || [patterns.nextState, patterns.nextNote].some((pattern) => {
      pattern.lastIndex = at;
      return pattern.test(text);
    });
  const longest = start + [...text.slice(start, start + 2 * maxValueChars)].slice(0, maxValueChars).join("").length;
  let open = 0;
  let quote = "";
  for (let i = start; i <= longest; i++) {
    if (quote === "" && open === 0 && i > start && follows(i)) return i;
    const c = text[i];
    if (quote !== "") {
      if (c === "\\") i++;
      else if (c === quote) quote = "";
    } else if (c === "'" || c === '"') quote = c;
    else if (c === "(" || c === "[" || c === "{") open++;
    else if (c === ")" || c === "]" || c === "}") open--;
  }
  return text[longest] === "…" && follows(longest + 1) ? longest + 1 : text.length;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  const plain: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return text.slice(1, -1).replace(
    /\\(?:u([0-9a-f]{4})|(.))/gu,
    (_, code, letter) => code ? String.fromCharCode(parseInt(code, 16)) : plain[letter] ?? letter,
  );
}
