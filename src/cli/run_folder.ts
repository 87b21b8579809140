/** Where a run lives: new folders, unfinished runs to go on with, finished ones to leave alone. */
import { type PipelineConfig, sha256 } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import type { TrainOptions } from "./train.ts";

/** The run's folder; an unfinished run with the same settings is resumed, any other is left alone. */
export async function chooseFolder(
  options: TrainOptions,
  config: PipelineConfig,
): Promise<{ dir: string; fresh: boolean }> {
  const host = denoHost();
  const { data, model, problems, evalProblems } = options;
  const weights = await sha256(await host.readBytes(`${model}/model.safetensors`));
  const wanted = { data, model, weights, problems, evalProblems: evalProblems ?? null, ...config };
  const label = data.split("/").at(-1)!.replace(/\.jsonl(\.gz)?$/, "");
  const base = options.out ?? `runs/${label}-${config.order}-seed${config.seed}`;
  for (let n = 1;; n++) {
    const dir = n === 1 ? base : `${base}-${n}`;
    const path = `${dir}/config.json`;
    // Without a first sample nothing depends on the settings yet: a mistyped path may be mended in place.
    if (!await host.exists(path) || !await host.exists(`${dir}/candidates`)) {
      await host.write(path, JSON.stringify(wanted, null, 2) + "\n");
      return { dir, fresh: true };
    }
    const known = parseJson(await host.readText(path), path);
    const finished = await host.exists(`${dir}/report.json`);
    const other = Object.entries(wanted).find(([name, value]) => known[name] !== value);
    if (!finished && !other) return { dir, fresh: false };
    if (options.out === undefined) continue; // a name of our own choosing: take the next
    if (finished) throw new Error(`Cannot train into ${dir}: it holds a finished run; choose another --out`);
    throw new Error(
      `Cannot go on with ${dir}: ${other![0]} was ${JSON.stringify(known[other![0]])} there and is ` +
        `${JSON.stringify(other![1])} now; choose another --out`,
    );
  }
}

/** An object from a file that this program wrote; the error names it. */
export function parseJson(text: string, path: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot read ${path}: not JSON (${(error as Error).message.split("\n")[0]})`);
  }
}
