// The vocabulary of the trace engine: jobs that go in, verdicts and traces that come out, and the arena in between.

/** How a problem's tests are written; see the data README for the row format of each kind. */
export type TestKind = "humaneval-check" | "assert-list" | "call-json" | "stdio";

/** How `call-json` compares the returned value with the expected one. */
export interface Compare {
  type: "exact" | "approx" | "set" | "not-none" | "deep-list" | "last-arg-eps";
  /** absolute tolerance of `approx`; 1e-6 when missing */
  atol?: number;
}

/** Budgets of one program. Everything but `wallMsPerProgram` and `memoryBytes` is counted, so it is the same everywhere. */
export interface Limits {
  /** line events (a backward jump within one line counts as one) */
  stepsPerTest: number;
  /** the backstop: the arena is killed, which is the only thing that stops a loop inside C code */
  wallMsPerProgram: number;
  /** size of the whole WebAssembly heap; growing beyond it raises MemoryError */
  memoryBytes: number;
  /** bytes a program may print over all its tests */
  stdoutBytes: number;
  traceEventsHead: number;
  traceEventsTail: number;
}

export interface ProgramJob {
  id: string;
  /** full text, the prompt already joined in completion mode */
  program: string;
  entryPoint: string;
  testKind: TestKind;
  /** as in the normalised row */
  tests: unknown[];
  compare?: Compare;
  /**
   * Text whose functions, imports and constants the tests use in place of the program's of the same name, such as a
   * prompt that defines a helper: a program must not be able to redefine what it is tested with.
   */
  helpers?: string;
  /** runs before the program, in its namespace */
  preCode?: string;
  /** runs after the program and before the tests */
  testSetup?: string;
  /** call `Solution().<entryPoint>` */
  isMethod?: boolean;
  limits?: Partial<Limits>;
  /** which test to trace in a second pass: the deciding one (first failing, else first), a given index, or none */
  trace: "deciding" | "none" | number;
  /** also return per test the value-change stream (name- and line-agnostic, at most 400 values) */
  streams?: boolean;
}

/** What happened to one test. */
export type Outcome = "PASS" | "WRONG" | "EXC" | "FUEL" | "KILL" | "SKIP";
/** How far the program came: it compiled, its module body ran and defined the entry point, its tests ran. */
export type Stage = "syntax" | "load" | "run";
export type Verdict =
  | "pass"
  | "wrong_answer"
  | "assertion_error"
  | "runtime_error"
  | "syntax_error"
  | "missing_entry"
  | "load_error"
  | "step_limit"
  | "timeout"
  | "memory_limit"
  | "output_limit"
  | "exit"
  | "crash"
  | "sandbox_violation"
  | "harness_error";

/** An exception's type name, its message (at most 200 characters) and the 1-based program line that raised it. */
export interface ErrorInfo {
  type: string;
  message: string;
  line: number | null;
}

export interface TestResult {
  index: number;
  outcome: Outcome;
  verdict: Verdict;
  /** the call as text, for example `divide(10, 0)` */
  source: string;
  expected?: string;
  actual?: string;
  error?: ErrorInfo;
  /** line events of this test */
  steps: number;
  /** the value-change stream, when the job asked for streams */
  values?: string[];
}

export interface ProgramResult {
  id: string;
  stage: Stage;
  /** of the first failing test, or of the load */
  verdict: Verdict;
  passed: boolean;
  /** one per assertion, in fixed order */
  tests: TestResult[];
  /** the syntax or load error */
  error?: ErrorInfo;
  testsPassed: number;
  testsTotal: number;
  /** line events of the first failing test, 0 if none */
  steps: number;
  trace?: Trace;
  /** index of the traced test */
  traceTest?: number;
  /** asked the same again by the traced replay, the program answered otherwise: its verdict is one of several */
  flaky?: boolean;
  /** the machinery failed, not the program: the result says nothing about the program */
  infra: boolean;
  elapsedMs: number;
}

export type TraceNote =
  | { kind: "condition"; text: string; value: boolean }
  | { kind: "returning"; text: string }
  | { kind: "yielding"; text: string }
  | { kind: "stdout"; text: string };

export interface TraceError {
  error_type: string;
  error_message: string;
  /** program frames only, outermost first, at most 8 */
  traceback: { line_number: number; function: string }[];
  /** the first event of this exception object: its line is the causal one */
  origin: boolean;
  /** the frame caught it and did not leave by it, not even by raising it again */
  handled: boolean;
  /** the library line that raised it, when that was not a program line: `json/decoder.py:355` */
  external?: string;
}

export interface TraceEvent {
  /** 1-based line of the program text */
  line_number: number;
  event_type: "line" | "call" | "return" | "exception" | "yield" | "resume" | "unwind";
  /** all locals as bounded text; on `line`, `call` and `resume`: the state before the line runs */
  variable_states?: Record<string, string>;
  error_info?: TraceError;
  /** index among all events of the run, dropped ones included */
  step: number;
  /** id of the activation, the same across yield and resume */
  frame: number;
  /** 0 = the call the test makes */
  depth: number;
  /** co_qualname: `f`, `f.<locals>.g`, `<lambda>`, `C.m`, `<module>` */
  function: string;
  /** text of the returned or yielded value */
  value?: string;
  notes?: TraceNote[];
}

export interface Trace {
  events: TraceEvent[];
  dropped: number;
  truncated: null | "events" | "bytes" | "steps" | "recursion";
  /** line events of the traced run */
  steps: number;
  frames: number;
  max_depth: number;
  lines_covered: number[];
  /** where the exception was raised that ended the traced call; null: it ended by returning, or is not over */
  origin: null | { line_number: number; error_type: string; error_message: string };
}

export type ArenaRequest =
  | { kind: "run"; job: ProgramJob; limits: Limits }
  | { kind: "script"; source: string; input: unknown }
  /** tries to escape in every known way; the value is the number of attempts, an error names those that succeeded */
  | { kind: "self-test" };

/** `recycle`: the interpreter has grown or was hurt; start a new one before the next request. */
export type ArenaReply =
  | { kind: "result"; result: ProgramResult; recycle: boolean }
  | { kind: "value"; value: unknown; recycle: boolean }
  | { kind: "error"; message: string; recycle: boolean };

/** One sandboxed Python interpreter. A request that times out or whose interpreter dies rejects with `ArenaDied`. */
export interface Arena {
  request(message: ArenaRequest, timeoutMs: number): Promise<ArenaReply>;
  /** Ends the interpreter at once, whatever it is doing; pending requests reject with `ArenaDied`. */
  kill(): void;
  readonly alive: boolean;
}

/** What an arena had said about the running program when it went. */
export interface LastWords {
  tests: TestResult[];
  /** the program's module body had run */
  loaded: boolean;
  /** the verdict was complete, only the traced replay was not */
  result?: ProgramResult;
}

/** Why an arena is gone: our own clock ran out, or its process or worker ended. */
export class ArenaDied extends Error {
  constructor(
    readonly reason: "timeout" | "ended",
    detail: string,
    readonly last: LastWords = { tests: [], loaded: false },
  ) {
    super(detail);
    this.name = "ArenaDied";
  }
}

export const defaultLimits: Limits = {
  // Steps shall run out long before time does, or labels would depend on how busy the machine is. Two tests out of
  // steps end a program: in an arena on a two-core machine with a load of 4.3 that took 0.8 to 2.6 s for loops of
  // ordinary lines, 3.0 s where each line sorts 100 numbers and 20 s where each sums 1,000. The longest test of a
  // reference solution in HumanEval has 373,352 steps, in MBPP 229,516 (but for mbpp/123: more than 10 million).
  stepsPerTest: 1_000_000,
  wallMsPerProgram: 30_000,
  memoryBytes: 256 * 1024 * 1024,
  stdoutBytes: 1_000_000,
  traceEventsHead: 200,
  traceEventsTail: 400,
};
