/**
 * A run: one folder with a store, and the stages that fill it. Every stage leaves its result in the store under a key of all it
 * depends on, and is skipped where that is there; so an interrupted run goes on where it stopped, and stages may as well be
 * run one by one, each by its own command.
 */
import type { Gpu } from "../plan/mod.ts";
import type { Host } from "../host/host.ts";
import { askedText, type Problem } from "../data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { ReportTable, RunReport } from "../eval/report.ts";
import { sha256 } from "../files/sha256.ts";
import { type LlamaConfig, parseConfig } from "../model/config.ts";
import { createGenerator, type Generator } from "../model/generate.ts";
import { destroyModel, type Llama, parameterCount } from "../model/llama.ts";
import { openStore, type RunStore } from "../store/store.ts";
import type { Pool } from "../trace/pool.ts";
import { bucketsBetween } from "./batches.ts";
import { loadModel } from "./checkpoint.ts";
import type { TrainingEvent } from "./events.ts";
import { loadPolicy, type Policy } from "./policy.ts";
import { predict, type Prediction, requireMemory, type Workload } from "./predict.ts";
import type { RolloutProgress } from "./rollout.ts";
import type { RunConfig } from "./run_config.ts";
import { promptTokens } from "./sequences.ts";
import { differing, type Settings } from "./settings.ts";

export interface RunGiven {
  host: Host;
  gpu: Gpu;
  pool: Pool;
  /** The run's folder. */
  dir: string;
  /** Hugging Face folder of the model to align. */
  modelDir: string;
  dataName: string;
  trainProblems: readonly Problem[];
  evalProblems: readonly Problem[];
  /** What the evaluated problems are, in words: "held-out families". */
  evalOn: string;
  command: string;
  /** All settings, as the report shows them. */
  settings: Record<string, unknown>;
  notes: readonly string[];
  /** Bytes of GPU memory that the run may take; null where nobody knows. */
  memoryBytes: number | null;
}

export type RunEvent =
  | { type: "stage"; name: string; detail: string; seconds: number | null }
  | ({ type: "progress"; stage: string } & RolloutProgress)
  /** Counted work of a stage that is neither samples nor steps. */
  | { type: "work"; stage: string; done: number; total: number; what: string }
  | ({ stage: string } & (TrainingEvent | { type: "halted"; step: number; reason: string }))
  | { type: "memory"; prediction: Prediction }
  | { type: "packing"; bucketed: number; packed: number }
  | { type: "report"; report: RunReport; path: string };

export interface StageResult {
  /** One line on what came out. */
  detail: string;
  /** Of a stage that trains: optimizer steps, or iterations. */
  steps?: number;
  tables?: ReportTable[];
  notes?: string[];
  tokensPerSecond?: number;
  /** What later stages and the report read, as JSON. */
  data?: unknown;
}

export interface Stage {
  /** Names its result, its metrics and its folder. */
  readonly name: string;
  /** Stages whose results this one builds on. */
  readonly needs: readonly string[];
  /** All it depends on beside those, the model and the problems. */
  settings(config: RunConfig): unknown;
  run(run: Run, signal?: AbortSignal): AsyncGenerator<RunEvent, StageResult>;
  /** What it will ask of the GPU's memory, as far as that can be predicted before anything runs. */
  workload?(facts: RunFacts): Workload | null;
}

/** A stage's result as the store keeps it. */
export interface StageRecord extends StageResult {
  key: string;
  seconds: number;
  /** Milliseconds since 1970. */
  finishedAt: number;
}

/** What is known of a run before anything is on the GPU or in the store. */
export interface RunFacts {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  readonly shape: LlamaConfig;
  /** Problems whose prompts leave room for an answer; notes say how many do not. */
  readonly trainProblems: readonly Problem[];
  readonly evalProblems: readonly Problem[];
}

/** A model and what writes with it. */
export interface Sampler {
  model: Llama;
  generator: Generator;
}

export interface Run extends Omit<RunGiven, "trainProblems" | "evalProblems">, RunFacts {
  readonly store: RunStore;
  /** Of the stages that can be predicted. */
  readonly predictions: readonly Prediction[];
  readonly parameters: number;
  /** Hash of the weights in modelDir. */
  readonly modelId: string;
  /** Tokens of the longest sequence that any stage samples. */
  readonly longest: number;
  /**
   * The model of a stage that has trained one, else the base, for sampling sequences of at most so many tokens (default:
   * `longest`). It stays loaded until another model is asked for.
   */
  sampler(stage: string | null, tokens?: number): Promise<Sampler>;
  /** The base model, to be trained. Nothing else is on the GPU then. */
  policy(): Promise<Policy>;
  /** Frees whatever model is loaded. */
  unload(): void;
  record(stage: string): Promise<StageRecord | null>;
  /** Folder of a stage. */
  folder(stage: string): string;
}

/**
 * Reads what a run is about, refuses it where the model is broken or the memory short, and only then makes its store: a command
 * that was wrong leaves nothing that a mended one would meet.
 */
export async function openRun(config: RunConfig, given: RunGiven, stages: readonly Stage[]): Promise<Run> {
  const { host, gpu, dir, modelDir } = given;
  const tokenizer = await loadTokenizer(host, modelDir);
  const shapePath = `${modelDir}/config.json`;
  const shape = parseConfig(await host.readText(shapePath), shapePath);
  if (tokenizer.vocabSize > shape.V) {
    throw new Error(
      `Cannot use ${modelDir}: its tokenizer has ${tokenizer.vocabSize} tokens, its config.json ${shape.V}`,
    );
  }
  const notes = [...given.notes];
  const { maxNewTokens, sampleBatch } = config.sample;
  const room = shape.maxPositions - maxNewTokens;
  const length = (problem: Problem) => promptTokens(tokenizer, askedText(problem)).length;
  const fitting = (problems: readonly Problem[], use: string): Problem[] => {
    const kept = problems.filter((problem) => length(problem) <= room);
    const lost = problems.length - kept.length;
    if (kept.length === 0) throw new Error(`Cannot ${use}: no prompt leaves room for ${maxNewTokens} new tokens`);
    if (lost > 0) notes.push(`${lost} problems to ${use} have prompts of more than ${room} tokens and were left out.`);
    return kept;
  };
  const trainProblems = fitting(given.trainProblems, "train on");
  const evalProblems = fitting(given.evalProblems, "evaluate on");
  const longest = Math.min(
    shape.maxPositions,
    Math.max(...[...trainProblems, ...evalProblems].map(length)) + maxNewTokens,
  );
  const modelId = await sha256(await host.readBytes(`${modelDir}/model.safetensors`));
  const facts: RunFacts = { config, tokenizer, shape, trainProblems, evalProblems };
  const predictions = await predictMemory(given, facts, stages);
  if (!await host.exists(`${dir}/run.db`)) destroyModel(await loadModel(host, gpu, modelDir, false)); // its weights are whole
  const store = await openStore(host, `${dir}/run.db`);
  await store.addProblems(trainProblems);
  const known = new Set(trainProblems.map(({ id }) => id));
  await store.addProblems(evalProblems.filter(({ id }) => !known.has(id)));

  let loaded: { of: string | null; tokens?: number; sampler?: Sampler; free(): void } | undefined;
  const unload = () => {
    loaded?.sampler?.generator.destroy();
    loaded?.free();
    loaded = undefined;
  };
  const folder = (stage: string) => `${dir}/${stage}`;
  return {
    ...given,
    ...facts,
    notes,
    store,
    predictions,
    parameters: parameterCount(shape),
    modelId,
    longest,
    async sampler(stage, tokens = longest) {
      if (loaded?.sampler && loaded.of === stage && loaded.tokens === tokens) return loaded.sampler;
      unload();
      const model = await loadModel(host, gpu, stage === null ? modelDir : `${folder(stage)}/model`, false);
      loaded = { of: stage, tokens, free: () => destroyModel(model) };
      return loaded.sampler = { model, generator: await createGenerator(model, sampleBatch, tokens) };
    },
    async policy() {
      unload();
      const { rank, alpha, targets } = config.lora;
      const lora = rank > 0 ? { rank, alpha, targets } : undefined;
      const policy = await loadPolicy(host, gpu, modelDir, { lora, seed: config.seed });
      loaded = { of: "training", free: () => policy.destroy() };
      return policy;
    },
    unload,
    record: async (stage) => await store.meta(`stage ${stage}`) as StageRecord | null,
    folder,
  };
}

async function predictMemory(given: RunGiven, facts: RunFacts, stages: readonly Stage[]): Promise<Prediction[]> {
  const { gpu, memoryBytes } = given;
  const predictions: Prediction[] = [];
  for (const stage of stages) {
    const workload = stage.workload?.(facts);
    if (!workload) continue;
    const prediction = await predict(gpu, workload);
    if (memoryBytes !== null) await requireMemory(gpu, workload, prediction, memoryBytes);
    predictions.push(prediction);
  }
  return predictions;
}

/** Lengths in positions that a sample with its prompt may have, one of every bucket. */
export function possibleLengths({ config, shape, tokenizer, trainProblems }: RunFacts): number[] {
  const prompts = trainProblems.map((problem) => promptTokens(tokenizer, askedText(problem)).length);
  const most = Math.max(...prompts) + config.sample.maxNewTokens - 1;
  return bucketsBetween(Math.min(...prompts), most, shape.maxPositions);
}

/** What a stage depends on, and the hash of that. Error: a stage that it builds on is not done. */
async function keyOf(run: Run, stage: Stage): Promise<{ key: string; settings: unknown }> {
  const needed = await Promise.all(stage.needs.map(async (name) => {
    const record = await run.record(name);
    if (!record) throw new Error(`Cannot run stage ${stage.name} in ${run.dir}: stage ${name} comes first`);
    return record.key;
  }));
  const problems = await sha256(JSON.stringify([run.trainProblems, run.evalProblems]));
  const identity = JSON.stringify([run.modelId, problems, run.config.seed]);
  const settings = stage.settings(run.config);
  return { key: await sha256(JSON.stringify([identity, stage.name, settings, needed])), settings };
}

/** What a stage was begun with, whether or not it came to its end. */
const begunKey = (stage: Stage) => `begun ${stage.name}`;

/** The first setting that differs, with its section, or the stage for want of one. */
function changed(stage: Stage, was: unknown, is: unknown): ReturnType<typeof differing> {
  const other = differing((was ?? {}) as Settings, is as Settings);
  return other && { ...other, name: other.name.includes(".") ? other.name : `${stage.name}.${other.name}` };
}

/**
 * The key of a stage. Errors: a stage before it is missing; it was done, or trained for a while, in this folder with other settings:
 * its checkpoints are not those of a run with these.
 */
async function requireSame(run: Run, stage: Stage): Promise<{ key: string; settings: unknown }> {
  const { key, settings } = await keyOf(run, stage);
  const begun = await run.store.meta(begunKey(stage)) as { key: string; settings: unknown } | null;
  const done = await run.record(stage.name);
  const known = done?.key ?? begun?.key ?? key;
  if (known === key || (!done && !await run.host.exists(run.folder(stage.name)))) return { key, settings };
  const other = begun && changed(stage, begun.settings, settings);
  const which = other ? ` (${other.name} was ${other.was} and is ${other.is} now)` : "";
  const [how, way] = done ? ["done", ""] : ["begun", `remove ${run.folder(stage.name)} to begin it anew, or `];
  throw new Error(
    `Cannot run stage ${stage.name} in ${run.dir}: it was ${how} there with other settings${which}; ${way}choose another folder`,
  );
}

/**
 * To be called before the settings of a folder are changed. Errors: as of runStages for the first of `stages`; a stage of `others` was
 * done there with other settings, which a report would then show wrongly, or begun, and could not go on.
 */
export async function requireUnchanged(run: Run, stages: readonly Stage[], others: readonly Stage[]): Promise<void> {
  if (stages.length > 0) await requireSame(run, stages[0]);
  for (const stage of others) {
    const begun = await run.store.meta(begunKey(stage)) as { settings: unknown } | null;
    const done = await run.record(stage.name);
    if (!begun || !done && !await run.host.exists(run.folder(stage.name))) continue;
    const other = changed(stage, begun.settings, stage.settings(run.config));
    if (!other) continue;
    throw new Error(
      `Cannot change ${run.dir}: stage ${stage.name} was ${
        done ? "done" : "begun"
      } there with other settings (${other.name} was ${other.was} ` +
        `and is ${other.is} now); choose another folder`,
    );
  }
}

/** Runs those stages that are not done. Error: a stage was done or begun in this folder with other settings. */
export async function* runStages(
  run: Run,
  stages: readonly Stage[],
  signal?: AbortSignal,
): AsyncGenerator<RunEvent> {
  for (const prediction of run.predictions) yield { type: "memory", prediction };
  for (const stage of stages) {
    const { key, settings } = await requireSame(run, stage);
    const known = await run.record(stage.name);
    if (known) {
      yield { type: "stage", name: stage.name, detail: `${known.detail} (done before)`, seconds: known.seconds };
      continue;
    }
    await run.store.setMeta(begunKey(stage), { key, settings });
    // Time of an earlier, interrupted session counts too.
    const begun = performance.now();
    const spentKey = `spent ${stage.name}`;
    const spent = (await run.store.meta(spentKey) ?? 0) as number;
    const seconds = () => spent + (performance.now() - begun) / 1000;
    let result: StageResult;
    try {
      result = yield* stage.run(run, signal);
    } catch (error) {
      await run.store.setMeta(spentKey, seconds());
      throw error;
    }
    const record: StageRecord = { ...result, key, seconds: seconds(), finishedAt: Date.now() };
    await run.store.setMeta(`stage ${stage.name}`, record);
    yield { type: "stage", name: stage.name, detail: result.detail, seconds: record.seconds };
  }
}
