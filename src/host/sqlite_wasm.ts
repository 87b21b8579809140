/** SQLite compiled to WebAssembly, in memory or on files of the origin private file system. */
import initialize, { type Database as WasmDatabase, type Sqlite3Static } from "@sqlite.org/sqlite-wasm";
import type { SqlValue } from "../store/database.ts";
import type { Engine } from "./locked.ts";

let loaded: Promise<Sqlite3Static> | undefined;
export function sqlite(): Promise<Sqlite3Static> {
  return loaded ??= initialize().then((sqlite3) => {
    sqlite3.config.warn = () => {}; // what it tells the console, it throws as well
    return sqlite3;
  });
}

/** A database that lives as long as this object. */
export async function memoryEngine(): Promise<Engine> {
  const sqlite3 = await sqlite();
  return engineOf(new sqlite3.oo1.DB(":memory:"));
}

/** Milliseconds that a page which has just been left may still hold its files. */
const PATIENCE_MS = 1_500;
let opened = 0;

/**
 * A database in files of the OPFS, for a dedicated worker: the synchronous access it needs exists nowhere else. The files
 * fill the folder `path` and belong to one page at a time, which is what keeps two tabs from writing over each other.
 */
export async function opfsEngine(path: string): Promise<Engine> {
  const sqlite3 = await sqlite();
  const directory = `/${path.split("/").filter((part) => part !== "" && part !== ".").join("/")}`;
  const start = performance.now();
  for (;;) {
    try {
      // A name of its own each time: what has been closed cannot be opened again by its old name.
      const pool = await sqlite3.installOpfsSAHPoolVfs({ name: `etalon-${opened++}`, directory, initialCapacity: 4 });
      const database = new pool.OpfsSAHPoolDb("/store");
      const engine = engineOf(database);
      return { ...engine, close: () => (database.close(), void pool.pauseVfs()) }; // pausing gives the files back
    } catch (error) {
      const taken = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!taken) throw new Error(`Cannot open ${path}: ${(error as Error).message}`);
      if (performance.now() - start > PATIENCE_MS) {
        throw new Error(`Cannot open ${path}: another tab of this page has it open`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function engineOf(database: WasmDatabase): Engine {
  database.exec("PRAGMA foreign_keys = ON");
  const exec = (sql: string, params: readonly SqlValue[]) =>
    database.exec({
      sql,
      bind: params.length === 0 ? undefined : [...params],
      rowMode: "object",
      returnValue: "resultRows",
    });
  return { run: (sql, params) => void exec(sql, params), all: exec, close: () => database.close() };
}
