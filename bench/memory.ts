/**
 * `bench memory`: peak bytes of a DPO step with each option that saves memory, beside what PyTorch's eager autograd holds at
 * the same shapes (bench/peers/torch_memory.py), what packing saves, and how memory and work grow. Nothing is timed, and
 * all but the smallest shapes are only predicted: set up on a GPU that counts (test/recipes/predict.test.ts holds the
 * prediction to what is created, to the byte).
 */
import { compile, type Gpu, openDryGpu, persistent, Plan, type Recorder, type Tensor } from "../src/plan/mod.ts";
import { type Moments, tokenLogprob } from "../kernels/mod.ts";
import { preferenceLoss } from "../src/loss/preference.ts";
import { sftLoss } from "../src/loss/sft.ts";
import { createGpt, gptAttendWithin, type GptConfig, gptForward, gptHeadWeight } from "../src/model/gpt.ts";
import type { LlamaConfig } from "../src/model/config.ts";
import { createLlama } from "../src/model/llama.ts";
import { createLora } from "../src/model/lora.ts";
import { saveMemory, type Saving } from "../src/model/saving.ts";
import { ADAMW, createOptimizer } from "../src/optim/adamw.ts";
import { microCorpus, type ScriptRunner } from "../src/data/micro/micro.ts";
import { loadTokenizer } from "../src/data/tokenizer.ts";
import { denoHost } from "../src/host/deno.ts";
import { positionsOf } from "../src/recipes/batches.ts";
import { paddingShares } from "../src/recipes/packing.ts";
import { batchInputs, score } from "../src/recipes/scorer.ts";
import { tokenizeRows } from "../src/recipes/sequences.ts";
import { type GptShape, shapes } from "./peers/workload.ts";
import torch from "./results/torch_memory.json" with { type: "json" };
import { exponent } from "./growth.ts";
import type { Row, Suite } from "./report.ts";
import { flopsOf } from "./step.ts";

type Recipe = "sft" | "dpo";

export interface MemoryOptions extends Saving {
  moments: Moments["kind"];
  /** Train adapters of this rank on every projection instead of the weights. Llamas only. */
  lora?: number;
}

export const PLAIN: MemoryOptions = { recompute: "none", moments: "f32" };
const OPTIONS: [name: string, options: MemoryOptions][] = [
  ["plain", PLAIN],
  ["recompute cheap", { ...PLAIN, recompute: "cheap" }],
  ["recompute block", { ...PLAIN, recompute: "block" }],
  ["f16 activations", { ...PLAIN, activations: "f16" }],
  ["cheap, f16", { ...PLAIN, recompute: "cheap", activations: "f16" }],
  ["8-bit moments", { ...PLAIN, moments: "8bit" }],
  ["block, f16, 8-bit", { recompute: "block", activations: "f16", moments: "8bit" }],
  ["LoRA of rank 16", { ...PLAIN, lora: 16 }],
  ["LoRA, block, f16", { ...PLAIN, recompute: "block", activations: "f16", lora: 16 }],
];

const PROJECTIONS = ["self_attn.qkv", "self_attn.o_proj", "mlp.gate_up", "mlp.down_proj"];

export interface Work {
  /** The most bytes in buffers at one time: weights, gradients, moments, inputs, values, sizes of dispatches. */
  peakBytes: number;
  /** Of these, values: activations and their gradients. */
  valueBytes: number;
  parameters: number;
  dispatches: number;
  flops: number;
}

/** A training step of B sequences (DPO: B / 2 pairs) of T tokens, set up on a GPU that counts. */
export async function stepMemory(
  recorder: Recorder,
  model: { kind: "gpt"; config: GptConfig } | { kind: "llama"; config: LlamaConfig },
  recipe: Recipe,
  B: number,
  T: number,
  options: MemoryOptions,
): Promise<Work> {
  const gpu = openDryGpu(recorder);
  const { weights, plan } = model.kind === "gpt"
    ? recordGpt(gpu, model.config, recipe, B, T, options)
    : recordLlama(gpu, model.config, recipe, B, T, options);
  await createOptimizer(gpu, weights, { ...ADAMW, moments: options.moments });
  const { valueBytes } = await compile(gpu, plan);
  const { parameters } = weights;
  return {
    peakBytes: gpu.peak.bytes,
    valueBytes,
    parameters,
    dispatches: plan.dispatches.length,
    flops: flopsOf(plan),
  };
}

function recordLlama(gpu: Gpu, config: LlamaConfig, recipe: Recipe, B: number, T: number, saving: MemoryOptions) {
  const base = createLlama(gpu, config, saving.lora === undefined);
  const lora = saving.lora === undefined
    ? null
    : createLora(base, { rank: saving.lora, alpha: 2 * saving.lora, targets: PROJECTIONS }, true, 1);
  const model = lora ? { ...base, adapters: lora.adapters } : base;
  const inputs = batchInputs(model, B, T);
  const plan = new Plan(recipe, gpu);
  const { logprob } = score(plan, model, inputs, saving.recompute);
  finish(gpu, plan, recipe, logprob, inputs.mask, model.one, saving);
  return { plan, weights: lora ? lora.weights : model.weights };
}

function recordGpt(gpu: Gpu, config: GptConfig, recipe: Recipe, B: number, T: number, saving: Saving) {
  const model = createGpt(gpu, config, true, "all");
  const plan = new Plan(recipe, gpu);
  const [ids, positions, targets] = ["ids", "positions", "targets"].map((name) => persistent(gpu, name, [B, T], "u32"));
  const attend = gptAttendWithin(config, B, T);
  const h = gptForward(plan, model, ids, positions, attend, saving.recompute);
  const { logprob } = tokenLogprob(plan, h, gptHeadWeight(model), targets);
  finish(gpu, plan, recipe, logprob, persistent(gpu, "mask", [B, T]), model.one, saving);
  return { plan, weights: model.weights };
}

function finish(
  gpu: Gpu,
  plan: Plan,
  recipe: Recipe,
  logprob: Tensor,
  mask: Tensor,
  one: Tensor,
  saving: Saving,
): void {
  const [B] = mask.shape;
  const given = (name: string, shape: readonly number[]) => persistent(gpu, name, shape);
  const loss = recipe === "sft" ? sftLoss(plan, logprob, mask) : preferenceLoss(plan, logprob, {
    mask,
    reference: given("reference", [B]),
    pairs: given("pairs", [B / 2, 5]),
    sftWeight: given("sft.weight", mask.shape),
    hyper: given("hyper", [4]),
  }, {}).loss;
  plan.keep(loss);
  plan.backward(loss, one);
  saveMemory(plan, saving);
}

const gptConfig = ({ V, T, C, L, H }: GptShape): GptConfig => ({
  V,
  C,
  L,
  H,
  F: 4 * C,
  D: C / H,
  normEps: 1e-5,
  tied: false,
  maxPositions: T,
});

const llamaConfig = (
  of: { V: number; T: number; C: number; F: number; L: number; H: number; G: number },
  tied: boolean,
) => ({
  ...of,
  D: of.C / of.H,
  tied,
  normEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: of.T,
  bosId: 1,
  eosId: 2,
});

/** An adapter of today's cards: what the large shapes are planned for. */
export const card = (recorder: Recorder): Recorder => ({
  choices: recorder.choices,
  traits: {
    ...recorder.traits,
    family: "nvidia",
    software: false,
    subgroupSize: 32,
    f16: true,
    workgroupBytes: 49152,
    workgroupInvocations: 1024,
    bindingBytes: 2 ** 31 - 4,
  },
});

type ShapeName = keyof typeof torch.rows;
const LARGE: readonly ShapeName[] = ["gpt124m", "gpt1b", "llama7b"];

export function modelOf(name: ShapeName): { model: Parameters<typeof stepMemory>[1]; B: number; T: number } {
  const { shape } = torch.rows[name];
  const { B, T } = shape;
  if (name === "micro" || name === "llama7b") {
    const of = torch.rows[name].shape;
    return { model: { kind: "llama", config: llamaConfig(of, of.tied) }, B, T };
  }
  return { model: { kind: "gpt", config: gptConfig(shapes[name]) }, B, T };
}

/** One suite a shape: a row an option, in MB and as a share of what PyTorch holds. */
export async function memorySuites(recorder: Recorder): Promise<Suite[]> {
  const suites: Suite[] = [];
  for (const name of Object.keys(torch.rows) as ShapeName[]) {
    const large = LARGE.includes(name);
    const { model, B, T } = modelOf(name);
    const { math, flash } = torch.rows[name];
    const peak = "peak" in math ? math.peak : math.kept;
    const rows: Row[] = [
      { name: "PyTorch, attention written out", values: { "peak MB": peak / 1e6 } },
      { name: "PyTorch, fused attention", values: { "peak MB": flash.kept / 1e6 } },
      { name: "the same, gradients freed", values: { "peak MB": flash.fresh / 1e6 } },
    ];
    for (const recipe of ["sft", "dpo"] as const) {
      for (const [option, options] of OPTIONS) {
        if (options.lora !== undefined && model.kind !== "llama") continue;
        const work = await stepMemory(large ? card(recorder) : recorder, model, recipe, B, T, options);
        rows.push({
          name: `${recipe}, ${option}`,
          values: {
            "peak MB": work.peakBytes / 1e6,
            "values MB": work.valueBytes / 1e6,
            // PyTorch's are figures of full training: adapters have nothing to stand beside.
            ...options.lora === undefined && {
              "x PyTorch": work.peakBytes / peak,
              "x fused": work.peakBytes / flash.kept,
              "x freed": work.peakBytes / flash.fresh,
            },
            dispatches: work.dispatches,
          },
        });
      }
    }
    suites.push({
      name: `memory ${name}${large ? ", predicted" : ""}`,
      workload: `a step of ${B} sequences of ${T} tokens, ${(math.parameters / 1e6).toPrecision(3)} M parameters; ` +
        `PyTorch ${torch.torch}: a DPO step, ${"peak" in math ? "measured" : "counted"}; fused attention counted; ` +
        "gradients freed: before each forward pass, which rules out accumulation",
      rows,
    });
  }
  return suites;
}

export interface GrowthPoint {
  x: number;
  peakBytes: number;
  valueBytes: number;
  dispatches: number;
  flops: number;
}

const small = (C: number, T: number): GptConfig => gptConfig({ V: 4096, T, C, L: 6, H: C / 32, B: 1 });

/** A DPO step of one pair against the tokens of a sequence: small-GPT's width and layers. Predicted. */
export async function growthOverTokens(recorder: Recorder, options = PLAIN): Promise<GrowthPoint[]> {
  const points: GrowthPoint[] = [];
  for (const T of [128, 256, 512, 1024, 2048, 4096]) {
    const config = small(256, T);
    points.push({ x: T, ...await stepMemory(card(recorder), { kind: "gpt", config }, "dpo", 2, T, options) });
  }
  return points;
}

/** A DPO step of two pairs of 256 tokens against the parameters, 6 layers of growing width. Predicted. */
export async function growthOverParameters(recorder: Recorder, options = PLAIN): Promise<GrowthPoint[]> {
  const points: GrowthPoint[] = [];
  for (const C of [128, 256, 512, 1024, 2048, 4096]) {
    const work = await stepMemory(card(recorder), { kind: "gpt", config: small(C, 256) }, "dpo", 4, 256, options);
    points.push({ x: work.parameters, ...work });
  }
  return points;
}

function growthSuite(name: string, workload: string, unit: string, points: readonly GrowthPoint[]): Suite {
  const slope = (of: readonly GrowthPoint[], y: (point: GrowthPoint) => number) =>
    exponent(of.map((point) => ({ x: point.x, y: y(point) })));
  const ends = (of: readonly GrowthPoint[]) => ({
    "peak MB": slope(of, ({ peakBytes }) => peakBytes),
    "values MB": slope(of, ({ valueBytes }) => valueBytes),
    dispatches: slope(of, ({ dispatches }) => dispatches),
    GFLOP: slope(of, ({ flops }) => flops),
  });
  return {
    name,
    workload,
    rows: [
      ...points.map(({ x, peakBytes, valueBytes, dispatches, flops }) => ({
        name: `${unit} ${unit === "T" ? x : `${(x / 1e6).toPrecision(3)} M`}`,
        values: { "peak MB": peakBytes / 1e6, "values MB": valueBytes / 1e6, dispatches, GFLOP: flops / 1e9 },
      })),
      { name: "exponent, all", values: ends(points) },
      { name: "exponent, last three", values: ends(points.slice(-3)) },
    ],
  };
}

/** Padding of the corpus that models/micro learned from, in buckets and packed, at the recipe's batch sizes. */
export async function packingSuite(pool: ScriptRunner, count: number): Promise<Suite> {
  const tokenizer = await loadTokenizer(denoHost(), "models/micro");
  const corpus = await microCorpus(pool, { seed: 1, count });
  const lengths = tokenizeRows(tokenizer, corpus, 1024).sequences.map(positionsOf);
  const rows = [[32, 16], [64, 16], [256, 16]].map(([batchSize, microBatch]): Row => {
    const { bucketed, packed } = paddingShares(lengths, { batchSize, microBatch, longest: 1024 });
    return {
      name: `${batchSize} sequences a step, ${microBatch} rows at a time`,
      values: {
        "padding %": 100 * bucketed,
        "packed %": 100 * packed,
        "positions x": (1 - bucketed) / (1 - packed), // packed / bucketed: each is used / (1 - share)
      },
    };
  });
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  return {
    name: "packing",
    workload:
      `${lengths.length} rows of the micro corpus, ${longest} positions the longest; share of positions that are ` +
      "padding, and positions computed packed / in buckets",
    rows,
  };
}

/** Everything here; `quick` leaves out the corpus, whose making starts Python. */
export async function benchMemory(gpu: Recorder, pool: ScriptRunner | null): Promise<Suite[]> {
  return [
    ...await memorySuites(gpu),
    growthSuite(
      "memory with T",
      "DPO step of one pair, 6 layers of width 256; predicted",
      "T",
      await growthOverTokens(gpu),
    ),
    growthSuite(
      "memory with parameters",
      "DPO step of two pairs of 256 tokens, 6 layers; predicted",
      "parameters",
      await growthOverParameters(gpu),
    ),
    ...pool ? [await packingSuite(pool, 2000)] : [],
  ];
}
