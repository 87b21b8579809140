/** Where a run lives: new folders, unfinished runs to go on with, finished ones to leave alone. */
import { differing, type Settings } from "../mod.ts";
import { denoHost } from "../host/deno.ts";

/** What a run folder's config.json holds: every setting, where problems and model come from, and the hash of its weights. */
export type RunRecord = Settings;

/**
 * The folder for a new run, or the unfinished one with the same settings, which goes on; any other is left alone.
 * @param out the folder asked for; without, the first of `base`, `base-2`, … that will do
 */
export async function chooseFolder(
  out: string | undefined,
  base: string,
  wanted: RunRecord,
): Promise<{ dir: string; fresh: boolean }> {
  const host = denoHost();
  for (let n = 1;; n++) {
    const dir = out ?? (n === 1 ? base : `${base}-${n}`);
    const path = `${dir}/config.json`;
    // Without a store nothing depends on the settings yet: a mistyped path may be mended in place.
    if (!await host.exists(path) || !await host.exists(`${dir}/run.db`)) {
      await writeRecord(dir, wanted);
      return { dir, fresh: true };
    }
    const known = parseJson(await host.readText(path), path) as RunRecord;
    const finished = await host.exists(`${dir}/report.json`);
    const other = differing(known, wanted);
    if (!finished && !other) return { dir, fresh: false };
    if (out === undefined) continue; // a name of our own choosing: take the next
    if (finished) throw new Error(`Cannot train into ${dir}: it holds a finished run; choose another --out`);
    throw new Error(
      `Cannot go on with ${dir}: ${other!.name} was ${other!.was} there and is ${other!.is} now; choose another --out`,
    );
  }
}

export async function writeRecord(dir: string, record: RunRecord): Promise<void> {
  await denoHost().write(`${dir}/config.json`, JSON.stringify(record, null, 2) + "\n");
}

/** An object from a file that this program wrote; the error names it. */
export function parseJson(text: string, path: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot read ${path}: not JSON (${(error as Error).message.split("\n")[0]})`);
  }
}
