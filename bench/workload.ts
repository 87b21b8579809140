/** The fixed workloads: a model with random weights, batches of random tokens, and the plans a training step replays. */
import { type Executable, type Gpu, persistent, Plan, type Tensor, write } from "../src/plan/mod.ts";
import { adamw, gradNorm, type Moments } from "../kernels/mod.ts";
import { createMoments, momentTensors } from "../src/optim/moments.ts";
import { dpoLoss } from "../src/loss/dpo.ts";
import { sftLoss } from "../src/loss/sft.ts";
import { type LlamaConfig, parseConfig } from "../src/model/config.ts";
import { createLlama, initialize, type Llama } from "../src/model/llama.ts";
import { saveMemory, type Saving } from "../src/model/saving.ts";
import { uniformStream } from "../src/model/philox.ts";
import { median } from "./units.ts";
import { batchInputs, destroyInputs, score } from "../src/recipes/scorer.ts";

export interface Shape {
  name: string;
  config: LlamaConfig;
  /** Sequences and tokens of a micro-step. */
  B: number;
  T: number;
}

/** The micro model as it is trained: 16 sequences of 64 tokens. */
export async function microShape(): Promise<Shape> {
  const path = new URL("../models/micro/config.json", import.meta.url);
  const config = parseConfig(await Deno.readTextFile(path), "models/micro/config.json");
  return { name: "micro 16x64", config, B: 16, T: 64 };
}

/** Layers as wide as those of a model of half a billion parameters, four of them: work that fills a GPU. */
export function largeShape(): Shape {
  const config: LlamaConfig = {
    C: 1024,
    F: 2816,
    L: 4,
    H: 16,
    G: 4,
    D: 64,
    V: 32_000,
    normEps: 1e-5,
    ropeTheta: 10_000,
    tied: true,
    maxPositions: 1024,
    bosId: 1,
    eosId: 2,
  };
  return { name: "large 8x512", config, B: 8, T: 512 };
}

/** True for adapters that run on the CPU: the large shapes would take minutes there. */
export function isSoftware(adapterName: string): boolean {
  return /llvmpipe|lavapipe|swiftshader|softpipe|basic render|software/i.test(adapterName);
}

export function randomModel(gpu: Gpu, config: LlamaConfig): Llama {
  const model = createLlama(gpu, config, true);
  initialize(model, 1);
  return model;
}

export function destroyModel(model: Llama): void {
  const { weights, ropeTable, one } = model;
  const pages = weights.pages.flatMap((page) => [
    page.weights,
    page.gradients,
  ]);
  for (const tensor of [...pages, ropeTable, one]) tensor?.storage.buffer?.destroy();
}

export interface Recorded {
  plan: Plan;
  /** Holds the loss after a run. */
  loss: Tensor;
  destroy(): void;
}

/**
 * One micro-step, forward and backward: `sft` on B sequences, `dpo` on B/2 pairs. Every target counts, and gradients pile
 * up over runs as they do over the micro-batches of a step.
 */
export function recordMicroStep(
  model: Llama,
  recipe: "sft" | "dpo",
  B: number,
  T: number,
  saving: Saving = { recompute: "none" },
): Recorded {
  const { gpu, config } = model;
  const uniform = uniformStream(2, 0);
  const ids = () => Uint32Array.from({ length: B * T }, () => Math.floor(uniform() * config.V));
  const inputs = batchInputs(model, B, T);
  write(gpu, inputs.ids, ids());
  write(gpu, inputs.targets, ids());
  write(gpu, inputs.mask, new Float32Array(B * T).fill(1));
  const given: Record<string, Tensor> = {};
  const constant = (name: string, shape: number[], value: number) => {
    given[name] = persistent(gpu, name, shape);
    write(gpu, given[name], new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value));
    return given[name];
  };

  const plan = new Plan(`${recipe}.${B}x${T}`, model.gpu);
  const { logprob } = score(plan, model, inputs, saving.recompute);
  const loss = recipe === "sft"
    ? sftLoss(plan, logprob, constant("loss.weight", [B, T], -1 / (B * T)))
    : dpoLoss(plan, logprob, {
      mask: inputs.mask,
      reference: constant("reference", [B], -T * Math.log(config.V)),
      pairWeight: constant("pair.weight", [B / 2], 2 / B),
      sftWeight: constant("sft.weight", [B, T], 0),
      hyper: constant("hyper", [2], 0.1),
    }).loss;
  if (recipe === "dpo") write(gpu, given["sft.weight"], new Float32Array(B * T / 2).fill(-0.2 / (B * T))); // winners
  plan.keep(loss);
  plan.backward(loss, model.one);
  saveMemory(plan, saving);
  return { plan, loss, destroy: () => destroyInputs({ ...inputs, ...given }) };
}

/** The optimizer step: gradient norm, clipping, AdamW. Learning rate 0, so that repeated runs leave the weights alone. */
export function recordUpdate(
  model: Llama,
  kind: Moments["kind"] = "f32",
): { plan: Plan; norm: Tensor; destroy(): void } {
  const { gpu, weights } = model;
  const hyper = persistent(gpu, "adamw.hyper", [8]);
  const norm = persistent(gpu, "adamw.norm", [2]);
  write(gpu, hyper, Float32Array.of(0, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001, 1));
  const plan = new Plan("update", model.gpu);
  const moments = createMoments(gpu, weights.pages, kind);
  gradNorm(plan, weights.pages, hyper, norm);
  adamw(plan, weights.pages, moments, hyper, norm);
  const state = Object.assign({}, ...moments.map((of, i) => Object.fromEntries(momentTensors(of, i))));
  return { plan, norm, destroy: () => destroyInputs({ hyper, norm, ...state }) };
}

/**
 * Wall-clock milliseconds of one run of each: medians of `rounds` blocks, each ending with a readback of `watch`. They take
 * turns, so a machine that slows down slows all of them. A block replays its plan until about 300 ms are over, because a
 * readback alone takes 11 ms in Deno.
 */
export async function timeInTurns(
  runs: readonly { executable: Executable; watch: Tensor }[],
  rounds: number,
): Promise<number[]> {
  const timers = [];
  for (const { executable, watch } of runs) {
    const reader = executable.reader([watch]);
    const block = async (times: number) => {
      const start = performance.now();
      await executable.run(times);
      await reader.read();
      return (performance.now() - start) / times;
    };
    await block(1); // the first run of a pipeline may compile it
    const times = Math.min(200, Math.max(1, Math.round(300 / await block(1))));
    timers.push({ block, times, samples: [] as number[], destroy: () => reader.destroy() });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { block, times, samples } of timers) samples.push(await block(times));
  }
  for (const timer of timers) timer.destroy();
  return timers.map(({ samples }) => median(samples));
}
