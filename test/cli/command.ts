// The real command line in a process of its own, started as deno.json's task starts it, on a model small enough for a software driver.
import { openGpu } from "../../src/plan/mod.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { parseConfig } from "../../src/model/config.ts";
import { createLlama, initialize } from "../../src/model/llama.ts";
import { saveModel } from "../../src/recipes/checkpoint.ts";
import { tokenizeRows } from "../../src/recipes/sequences.ts";
import { whole } from "../../src/recipes/policy.ts";
import { SFT, trainSft } from "../../src/recipes/sft.ts";

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Starts `etalon <words>` in a process group of its own, as a shell does: Ctrl-C then reaches all of it. */
export function start(...words: string[]): Deno.ChildProcess {
  return startWith({ NO_COLOR: "1" }, ...words);
}

/** The same with these environment variables on top of this process's own. */
export function startWith(env: Record<string, string>, ...words: string[]): Deno.ChildProcess {
  const task: string = JSON.parse(Deno.readTextFileSync("deno.json")).tasks.etalon.command;
  const args = [...task.split(" ").slice(1), ...words];
  const command = { args, env, stdin: "null", stdout: "piped", stderr: "piped", detached: true } as const;
  return new Deno.Command(Deno.execPath(), command).spawn();
}

export async function etalon(...words: string[]): Promise<Ended> {
  return await ended(start(...words));
}

export async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * Saves a small Llama with the micro tokenizer, trained for a second to end any prompt with one of a few lines: a few
 * of its programs are no Python, most are wrong, and now and then one passes.
 */
export async function saveSmallModel(dir: string): Promise<void> {
  const gpu = await openGpu();
  const [disk, memory] = [denoHost(), memoryHost()];
  const path = "models/micro/config.json";
  const shape = parseConfig(await disk.readText(path), path);
  const model = createLlama(gpu, { ...shape, C: 32, F: 48, L: 1, H: 4, G: 2, D: 8 }, true);
  initialize(model, 1);
  const tokenizer = await loadTokenizer(disk, "models/micro");
  const lines = ["    return 0\n", "    return (\n", "    return x\n", "    return None\n"];
  const rows = lines.map((completion) => ({ prompt: "def f(x):\n", completion }));
  const { sequences } = tokenizeRows(tokenizer, rows, 64);
  const config = { ...SFT, steps: 60, batchSize: 4, microBatch: 4, learningRate: 0.01, warmup: 5, checkpointEvery: 0 };
  const given = { host: memory, policy: whole(model), sequences, padId: tokenizer.padId, checkpoints: "c" };
  for await (const event of trainSft({ ...config, logEvery: 60 }, given)) {
    if (event.type === "step" && event.step > 1 && !(event.metrics.loss < 3)) {
      throw new Error(`untrained: loss ${event.metrics.loss}`);
    }
  }
  await saveModel(disk, model, dir, "models/micro");
  gpu.close();
}
