// What travels between the page or command line and a Python arena, in both directions. The boot assets go first.

export { ArenaDied } from "../src/trace/schema.ts";
export { hear } from "../src/trace/verdict.ts";
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
