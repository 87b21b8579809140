// What an arena does with a request: the untraced pass that gives the verdict, then, in an interpreter as new, the
// traced replay of the one test that decides.

import type { ArenaProgress } from "../../workers/messages.ts";
import type { Execution, Interpreter } from "./interpreter.ts";
import type {
  ArenaReply,
  ErrorInfo,
  LastWords,
  Limits,
  ProgramJob,
  ProgramResult,
  Stage,
  TestResult,
  Verdict,
} from "./schema.ts";
import { hear, stoppedProgram, summarize } from "./verdict.ts";
import { expandTrace, type WireTrace } from "./wire.ts";

/** Which call of the run a traced pass records. */
type Target = { test: number; occurrence: number; call: number | null } | { load: true };

/** What harness.py writes. */
type PassAnswer = {
  stage: Stage;
  verdict: Verdict | null;
  error: ErrorInfo | null;
  tests: TestResult[];
  where: (Target | null)[];
  trace: WireTrace | null;
};

// WebAssembly memory never shrinks: past this size the arena asks to be replaced.
const recycleBytes = 128 * 1024 * 1024;

export function runProgram(
  interpreter: Interpreter,
  job: ProgramJob,
  limits: Limits,
  send: (progress: ArenaProgress) => void,
): ArenaReply {
  const start = performance.now();
  const elapsed = () => performance.now() - start;
  const reply = (result: ProgramResult): ArenaReply => ({ kind: "result", result, recycle: grown(interpreter) });
  const last: LastWords = { tests: [], loaded: false };
  // Progress lines start with a word the program can't guess from outside, so that what it prints there is ignored.
  const nonce = crypto.randomUUID();
  const first = interpreter.execute(JSON.stringify({ ...request(job, limits), nonce }), limits.memoryBytes, (line) => {
    if (!line.startsWith(nonce)) return;
    const progress: ArenaProgress = { kind: "progress", ...JSON.parse(line.slice(nonce.length)) };
    if ("result" in progress) return; // whole results are put together here, never in Python
    hear(last, progress);
    send(progress);
  });
  if (first.fatal) {
    return reply(
      stoppedProgram(job.id, fatalVerdict(first.fatal), first.fatal.message, last.tests, last.loaded, elapsed()),
    );
  }
  const answer = JSON.parse(first.output) as PassAnswer | { failed: string };
  if ("failed" in answer) return { kind: "error", message: answer.failed, recycle: grown(interpreter) };

  const { stage, verdict, error } = answer;
  const judged = { stage, verdict, tests: answer.tests, ...(error ? { error } : {}) };
  const traceTest = deciding(job, answer);
  const target = stage === "load" ? { load: true } : traceTest === undefined ? undefined : answer.where[traceTest];
  const wanted = job.trace !== "none" && stage !== "syntax" && target;
  if (wanted || (job.streams && stage === "run")) {
    // Should the replay have to be killed, the verdict is already out.
    send({ kind: "progress", result: summarize(job.id, { ...judged, elapsedMs: elapsed() }) });
    const again = { ...request(job, limits), target: wanted ? target : null, streams: job.streams ?? false };
    const second = interpreter.execute(JSON.stringify(again), limits.memoryBytes, () => {});
    // A replay that breaks the interpreter leaves the verdict as it is and just has no trace.
    const replay = second.fatal ? null : JSON.parse(second.output) as PassAnswer;
    replay?.tests?.forEach((test, index) => {
      if (test.values) answer.tests[index].values = test.values;
    });
    if (replay?.trace) {
      const trace = expandTrace(replay.trace);
      return reply(summarize(job.id, { ...judged, elapsedMs: elapsed(), trace, traceTest }));
    }
  }
  return reply(summarize(job.id, { ...judged, elapsedMs: elapsed() }));
}

export function runScript(interpreter: Interpreter, source: string, input: unknown): ArenaReply {
  const memoryBytes = 512 * 1024 * 1024;
  const { output, fatal } = interpreter.execute(
    JSON.stringify({ kind: "script", source, input }),
    memoryBytes,
    () => {},
  );
  const recycle = grown(interpreter);
  if (fatal) return { kind: "error", message: `the script ended the interpreter: ${fatal.message}`, recycle };
  const answer = JSON.parse(output) as { value?: unknown; error?: string; failed?: string };
  const message = answer.error ?? answer.failed;
  return message === undefined ? { kind: "value", value: answer.value, recycle } : { kind: "error", message, recycle };
}

function request(job: ProgramJob, limits: Limits) {
  const { id: _id, trace: _trace, streams: _streams, limits: _limits, ...rest } = job;
  return { kind: "run", ...rest, limits };
}

/** The first failing test, else the first; or the one the job names. */
function deciding(job: ProgramJob, answer: PassAnswer): number | undefined {
  if (typeof job.trace === "number") return answer.where[job.trace] ? job.trace : undefined;
  const ran = answer.tests.filter((test) => answer.where[test.index]);
  return (ran.find((test) => test.outcome !== "PASS" && test.outcome !== "SKIP") ?? ran[0])?.index;
}

function fatalVerdict(fatal: NonNullable<Execution["fatal"]>): Verdict {
  return fatal.reason === "sandbox" ? "sandbox_violation" : fatal.reason;
}

function grown(interpreter: Interpreter): boolean {
  return interpreter.heapBytes() > recycleBytes;
}
