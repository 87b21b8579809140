// What travels between the page or command line and a Python arena. Frames carry one JSON message and, for the boot
// assets only, one block of bytes.

import type { Limits, ProgramJob, ProgramResult, TestResult } from "../src/trace/schema.ts";

export type ArenaRequest =
  | { kind: "run"; job: ProgramJob; limits: Limits }
  | { kind: "script"; source: string; input: unknown };

export type ArenaReply =
  | { kind: "result"; result: ProgramResult; recycle: boolean }
  | { kind: "value"; value: unknown; recycle: boolean }
  | { kind: "error"; message: string; recycle: boolean };

/** Sent while a program runs, so that a killed program keeps the results of the tests it finished. */
export interface ArenaProgress {
  kind: "progress";
  /** every test of the program, those not yet run as SKIP */
  tests: TestResult[];
}

/** Everything an arena says: `ready` once, when it has booted. */
export type ArenaMessage = { kind: "ready"; bootMs: number; python: string } | ArenaProgress | ArenaReply;

/** The files an arena boots from; it can read nothing itself. */
export interface ArenaAssets {
  wasm: Uint8Array;
  stdlib: Uint8Array;
}
