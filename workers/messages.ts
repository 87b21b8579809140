// What travels between the page or command line and a Python arena, in both directions. The boot assets go first.

export { ArenaDied } from "../src/trace/schema.ts";
export { hear } from "../src/trace/verdict.ts";
import type { SqlValue } from "../src/store/database.ts";
import type { ArenaReply, ArenaRequest } from "../src/trace/schema.ts";

/** The files an arena boots from; it can read nothing itself. */
export interface ArenaAssets {
  /** pyodide.asm.wasm */
  wasm: Uint8Array<ArrayBuffer>;
  /** python_stdlib.zip */
  stdlib: Uint8Array<ArrayBuffer>;
  /** the heap of an interpreter that has booted before, which makes this boot short */
  image?: Uint8Array<ArrayBuffer>;
}

/**
 * Sent while a program runs, so that a program that has to be killed keeps the results of the tests it finished. `text` is
 * JSON that only somebody who needs it reads: {sources}, {loaded}, {test} or {result}.
 */
export interface ArenaProgress {
  kind: "progress";
  text: string;
}

export type ToArena = ArenaRequest;
/** Everything an arena says: `ready` or `failed` once, then progress and one reply per request. */
export type FromArena =
  | { kind: "ready"; bootMs: number; image?: Uint8Array<ArrayBuffer> }
  | { kind: "failed"; message: string }
  | ArenaProgress
  | ArenaReply;

/** What a page asks of workers/database.ts. `id` comes back with the answer; `database` is a number the page chooses. */
export type ToDatabase =
  & { id: number; database: number }
  & ({ kind: "open"; path: string } | { kind: "run" | "all"; sql: string; params: readonly SqlValue[] } | {
    kind: "close";
  });
export interface FromDatabase {
  id: number;
  value?: unknown;
  error?: string;
}
