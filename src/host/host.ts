/**
 * The port: what differs between Deno and a browser tab. Everything under src/ that touches the outside takes a
 * Host as a parameter and imports only this type, so the same recipe runs headless, in a tab and in memory (tests).
 *
 * Paths are strings with `/` between folders, on every platform.
 */
import type { Database } from "../store/database.ts";
import type { Arena } from "../trace/schema.ts";

export interface Host {
  /** The file's bytes. Error: `Cannot read <path>: no such file`. */
  readBytes(path: string): Promise<Uint8Array>;
  /** The file as UTF-8 text; bytes that are not UTF-8 are an error. */
  readText(path: string): Promise<string>;
  /** Atomic: the file is either the old one or the whole new one. Makes parent folders. */
  write(path: string, data: string | Uint8Array): Promise<void>;
  /** Adds text at the end, making the file and its parent folders where missing. Not atomic: one call, one line. */
  append(path: string, text: string): Promise<void>;
  /** Names (not paths) of the files and folders directly in a folder, sorted by code unit. */
  list(path: string): Promise<string[]>;
  /** True for a file and for a folder. */
  exists(path: string): Promise<boolean>;
  /** Removes a file, or a folder with all it holds. A path that is not there is no error. */
  remove(path: string): Promise<void>;
  /** Unpacks gzip bytes. */
  gunzip(bytes: Uint8Array): Promise<Uint8Array>;
  /** Starts one sandboxed Python interpreter. */
  spawnArena(): Promise<Arena>;
  /**
   * Opens a SQLite database, making it and its parent folders where missing. Closed with its last opener, what was written
   * stays. Error: `Cannot open <path>: ...` (no database, or in a browser: another tab has it open).
   */
  openDatabase(path: string): Promise<Database>;
}
