// A Llama small enough for a software driver, made-up sequences, and runs of a recipe that can be stopped or cut off.
import { type Gpu } from "../../src/plan/mod.ts";
import type { Host } from "../../src/host/host.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { createLlama, initialize, type Llama } from "../../src/model/llama.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { sha256 } from "../../src/files/sha256.ts";
import type { StepEvent, TrainingEvent } from "../../src/recipes/events.ts";
import { random } from "../kernels/check_op.ts";

export const TINY: LlamaConfig = {
  C: 32,
  F: 48,
  L: 1,
  H: 4,
  G: 2,
  D: 8,
  V: 96,
  normEps: 1e-5,
  ropeTheta: 10000,
  tied: true,
  maxPositions: 256,
  bosId: 1,
  eosId: 2,
};
export const PAD = 0;

export function tinyLlama(gpu: Gpu, seed = 1, config: Partial<LlamaConfig> = {}): Llama {
  const model = createLlama(gpu, { ...TINY, ...config }, true);
  initialize(model, seed);
  return model;
}

/** BOS, a prompt of 2 to 5 tokens, a completion of 2 to 9 tokens, EOS: of unequal lengths, in two buckets. */
export function sequences(count: number, seed: number): Sequence[] {
  const next = random(seed);
  const words = (low: number, high: number) =>
    Array.from({ length: low + Math.floor(next() * (high - low + 1)) }, () => 3 + Math.floor(next() * (TINY.V - 3)));
  return Array.from({ length: count }, (_, i) => {
    const prompt = [1, ...words(2, 5)];
    return { tokens: [...prompt, ...words(2, i % 4 === 0 ? 18 : 9), 2], promptLength: prompt.length };
  });
}

/** Two completions of one prompt that share their first token. */
export function pairs(count: number, seed: number): { chosen: Sequence; rejected: Sequence }[] {
  return sequences(count, seed).map((chosen, i) => {
    const other = sequences(count, seed + 1)[i].tokens.slice(-3);
    const tokens = [...chosen.tokens.slice(0, chosen.promptLength + 1), ...other];
    return { chosen, rejected: { tokens, promptLength: chosen.promptLength } };
  });
}

/** Runs a recipe and gives back its logged metrics; `leave` breaks off without notice, as a crash would. */
export async function metricsOf(
  run: AsyncGenerator<TrainingEvent>,
  leave: (event: TrainingEvent) => boolean = () => false,
): Promise<{ step: number; metrics: Record<string, number> }[]> {
  const logged: StepEvent[] = [];
  for await (const event of run) {
    if (event.type === "step") logged.push(event);
    if (leave(event)) break;
  }
  return logged.map(({ step, metrics }) => ({ step, metrics }));
}

/** The checkpoint's files, weights and both moments, as hashes: a difference prints as one line. */
export async function checkpointHashes(host: Host, dir: string, step: number): Promise<string[]> {
  const files = ["model.safetensors", "optimizer.safetensors"];
  return await Promise.all(
    files.map(async (file) => `${file} ${await sha256(await host.readBytes(`${dir}/step-${step}/${file}`))}`),
  );
}
