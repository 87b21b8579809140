/**
 * Dynamic backward slices (Korel and Laski 1988; Agrawal and Horgan 1990) from recorded events: which executed statements had
 * a part in the wrong value, the exception or the loop that did not end, and how far from it each stands.
 *
 * A node is a statement instance. It depends on
 * - the last writer of every name it reads. A statement writes what its text assigns to and every name of its frame whose value
 *   changed while it ran, so that changes inside of a container count, by an alias too;
 * - the header that let it run: the innermost enclosing one that was executed in its frame, headers before it in its block
 *   that may return, raise, break or continue, the statement that raised what its `except` caught, the call of its function;
 * - the last instance of each call it made, and what that call did to its arguments; a parameter, on what the caller read.
 *
 * Differences to a textbook slice: values are compared as bounded text, and statements that share a line are one.
 */
import sliceSource from "./slice.py" with { type: "text" };
import statementsSource from "./statements.py" with { type: "text" };
import { crashOf } from "./crash.ts";
import type { Outcome, Trace, TraceEvent } from "./schema.ts";
import type { StatementTable } from "./statements.ts";

/** Credit falls by this factor with every dependence. */
export const SLICE_DECAY = 0.8;

/** One row per statement of the program's table. */
export interface Flow {
  reads: string[];
  /** assigned as a whole */
  writes: string[];
  /** assigned in part: `a` in `a[i] = 1` */
  changes: string[];
  /** the statement whose header decides whether this one runs, within its function; -1: none */
  parent: number;
  /** statements before it in its block that may leave the block */
  jumps: number[];
  loop: boolean;
}

/** Reads, writes and control of every statement; null for a program that does not compile. */
export async function flowTable(
  pool: { script(source: string, input: unknown): Promise<unknown> },
  program: string,
  table: StatementTable,
): Promise<Flow[] | null> {
  if (table.statements[0].kind === "Line") return null;
  const rows = await pool.script(`${statementsSource}\n${sliceSource}`, program) as Flow[];
  if (rows.length !== table.statements.length) {
    throw new Error(`Cannot slice: ${rows.length} statements were read, the table has ${table.statements.length}`);
  }
  return rows;
}

interface Node {
  statements: readonly number[];
  needs: Set<Node>;
  /** the instance it belongs to: arguments are given by the calling one */
  instance: Node;
}

interface Frame {
  function: string;
  caller: Frame | null;
  /** what the calling statement gave */
  given: Node;
  writers: Map<string, Node>;
  /** changed in part, not assigned */
  mutated: Map<string, Node>;
  parameters: Set<string>;
  states: Record<string, string> | undefined;
  node: Node | null;
  /** per statement, its newest instance */
  newest: Map<number, Node>;
  raised: Node | null;
}

export interface Slice {
  /** statements of the criterion: the returned value, the crash or the header of the loop */
  criterion: readonly number[];
  /** Per statement, the sum of 0.8^distance over its instances in the slice; 0 outside of it. */
  credit: number[];
}

/**
 * The slice of a failed run, from its criterion: of an exception what the crashing line read, of a run out of steps the header of
 * the loop it was in, else the returned value
 * (of a program that prints: all it printed; of a generator: all it yielded). Null without a line event. Where
 * events are missing the slice goes on as if nothing had happened between them.
 */
export function backwardSlice(
  table: StatementTable,
  flow: readonly Flow[],
  trace: Trace,
  outcome: Outcome,
): Slice | null {
  const run = replay(table, flow, trace);
  const criterion = criterionOf(run, flow, trace, outcome);
  if (criterion.length === 0) return null;
  const distance = new Map<Node, number>(criterion.map((node) => [node, 0]));
  const queue = [...criterion];
  for (let at = 0; at < queue.length; at++) {
    for (const need of queue[at].needs) {
      if (distance.has(need)) continue;
      distance.set(need, distance.get(queue[at])! + 1);
      queue.push(need);
    }
  }
  const ofInstance = new Map<Node, number>();
  for (const [node, far] of distance) {
    ofInstance.set(node.instance, Math.min(far, ofInstance.get(node.instance) ?? Infinity));
  }
  const credit = table.statements.map(() => 0);
  for (const [{ statements }, far] of ofInstance) {
    for (const statement of statements) credit[statement] += SLICE_DECAY ** far;
  }
  return { criterion: [...new Set(criterion.flatMap((node) => [...node.statements]))], credit };
}

interface Run {
  /** instances of the entry calls' frames, the module's if that is what ran */
  entry: Frame | null;
  last: Node | null;
  lastFrame: Frame | null;
  /** by the event that began the instance */
  at: Map<TraceEvent, Node>;
  printed: Node[];
  /** what the tests took from a generator */
  yielded: Node[];
}

function replay(table: StatementTable, flow: readonly Flow[], trace: Trace): Run {
  const frames = new Map<number, Frame>();
  const latest = new Map<string, Frame>(); // by function
  const stack: Frame[] = [];
  const run: Run = { entry: null, last: null, lastFrame: null, at: new Map(), printed: [], yielded: [] };

  for (const event of trace.events) {
    let frame = frames.get(event.frame);
    if (event.event_type === "call" || event.event_type === "resume" || !frame) {
      while (stack.length > event.depth) stack.pop(); // of frames whose end is not among the events
      const caller = stack.at(-1) ?? null;
      const given = caller?.node ? argumentsOf(caller.node) : newNode([], []);
      if (!frame) {
        const states = event.variable_states ?? {};
        const names = Object.keys(event.event_type === "line" ? {} : states);
        frame = {
          function: event.function,
          caller,
          given,
          writers: new Map(names.map((name) => [name, given])),
          mutated: new Map(),
          parameters: new Set(names),
          states,
          node: null,
          newest: new Map(),
          raised: null,
        };
        frames.set(event.frame, frame);
        latest.set(event.function, frame);
      } else frame.node?.needs.add(given); // what was sent to a generator
      stack.push(frame);
      if (event.depth === 0) run.entry = frame;
      if (event.event_type !== "line") continue;
    }
    switch (event.event_type) {
      case "line":
        line(frame, event);
        break;
      case "exception":
        settle(frame, undefined, true);
        frame.raised = frame.node;
        break;
      default:
        if (event.event_type !== "unwind") settle(frame, undefined, false);
        if (event.event_type === "yield" && event.depth === 0 && frame.node) run.yielded.push(frame.node);
        if (stack.at(-1) === frame) stack.pop();
        answer(frame);
    }
  }
  return run;

  /** Gives the caller's statement what the call left: its last instance, and who changed what it was given. */
  function answer(frame: Frame) {
    const asking = stack.at(-1)?.node;
    if (!asking) return;
    if (frame.node) asking.needs.add(frame.node);
    for (const name of frame.parameters) {
      const writer = frame.mutated.get(name);
      if (writer) asking.needs.add(writer);
    }
  }

  /** What the statement that ran last in this frame has written. */
  function settle(frame: Frame, states: Record<string, string> | undefined, raised: boolean) {
    const { node } = frame;
    if (node) {
      const named = frame.function.endsWith(">") && frame.function !== "<module>" ? [] : node.statements; // no own names
      const whole = new Set(raised ? [] : named.flatMap((statement) => flow[statement].writes));
      const part = new Set(raised ? [] : named.flatMap((statement) => flow[statement].changes));
      for (const [name, text] of Object.entries(states ?? {})) {
        if (frame.states?.[name] !== text && !whole.has(name)) part.add(name);
      }
      for (const name of whole) frame.writers.set(name, node);
      for (const name of part) {
        // Who assigned it has still a part in what it is.
        const before = writerOf(frame, name);
        if (before && before !== node) node.needs.add(before);
        frame.writers.set(name, node);
        frame.mutated.set(name, node);
      }
    }
    if (states) frame.states = states;
  }

  function line(frame: Frame, event: TraceEvent) {
    settle(frame, event.variable_states, frame.raised !== null && frame.raised === frame.node);
    const statements = table.onLine.get(event.line_number) ?? [];
    const before = frame.node;
    const goesOn = before && !frame.raised && statements.length === 1 && before.statements.length === 1 &&
      before.statements[0] === statements[0] && !flow[statements[0]].loop;
    if (goesOn) run.at.set(event, before); // another line of one statement
    else {
      const needs = statements.flatMap((statement) => flow[statement].reads.map((name) => writerOf(frame, name)));
      const node = newNode(statements, [...needs, ...control(frame, statements)]);
      if (frame.raised) node.needs.add(frame.raised);
      frame.raised = null;
      frame.node = node;
      for (const statement of statements) frame.newest.set(statement, node);
      run.at.set(event, node);
    }
    run.last = frame.node;
    run.lastFrame = frame;
    if (event.notes?.some(({ kind }) => kind === "stdout")) run.printed.push(frame.node!);
  }

  function control(frame: Frame, statements: readonly number[]): (Node | null)[] {
    const first = statements[0]; // the outermost of those on the line
    if (first === undefined) return [];
    const jumps = flow[first].jumps.map((jump) => frame.newest.get(jump) ?? null);
    for (let header = flow[first].parent; header !== -1; header = flow[header].parent) {
      const node = frame.newest.get(header);
      if (node) return [...jumps, node];
    }
    return [...jumps, frame.given];
  }

  function writerOf(frame: Frame, name: string): Node | null {
    for (let place: Frame | null = frame; place; place = enclosing(place)) {
      const writer = place.writers.get(name);
      if (writer) return writer;
    }
    return null;
  }

  /** The frame of the function that this one is defined in. */
  function enclosing(frame: Frame): Frame | null {
    const border = frame.function.lastIndexOf(".<locals>.");
    const outer = border === -1 ? "<module>" : frame.function.slice(0, border);
    if (frame.function === "<module>") return null;
    for (let place = frame.caller; place; place = place.caller) if (place.function === outer) return place;
    const found = latest.get(outer) ?? null;
    return found === frame ? null : found;
  }
}

function newNode(statements: readonly number[], needs: readonly (Node | null)[]): Node {
  const node = { statements, needs: new Set(needs.filter((need) => need !== null)) } as Node;
  node.instance = node;
  return node;
}

/** What a statement passes on to a call it makes: all it has read so far, but not what the call will return. */
function argumentsOf(node: Node): Node {
  const given = newNode(node.statements, [...node.needs]);
  given.instance = node.instance;
  return given;
}

function criterionOf(run: Run, flow: readonly Flow[], trace: Trace, outcome: Outcome): Node[] {
  if (!run.last) return [];
  if (outcome === "FUEL" || outcome === "KILL") {
    const inside = [...run.last.statements];
    while (inside.length > 0) {
      const loop = inside.find((statement) => flow[statement].loop);
      if (loop !== undefined) return [run.lastFrame!.newest.get(loop) ?? run.last];
      inside.splice(0, inside.length, ...inside.map((statement) => flow[statement].parent).filter((p) => p !== -1));
    }
    return [run.last]; // a recursion
  }
  const crash = crashOf(trace);
  if (crash) {
    const before = trace.events.findLast((event) =>
      event.event_type === "line" &&
      (crash.origin ? event.frame === crash.origin.frame && event.step < crash.origin.step : true)
    );
    return [(before && run.at.get(before)) ?? run.last];
  }
  if (run.entry?.function === "<module>" && run.printed.length > 0) return [...new Set(run.printed)];
  if (run.yielded.length > 0) return [...new Set(run.yielded)];
  return run.entry?.node ? [run.entry.node] : [run.last];
}
