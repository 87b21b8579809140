/** SQLite on disk. The write-ahead log lets others read while one writes, and survives a process that is killed. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Database } from "../store/database.ts";
import { locked, newTurns, type Turns } from "./locked.ts";

/** Milliseconds to wait for another process that is writing. */
const PATIENCE_MS = 10_000;

const turnsOf = new Map<string, Turns>();

export async function openDatabase(path: string): Promise<Database> {
  const cut = path.lastIndexOf("/");
  if (cut > 0) await Deno.mkdir(path.slice(0, cut), { recursive: true });
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec(`PRAGMA busy_timeout = ${PATIENCE_MS}`);
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = NORMAL"); // no sync per transaction: a killed process loses nothing by it
    database.exec("PRAGMA foreign_keys = ON");
  } catch (error) {
    database?.close();
    throw error;
  }
  const open = database;
  const statements = new Map<string, StatementSync>();
  const prepared = (sql: string) => {
    let statement = statements.get(sql);
    if (!statement) statements.set(sql, statement = open.prepare(sql));
    return statement;
  };
  const key = await Deno.realPath(path);
  const turns = turnsOf.get(key) ?? newTurns();
  turnsOf.set(key, turns);
  return locked({
    run: (sql, params) => void prepared(sql).run(...params),
    all: (sql, params) => prepared(sql).all(...params),
    close: () => open.close(),
  }, turns);
}
