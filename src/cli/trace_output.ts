/** Where results go: standard output that may close early, or a file that a later run goes on with. */
import { denoHost } from "../host/deno.ts";
import { readLines } from "./trace_lines.ts";

/** Writes to stdout; false if nobody reads it any more, as behind `| head -1`. */
export function print(text: string): boolean {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

export interface Results {
  /** Adds a line; false if nobody reads on. */
  add(line: string): boolean;
  close(): void;
}

export function openPipe(): Results {
  return { add: (line) => print(line + "\n"), close() {} };
}

/** What decides the results of a run. Files in it are {path, sha256}. */
export type RunRecord = Record<string, unknown>;

/**
 * Opens a file of results to go on with, and tells `see` every row that is there. A last line that a crash cut short
 * is taken away. `<path>.run.json` beside it says what the run is; a file of another run, or of none, is left alone.
 */
export async function openResults(path: string, record: RunRecord, see: (row: unknown) => void): Promise<Results> {
  const host = denoHost();
  const recordPath = `${path}.run.json`;
  const size = await host.exists(path) ? (await Deno.stat(path)).size : 0;
  if (size > 0) await checkRecord(path, recordPath, record);
  await host.write(recordPath, JSON.stringify(record, null, 2) + "\n");
  if (size > 0) {
    let whole = 0;
    for await (const { line, text, end, ended } of readLines(path)) {
      if (!ended) break;
      see(parseLine(text, path, line));
      whole = end;
    }
    if (whole < size) await Deno.truncate(path, whole);
  }
  const file = await Deno.open(path, { append: true, create: true });
  return {
    add(line) {
      let bytes = new TextEncoder().encode(line + "\n");
      while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
      return true;
    },
    close: () => file.close(),
  };
}

async function checkRecord(path: string, recordPath: string, record: RunRecord): Promise<void> {
  const host = denoHost();
  if (!await host.exists(recordPath)) {
    throw new Error(
      `Cannot write to ${path}: it holds something else (${recordPath} is missing); choose another --out`,
    );
  }
  const known = parseLine(await host.readText(recordPath), recordPath, 1) as RunRecord;
  for (const [name, value] of Object.entries(record)) {
    if (same(known[name]) === same(value)) continue;
    const [was, is] = [known[name], value].map(label);
    const what = was === is ? `${is} has changed since` : `${name} was ${was} there and is ${is} now`;
    throw new Error(`Cannot go on with ${path}: ${what}; choose another --out`);
  }
}

/** A file is the same by its content, wherever it lies. */
const same = (value: unknown) => JSON.stringify(value, (key, part) => key === "path" ? undefined : part);
/** For people: files by their paths. */
const label = (value: unknown) =>
  JSON.stringify(value, (_, part) => typeof part?.path === "string" ? part.path : part) ?? "nothing";

function parseLine(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot read ${path}: line ${line} is not JSON (${(error as Error).message})`);
  }
}
