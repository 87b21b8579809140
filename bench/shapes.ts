/** What `bench step` trains on which kind of adapter. */
import type { LlamaConfig } from "../src/model/config.ts";
import type { GptConfig } from "../src/model/gpt.ts";
import { type GptShape, type ShapeName, shapes } from "./peers/workload.ts";
import { largeShape, microShape } from "./workload.ts";

export interface StepShape {
  name: string;
  config: LlamaConfig | GptConfig;
  /** Sequences and tokens of a micro-step. */
  B: number;
  T: number;
  /** Also with each way to save memory of activations. */
  savings: boolean;
}

export function gptConfig({ V, T, C, L, H }: GptShape): GptConfig {
  return { C, F: 4 * C, L, H, D: C / H, V, normEps: 1e-5, tied: false, maxPositions: T };
}

/** One of the fixed workloads of the peer comparison. */
function gptShape(name: ShapeName, title: string): StepShape {
  const { B, T } = shapes[name];
  return { name: `${title} ${B}x${T}`, config: gptConfig(shapes[name]), B, T, savings: false };
}

/** As wide and deep as Llama 3.2 1B: 1.24 billion parameters. */
function llama1b(): StepShape {
  const config: LlamaConfig = {
    C: 2048,
    F: 8192,
    L: 16,
    H: 32,
    G: 8,
    D: 64,
    V: 128_256,
    normEps: 1e-5,
    ropeTheta: 500_000,
    tied: true,
    maxPositions: 1024,
    bosId: 1,
    eosId: 2,
  };
  return { name: "Llama 1B 2x1024", config, B: 2, T: 1024, savings: false };
}

/**
 * Small ones on software adapters (`large` adds one that takes seconds a step there), models of real size on GPUs. `savings`:
 * whether the Llamas run with each way to save memory too, whose kernels take a software adapter a minute to compile.
 */
export async function stepShapes(software: boolean, large: boolean, savings = true): Promise<StepShape[]> {
  const all: StepShape[] = [{ ...await microShape(), savings }, gptShape("tiny", "tiny-GPT")];
  if (!software || large) all.push(gptShape("small", "small-GPT"));
  if (!software) all.push({ ...largeShape(), savings }, gptShape("gpt124m", "GPT 124M"), llama1b());
  return all;
}
