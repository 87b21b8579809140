/** SQL behind a port: node:sqlite in Deno, sqlite-wasm in a browser and in memory. The dialect is SQLite's everywhere. */

/** Text without NUL characters: Deno's node:sqlite cuts it there. */
export type SqlValue = null | number | string | Uint8Array;

export interface Database {
  /** One statement, its `?` filled in order. */
  run(sql: string, params?: readonly SqlValue[]): Promise<void>;
  /** The rows of one query, each an object by column name. */
  all<T>(sql: string, params?: readonly SqlValue[]): Promise<T[]>;
  /**
   * All that `work` does becomes true at once, or not at all: it rejects, or the machine stops. Transactions wait for each
   * other, so one inside another would wait for ever. Statements that others send meanwhile through this object take part.
   */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
