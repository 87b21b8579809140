/** The fixed workloads: a model with random weights, batches of random tokens, and the plans a training step replays. */
import {
  elements,
  type Executable,
  type Gpu,
  persistent,
  Plan,
  type Tensor,
  type Weights,
  write,
} from "../src/plan/mod.ts";
import { adamw, gradNorm, type Moments, tokenLogprob } from "../kernels/mod.ts";
import { createMoments, momentTensors } from "../src/optim/moments.ts";
import { preferenceLoss } from "../src/loss/preference.ts";
import { ppoLoss } from "../src/loss/ppo.ts";
import { sftLoss } from "../src/loss/sft.ts";
import { type LlamaConfig, parseConfig } from "../src/model/config.ts";
import { createGpt, type Gpt, gptAttendWithin, type GptConfig, gptForward, gptHeadWeight } from "../src/model/gpt.ts";
import { attendWithin, createLlama, forward, headWeight, initialize, type Llama } from "../src/model/llama.ts";
import { type Recompute, saveMemory, type Saving } from "../src/model/saving.ts";
import { uniformStream } from "../src/model/philox.ts";
import { createValueHead, predictValues } from "../src/model/value_head.ts";
import { destroyInputs } from "../src/recipes/scorer.ts";
import { median } from "./units.ts";

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

/** Empty weights for training. */
export function createModel(gpu: Gpu, config: LlamaConfig): Llama;
export function createModel(gpu: Gpu, config: GptConfig): Gpt;
export function createModel(gpu: Gpu, config: LlamaConfig | GptConfig): Llama | Gpt;
export function createModel(gpu: Gpu, config: LlamaConfig | GptConfig): Llama | Gpt {
  return "ropeTheta" in config ? createLlama(gpu, config, true) : createGpt(gpu, config, true, "all");
}

/** Initial weights as in training; of more than 50 million, one run of normal numbers over and over: drawing them takes minutes. */
export function randomModel(gpu: Gpu, config: LlamaConfig): Llama;
export function randomModel(gpu: Gpu, config: GptConfig): Gpt;
export function randomModel(gpu: Gpu, config: LlamaConfig | GptConfig): Llama | Gpt;
export function randomModel(gpu: Gpu, config: LlamaConfig | GptConfig): Llama | Gpt {
  const model = createModel(gpu, config);
  if (model.weights.parameters < 50e6) {
    initialize(model, 1);
    return model;
  }
  const uniform = uniformStream(1, 0);
  const run = Float32Array.from({ length: 1_000_003 }, () => 0.02 * Math.sqrt(3) * (2 * uniform() - 1));
  for (const [name, tensor] of model.weights.tensors) {
    const data = new Float32Array(elements(tensor.shape)).fill(name.endsWith(".bias") ? 0 : 1);
    if (tensor.shape.length > 1) {
      for (let at = 0; at < data.length; at += run.length) data.set(run.subarray(0, data.length - at), at);
    }
    write(gpu, tensor, data);
  }
  return model;
}

export function destroyModel(model: Llama | Gpt): void {
  const pages = model.weights.pages.flatMap((page) => [page.weights, page.gradients]);
  const table = "ropeTable" in model ? model.ropeTable : undefined;
  for (const tensor of [...pages, table, model.one]) tensor?.storage.buffer?.destroy();
}

export interface Recorded {
  plan: Plan;
  /** Holds the loss after a run. */
  loss: Tensor;
  destroy(): void;
}

/** ids and positions [B,T] -> hidden states [B,T,C]. */
function hiddenStates(plan: Plan, model: Llama | Gpt, ids: Tensor, positions: Tensor, recompute: Recompute): Tensor {
  const [B, T] = ids.shape;
  if ("ropeTable" in model) return forward(plan, model, ids, positions, attendWithin(model.config, B, T), recompute);
  return gptForward(plan, model, ids, positions, gptAttendWithin(model.config, B, T), recompute);
}

export type Recipe = "sft" | "dpo" | "ppo";

/**
 * One micro-step, forward and backward: `sft` on B sequences, `dpo` on B/2 pairs, `ppo` on B rollouts. Every target counts, and
 * gradients pile up over runs as they do over the micro-batches of a step.
 */
export function recordMicroStep(
  model: Llama | Gpt,
  recipe: Recipe,
  B: number,
  T: number,
  saving: Saving = { recompute: "none" },
): Recorded {
  const { gpu } = model;
  const { C, V } = model.config;
  const uniform = uniformStream(2, 0);
  const given: Record<string, Tensor> = {};
  const constant = (name: string, shape: number[], ...values: number[]) => {
    given[name] = persistent(gpu, name, shape);
    write(gpu, given[name], Float32Array.from({ length: elements(shape) }, (_, i) => values[i % values.length]));
    return given[name];
  };
  const integers = (name: string, value: (i: number) => number) => {
    given[name] = persistent(gpu, name, [B, T], "u32");
    write(gpu, given[name], Uint32Array.from({ length: B * T }, (_, i) => value(i)));
    return given[name];
  };

  const plan = new Plan(`${recipe}.${B}x${T}`, gpu);
  const ids = integers("ids", () => Math.floor(uniform() * V));
  const positions = integers("positions", (i) => i % T);
  const hidden = hiddenStates(plan, model, ids, positions, saving.recompute);
  const head = "ropeTable" in model ? headWeight(model) : gptHeadWeight(model);
  const scored = tokenLogprob(plan, hidden, head, integers("targets", () => Math.floor(uniform() * V)));
  const { logprob } = scored;
  let loss: Tensor;
  if (recipe === "sft") loss = sftLoss(plan, logprob, constant("loss.weight", [B, T], -1 / (B * T)));
  else if (recipe === "dpo") {
    loss = preferenceLoss(plan, logprob, {
      mask: constant("mask", [B, T], 1),
      reference: constant("reference", [B], -T * Math.log(V)),
      pairs: constant("pairs", [B / 2, 5], 2 / B, T, T, 0, 0),
      sftWeight: constant("sft.weight", [B, T], 0),
      hyper: constant("hyper", [4], 0.1),
    }, {}).loss;
    write(gpu, given["sft.weight"], new Float32Array(B * T / 2).fill(-0.2 / (B * T))); // winners
  } else {
    const valueHead = createValueHead(gpu, C);
    for (const { weights, gradients } of valueHead.pages) Object.assign(given, { weights, gradients });
    loss = ppoLoss(plan, scored, {
      oldLogprobs: constant("old.logprobs", [B, T], -Math.log(V)),
      reference: constant("reference", [B, T], -Math.log(V)),
      advantages: constant("advantages", [B, T], 1),
      weights: constant("loss.weight", [B, T], 1 / (B * T)),
      means: constant("means", [B, T], 1 / (B * T)),
      policyHyper: constant("policy.hyper", [4], 0.2, 0.2, 0, 0),
      critic: {
        values: predictValues(plan, hidden, valueHead),
        oldValues: constant("old.values", [B, T], 0),
        returns: constant("returns", [B, T], 1),
        hyper: constant("value.hyper", [2], 0.2, 0.1),
      },
    }).loss;
  }
  plan.keep(loss);
  plan.backward(loss, model.one);
  saveMemory(plan, saving);
  return { plan, loss, destroy: () => destroyInputs(given) };
}

/** The optimizer step: gradient norm, clipping, AdamW. Learning rate 0, so that repeated runs leave the weights alone. */
export function recordUpdate(
  model: { gpu: Gpu; weights: Weights },
  kind: Moments["kind"] = "f32",
): { plan: Plan; norm: Tensor; destroy(): void } {
  const { gpu, weights } = model;
  const hyper = persistent(gpu, "adamw.hyper", [8]);
  const norm = persistent(gpu, "adamw.norm", [2]);
  write(gpu, hyper, Float32Array.of(0, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001, 1));
  const plan = new Plan("update", gpu);
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
  runs: readonly { executable: Pick<Executable, "run" | "reader">; watch: Tensor }[],
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
