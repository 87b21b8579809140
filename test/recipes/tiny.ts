// A Llama small enough for a software driver, made-up sequences, and runs of a recipe that can be stopped or cut off.
import { type Gpu } from "../../src/plan/mod.ts";
import type { Host } from "../../src/host/host.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import { createLlama, initialize, type Llama } from "../../src/model/llama.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { sha256 } from "../../src/files/sha256.ts";
import { createLora } from "../../src/model/lora.ts";
import type { DpoPair } from "../../src/recipes/dpo.ts";
import { adapted, type Policy } from "../../src/recipes/policy.ts";
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

export function tinyLlama(gpu: Gpu, seed = 1, config: Partial<LlamaConfig> = {}, training = true): Llama {
  const model = createLlama(gpu, { ...TINY, ...config }, training);
  initialize(model, seed);
  return model;
}

/** LoRA adapters beside a tiny model without gradients of its own. */
export function tinyAdapted(gpu: Gpu, seed = 1, config: Partial<LlamaConfig> = {}): Policy {
  const base = tinyLlama(gpu, seed, config, false);
  const lora = createLora(base, { rank: 4, alpha: 8, targets: ["self_attn.qkv", "mlp.down_proj"] }, true, seed);
  return adapted(base, lora);
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

/** Pairs of which half of the tokens count, some more than others; each has a margin and a chance of being wrong. */
export function weightedPairs(count: number, seed: number): DpoPair[] {
  const weights = ({ tokens, promptLength }: Sequence, i: number) =>
    tokens.slice(promptLength).map((_, t) => (t + i) % 4 / 2);
  return pairs(count, seed).map((pair, i) => ({
    ...pair,
    chosenWeights: weights(pair.chosen, i),
    rejectedWeights: weights(pair.rejected, i),
    margin: i / 10,
    labelSmoothing: i / 20,
  }));
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
