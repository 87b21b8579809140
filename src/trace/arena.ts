// What an arena does with a request. Two interpreters share the work: the judge has the tests and what they expect, the
// other runs the program and is told one operation at a time. The judge's pass gives the verdict; then the operations
// are repeated in an interpreter as new, with the ones of the deciding test traced.

import type { ArenaProgress } from "../../workers/messages.ts";
import { escapes, selfTest } from "./escapes.ts";
import type { Execution, Interpreter } from "./interpreter.ts";
import {
  type ArenaReply,
  defaultLimits,
  type ErrorInfo,
  type LastWords,
  type Limits,
  type ProgramJob,
  type ProgramResult,
  type Stage,
  type TestResult,
  type Trace,
  type Verdict,
} from "./schema.ts";
import { parseTrace } from "./validate.ts";
import { hear, infraResult, stoppedProgram, summarize } from "./verdict.ts";
import { expandTrace, type WireTrace } from "./wire.ts";

export interface Interpreters {
  judge: Interpreter;
  program: Interpreter;
  /** the problem whose tests the judge has run since it was rewound */
  problem?: string;
}

/** What harness.py writes in the judge. */
interface Judgement {
  stage: Stage;
  verdict: Verdict | null;
  error: ErrorInfo | null;
  /** the verdict of the tests that something kept from running */
  rest: Verdict | null;
  /** per test the first and the last operation that belongs to it */
  where: ([number, number] | null)[];
}

/** One operation as the judge wrote it, and the answer's second line: the value or error, without its cost. */
interface Operation {
  text: string;
  said: string;
}

// WebAssembly memory never shrinks: past this size the arena asks to be replaced.
const recycleBytes = 128 * 1024 * 1024;
const maxTraceChars = 600_000; // Python cuts traces at 256 kB of events; the rest is streams and escapes
const judgeBytes = 512 * 1024 * 1024;

export function runProgram(
  interpreters: Interpreters,
  job: ProgramJob,
  limits: Limits,
  send: (progress: ArenaProgress) => void,
): ArenaReply {
  const start = performance.now();
  const { judge, program } = interpreters;
  const tests = JSON.stringify(job.tests);
  // Tests are ours, but may leave something behind; what another problem's find is always an interpreter as new.
  if (interpreters.problem !== tests) judge.rewind();
  interpreters.problem = tests;
  const reply = (result: ProgramResult): ArenaReply => {
    return { kind: "result", result, recycle: grown(judge) || grown(program) };
  };
  const elapsed = () => performance.now() - start;
  const said: string[] = [];
  const heard = () => {
    const last: LastWords = { tests: [], loaded: false };
    for (const text of said) hear(last, text);
    return last;
  };
  const operations: Operation[] = [];
  const session = newSession(program, job, limits);
  judge.begin(judgeBytes, (message) => {
    const text = message.slice(1);
    if (message[0] === "A") return undefined;
    if (message[0] === "C") {
      const answer = session(text);
      operations.push({ text, said: secondLine(answer) });
      return answer;
    }
    said.push(text);
    send({ kind: "progress", text });
    return "";
  });
  const { program: _program, ...request } = jobRequest(job);
  const { output, fatal } = judge.call(
    `{"kind":"judge"}\n${JSON.stringify({ ...request, helpers: job.helpers, limits, tests })}`,
  );
  if (fatal) {
    judge.rewind();
    const last = heard();
    return reply(stoppedProgram(job.id, "crash", fatal.message, last.tests, last.loaded, elapsed()));
  }
  const answer = JSON.parse(output.slice(1)) as Judgement | { failed: string };
  if ("failed" in answer) return { kind: "error", message: answer.failed, recycle: grown(judge) };

  const { stage, verdict, error, rest, where } = answer;
  const results = heard().tests;
  if (rest) { for (const test of results) if (test.outcome === "SKIP") test.verdict = rest; }
  const judged = { stage, verdict, tests: results, ...(error ? { error } : {}) };
  const traceTest = deciding(job, results, where);
  const target = stage === "load" ? [0, 0] : traceTest === undefined ? null : where[traceTest];
  const traced = job.trace !== "none" && stage !== "syntax" && target;
  if (!traced && !(job.streams && stage === "run")) {
    return reply(summarize(job.id, { ...judged, elapsedMs: elapsed() }));
  }
  // Should the replay have to be killed, the verdict is already out.
  const result = summarize(job.id, { ...judged, elapsedMs: elapsed() });
  send({ kind: "progress", text: JSON.stringify({ result }) });
  const again = replay(newSession(program, job, limits), operations, {
    full: traced || null,
    fullTest: traced ? traceTest : undefined,
    streams: job.streams && stage === "run" ? where : [],
  });
  for (const [index, values] of again.streams) results[index].values = values;
  const trace = again.trace ? { trace: again.trace, traceTest: stage === "load" ? undefined : traceTest } : {};
  const whole = summarize(job.id, { ...judged, elapsedMs: elapsed(), ...trace });
  return reply(again.differs ? { ...whole, flaky: true } : whole);
}

/** A program's interpreter as new, and the function that carries out one operation after the other in it. */
function newSession(program: Interpreter, job: ProgramJob, limits: Limits) {
  program.rewind();
  program.begin(limits.memoryBytes, (message) => {
    if (message[0] !== "I") return undefined; // an answer
    program.input(message.slice(1));
    return "";
  });
  let broken: string | null = null;
  const { helpers: _helpers, compare: _compare, tests: _tests, ...request } = jobRequest(job);
  let start: object | undefined = { job: request, limits };
  return (operation: string, trace?: Record<string, unknown>): string => {
    if (broken) return broken;
    const control = start || trace ? JSON.stringify({ kind: "operation", ...start, ...trace }) : '{"kind":"operation"}';
    start = undefined;
    const { output, fatal } = program.call(`${control}\n${operation}`);
    // What comes from a program is marked as such: only we can say that its interpreter broke.
    if (!fatal) return `=${output}`;
    return broken = `!${JSON.stringify([fatalVerdict(fatal), fatal.message])}`;
  };
}

interface Wanted {
  /** the operations to trace with all events */
  full: number[] | null;
  fullTest: number | undefined;
  /** per test the operations whose value-change stream is wanted */
  streams: ([number, number] | null)[];
}

/** The same operations once more. `differs`: one was answered otherwise than the first time. */
function replay(session: ReturnType<typeof newSession>, operations: Operation[], wanted: Wanted) {
  const spans = wanted.streams.flatMap((span, test) =>
    span && test !== wanted.fullTest ? [{ span, test, full: false }] : []
  );
  if (wanted.full) spans.push({ span: wanted.full as [number, number], test: wanted.fullTest ?? 0, full: true });
  const end = Math.max(...spans.map(({ span }) => span[1]));
  const streams: [number, string[]][] = [];
  let trace: Trace | undefined;
  let differs = false;
  let cut: number[] | null = null; // the span whose trace is already complete
  let comparable = true; // until a traced test ended early, for it has fewer steps to spend
  for (let index = 0; index <= end; index++) {
    const current = spans.find(({ span }) => span[0] <= index && index <= span[1]);
    if (cut && cut === current?.span) continue; // the rest of a test that was too long to trace
    const control = current && {
      trace: current.full ? "full" : "stream",
      stream: wanted.streams.length > 0,
      last: index === current.span[1],
    };
    const answer = session(operations[index].text, control);
    const found = current && traceOf(answer);
    if (found) {
      if (found.stream && current.test < wanted.streams.length) streams.push([current.test, found.stream]);
      trace = found.trace ?? trace;
      if (index < current.span[1]) cut = current.span;
    }
    if (answer.slice(0, answer.indexOf("\n")).includes('"over":"steps"')) comparable = false;
    if (comparable && disagree(secondLine(answer), operations[index].said)) differs = true;
  }
  return { trace, streams, differs };
}

/** The third line of an answer: a trace, unless the program spoiled it. It may say what it likes, but not in any form. */
function traceOf(answer: string): { stream?: string[]; trace?: Trace } | null {
  const text = answer.slice(answer.indexOf("\n", answer.indexOf("\n") + 1) + 1);
  if (answer[0] !== "=" || text === "" || text.length > maxTraceChars) return null;
  try {
    const { stream, trace } = JSON.parse(text) as { stream?: unknown; trace?: WireTrace };
    const fine = Array.isArray(stream) && stream.length <= 400 &&
      stream.every((value) => typeof value === "string" && value.length <= 100);
    return {
      ...(fine ? { stream: stream as string[] } : {}),
      ...(trace ? { trace: parseTrace(expandTrace(trace)) } : {}),
    };
  } catch {
    return null;
  }
}

/**
 * Whether two answers to one operation show a program that does not repeat itself: another value, or another kind of
 * error. How deep a recursion went or what memory was left is the interpreter's, and tracing changes it.
 */
function disagree(one: string, other: string): boolean {
  if (one === other) return false;
  const kinds = [one, other].map((said) => /^\{"error":\{"type":("[^"]*")/.exec(said)?.[1] ?? said.slice(0, 4));
  if (kinds.some((kind) => /^("RecursionError"|"MemoryError"|\{"x"|!\[)/.test(kind))) return false;
  return kinds[0] !== kinds[1] || kinds[0] === '{"v"';
}

function secondLine(answer: string): string {
  return answer.split("\n", 2)[1] ?? answer;
}

export function runScript({ program }: Interpreters, source: string, input: unknown): ArenaReply {
  program.rewind();
  program.begin(judgeBytes);
  const { output, fatal } = program.call(`{"kind":"script"}\n${JSON.stringify({ source, input })}`);
  const recycle = grown(program);
  if (fatal) return { kind: "error", message: `the script ended the interpreter: ${fatal.message}`, recycle };
  const answer = JSON.parse(output.slice(1)) as { value?: unknown; error?: string; failed?: string };
  const message = answer.error ?? answer.failed;
  return message === undefined ? { kind: "value", value: answer.value, recycle } : { kind: "error", message, recycle };
}

/** All escapes but those that search the whole interpreter for what was never there, which take half a minute. */
export async function runSelfTest(interpreters: Interpreters): Promise<ArenaReply> {
  const run = (job: ProgramJob) => {
    const reply = runProgram(interpreters, job, { ...defaultLimits, ...job.limits }, () => {});
    return reply.kind === "result" ? reply.result : infraResult(job.id, "no result", 0);
  };
  const recycle = true; // attempts may leave the heap grown
  try {
    const attempts = escapes.filter(({ group }) => group !== "expected");
    return { kind: "value", value: await selfTest(run, attempts), recycle };
  } catch (error) {
    return { kind: "error", message: (error as Error).message, recycle };
  }
}

function jobRequest(job: ProgramJob) {
  const { id: _id, trace: _trace, streams: _streams, limits: _limits, ...rest } = job;
  return rest;
}

/** The first failing test, else the first; or the one the job names. */
function deciding(job: ProgramJob, tests: TestResult[], where: Judgement["where"]): number | undefined {
  if (typeof job.trace === "number") return where[job.trace] ? job.trace : undefined;
  const ran = tests.filter((test) => where[test.index]);
  return (ran.find((test) => test.outcome !== "PASS" && test.outcome !== "SKIP") ?? ran[0])?.index;
}

function fatalVerdict(fatal: NonNullable<Execution["fatal"]>): Verdict {
  return fatal.reason === "sandbox" ? "sandbox_violation" : fatal.reason;
}

function grown(interpreter: Interpreter): boolean {
  return interpreter.heapBytes() > recycleBytes;
}
