/** Makes a Database of anything that runs SQL: one at a time per file, so that openers of one page or process take turns. */
import type { Database, SqlValue } from "../store/database.ts";

export interface Engine {
  run(sql: string, params: readonly SqlValue[]): void | Promise<void>;
  all(sql: string, params: readonly SqlValue[]): unknown[] | Promise<unknown[]>;
  close(): void | Promise<void>;
}

/** Work on one file, each piece after the one before it. */
export interface Turns {
  last: Promise<unknown>;
}

export function newTurns(): Turns {
  return { last: Promise.resolve() };
}

export function locked(engine: Engine, turns: Turns): Database {
  let inside = false;
  let closed = false;
  const next = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = turns.last.then(work);
    turns.last = turn.catch(() => {});
    return turn;
  };
  // Within a transaction the turn is ours already.
  const alone = <T>(work: () => T | Promise<T>): Promise<T> => {
    if (closed) return Promise.reject(new Error("Cannot use a database: it has been closed"));
    return inside ? (async () => await work())() : next(async () => await work());
  };
  return {
    run: (sql, params = []) => alone(() => engine.run(sql, params)),
    all: <T>(sql: string, params: readonly SqlValue[] = []) => alone(() => engine.all(sql, params)) as Promise<T[]>,
    transaction: (work) =>
      closed ? alone(work) : next(async () => {
        await engine.run("BEGIN IMMEDIATE", []);
        inside = true;
        try {
          const value = await work();
          await engine.run("COMMIT", []);
          return value;
        } catch (error) {
          await (async () => await engine.run("ROLLBACK", []))().catch(() => {}); // some errors have rolled back already
          throw error;
        } finally {
          inside = false;
        }
      }),
    close: async () => {
      if (closed) return;
      closed = true;
      await next(async () => await engine.close());
    },
  };
}
