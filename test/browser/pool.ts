// The pool of the browser tests, with the files an arena boots from as the page would fetch them.
import { afterAll } from "vitest";
import wasmUrl from "pyodide/pyodide.asm.wasm?url";
import stdlibUrl from "pyodide/python_stdlib.zip?url";
import { createPool, type Pool } from "../../src/trace/pool.ts";
import { spawnWorkerArena } from "../../workers/browser_arena.ts";
import type { ArenaAssets } from "../../workers/messages.ts";

let assets: Promise<ArenaAssets> | undefined;
export function arenaAssets(): Promise<ArenaAssets> {
  return assets ??= Promise.all(
    [wasmUrl, stdlibUrl].map(async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer())),
  ).then(([wasm, stdlib]) => ({ wasm, stdlib }));
}

/** A pool that ends with the test file. */
export function browserPool(): Pool {
  const pool = createPool(async () => await spawnWorkerArena(await arenaAssets()));
  afterAll(() => pool.close());
  return pool;
}
