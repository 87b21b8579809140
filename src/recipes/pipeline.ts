/**
 * The whole arch: evaluate, sample, trace, pair, train with ETA-DPO, evaluate again, report. Each stage leaves its file in
 * the run's folder and is skipped when that file is whole, so an interrupted run goes on where it stopped.
 */
import { amount, type Gpu } from "../plan/mod.ts";
import type { Host } from "../host/host.ts";
import type { Sample } from "../data/pairs.ts";
import { description, type Problem } from "../data/problem.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { toJsonl } from "../files/jsonl.ts";
import { sha256 } from "../files/sha256.ts";
import { transition } from "../eval/outcomes.ts";
import type { MetricRow, RunReport } from "../eval/report.ts";
import { reportHtml } from "../eval/report.ts";
import { compareEvaluations, type Evaluation, measurable, summarize } from "../eval/summary.ts";
import type { OrderName } from "../trace/heuristics.ts";
import type { Pool } from "../trace/pool.ts";
import { createGenerator, type Generator } from "../model/generate.ts";
import { parseConfig } from "../model/config.ts";
import { bucketsBetween, positionsOf } from "./batches.ts";
import { loadModel, saveModel } from "./checkpoint.ts";
import { DPO, type DpoConfig, trainDpo } from "./dpo.ts";
import type { TrainingEvent } from "./events.ts";
import { paddingShares } from "./packing.ts";
import { predict, type Prediction, requireMemory, type Workload } from "./predict.ts";
import { type PairRow, tracedPairs } from "./preferences.ts";
import { addAgreement, rollout, type RolloutGiven, type RolloutProgress, Stopped } from "./rollout.ts";
import { promptTokens } from "./sequences.ts";

export interface PipelineConfig extends DpoConfig {
  /** Samples per problem, for training and for evaluation. */
  samples: number;
  temperature: number;
  topP: number;
  topK: number;
  maxNewTokens: number;
  /** Sequences sampled at a time. */
  sampleBatch: number;
  order: OrderName;
  maxPairsPerPrompt: number;
  /** Where no sample passes, let the reference solution stand in for a passing sibling (order eta). */
  referenceSibling: boolean;
}

/** For models/micro. Chosen on problems of training families; larger models want a learning rate near DPO's own 1e-6. */
export const PIPELINE: PipelineConfig = {
  ...DPO,
  learningRate: 3e-4,
  alpha: 1,
  samples: 8,
  temperature: 1,
  topP: 1,
  topK: 0,
  maxNewTokens: 64,
  sampleBatch: 64,
  order: "eta",
  maxPairsPerPrompt: 4,
  referenceSibling: false,
};

export interface PipelineGiven {
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
  notes: readonly string[];
  /** Bytes of GPU memory that the run may take; null where nobody knows. */
  memoryBytes: number | null;
}

export type PipelineEvent =
  | { type: "stage"; name: string; detail: string; seconds: number | null }
  | ({ type: "progress"; stage: string } & RolloutProgress)
  | TrainingEvent
  | { type: "memory"; prediction: Prediction }
  | { type: "packing"; bucketed: number; packed: number }
  | { type: "report"; report: RunReport; path: string };

/** The k of pass@k, as far as there are samples. */
const KS = [1, 2, 4, 8, 16, 32, 64, 100];

type Stages = RunReport["timing"]["stages"];

export async function* runPipeline(
  config: PipelineConfig,
  given: PipelineGiven,
  signal?: AbortSignal,
): AsyncGenerator<PipelineEvent> {
  const { host, gpu, pool, dir, modelDir } = given;
  const startedAt = new Date().toISOString();
  const started = performance.now();
  const stages: Stages = [];
  const rates: Record<string, number> = {};
  let stageStart = started;
  const endStage = (name: string, detail: string): PipelineEvent => {
    const seconds = (performance.now() - stageStart) / 1000;
    stageStart = performance.now();
    stages.push({ name, seconds, detail });
    return { type: "stage", name, detail, seconds };
  };

  const tokenizer = await loadTokenizer(host, modelDir);
  const shape = parseConfig(await host.readText(`${modelDir}/config.json`), `${modelDir}/config.json`);
  const notes = [...given.notes];
  const room = shape.maxPositions - config.maxNewTokens;
  const fitting = (problems: readonly Problem[], use: string): Problem[] => {
    const kept = problems.filter(({ prompt }) => promptTokens(tokenizer, prompt).length <= room);
    const lost = problems.length - kept.length;
    if (kept.length === 0) {
      throw new Error(`Cannot ${use}: no prompt leaves room for ${config.maxNewTokens} new tokens`);
    }
    if (lost > 0) notes.push(`${lost} problems to ${use} have prompts of more than ${room} tokens and were left out.`);
    return kept;
  };
  const trainProblems = fitting(given.trainProblems, "train on");
  const evalProblems = fitting(given.evalProblems, "evaluate on");
  const lengthOf = ({ prompt }: Problem) => promptTokens(tokenizer, prompt).length;
  const longestPrompt = Math.max(...[...trainProblems, ...evalProblems].map(lengthOf));
  const sampling = {
    B: config.sampleBatch,
    S: Math.min(shape.maxPositions, longestPrompt + config.maxNewTokens),
  };

  // Before anything large is allocated. Which lengths samples will have is not known yet: any that may occur counts.
  const prompts = trainProblems.map(lengthOf);
  const most = Math.max(...prompts) + config.maxNewTokens - 1;
  const lengths = bucketsBetween(Math.min(...prompts), most, shape.maxPositions);
  const workload: Workload = { recipe: "dpo", config, model: shape, lengths, sampling };
  const prediction = await predict(gpu, workload);
  if (given.memoryBytes !== null) await requireMemory(gpu, workload, prediction, given.memoryBytes);

  const weights = await host.readBytes(`${modelDir}/model.safetensors`);
  const modelId = await sha256(weights);
  const model = await loadModel(host, gpu, modelDir, true);
  const { V } = model.config;
  if (tokenizer.vocabSize > V) {
    throw new Error(`Cannot use ${modelDir}: its tokenizer has ${tokenizer.vocabSize} tokens, its config.json ${V}`);
  }
  yield { type: "memory", prediction };
  const generator: Generator = await createGenerator(model, sampling.B, sampling.S);
  const rolloutGiven: RolloutGiven = { host, pool, generator, tokenizer };
  yield endStage("load", `${modelDir}, ${amount(model.weights.parameters)}parameters`);

  const sampled = async function* (
    name: string,
    file: string,
    problems: readonly Problem[],
    streamBase: number,
    traced: boolean,
  ): AsyncGenerator<PipelineEvent, Sample[]> {
    yield { type: "stage", name, detail: `${problems.length} problems x ${config.samples} samples`, seconds: null };
    const { temperature, topP, topK, maxNewTokens, seed, samples } = config;
    const path = `${dir}/candidates/${file}.jsonl`;
    const options = { temperature, topP, topK, maxNewTokens, seed, samples, streamBase, traced, path };
    const run = rollout(rolloutGiven, problems, options, signal);
    for (let item = await run.next();; item = await run.next()) {
      if (!item.done) {
        yield { type: "progress", stage: name, ...item.value };
        if (item.value.tokens > 0) rates[name] = item.value.tokens / item.value.seconds;
        continue;
      }
      const passed = item.value.filter(({ result, finished }) => result.passed && finished).length;
      const rate = rates[name] === undefined ? "" : `, ${rates[name].toFixed(0)} tokens/s`;
      yield endStage(name, `${item.value.length} programs, ${passed} pass${rate}`);
      return item.value;
    }
  };

  const families = new Map(
    evalProblems.flatMap(({ id, family }) => family === undefined ? [] : [[id, family] as const]),
  );
  // The same streams before and after: a problem meets the same draws, and the difference is the training.
  const before = yield* sampled("evaluate before", "before", evalProblems, 0, false);
  const raw = yield* sampled("sample and trace", "train", trainProblems, 1 << 24, true);

  const samples = await addAgreement(pool, trainProblems, raw, config.referenceSibling);
  const { rows, counts } = await tracedPairs(pool, trainProblems, samples, config.order, config);
  await host.write(`${dir}/pairs.jsonl`, toJsonl(rows));
  yield endStage("pair", `${rows.length} pairs under ${config.order}, ${counts.ties} ties`);

  let metrics: MetricRow[] = [];
  if (rows.length > 0) {
    yield { type: "stage", name: "train", detail: `${config.steps} steps of ${config.batchSize} pairs`, seconds: null };
    const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
    const pairs = rows.map((row) => {
      const prompt = promptTokens(tokenizer, row.prompt);
      const of = (index: number) => ({
        tokens: [...prompt, ...sampleOf.get(`${row.problemId}#${index}`)!.tokens],
        promptLength: prompt.length,
      });
      return { chosen: of(row.chosen), rejected: of(row.rejected) };
    });
    if (config.pack) {
      const { batchSize, microBatch } = config;
      const lengths = pairs.flatMap(({ chosen, rejected }) => [positionsOf(chosen), positionsOf(rejected)]);
      const rows = { batchSize: 2 * batchSize, microBatch: 2 * microBatch, longest: shape.maxPositions };
      yield { type: "packing", ...paddingShares(lengths, rows) };
    }
    const metricsPath = `${dir}/metrics.jsonl`;
    const earlier = await host.exists(metricsPath) ? await host.readText(metricsPath) : "";
    metrics = earlier.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const trainGiven = { host, model, pairs, padId: tokenizer.padId, checkpoints: `${dir}/checkpoints`, modelId };
    for await (const event of trainDpo(config, trainGiven, signal)) {
      yield event;
      if (event.type === "step") {
        // Steps after the last checkpoint are done again when a run resumes.
        metrics = [...metrics.filter((row) => row.step < event.step), { step: event.step, ...event.metrics }];
        await host.write(metricsPath, toJsonl(metrics));
        rates.train = event.tokensPerSecond;
      } else if (event.type === "stopped") throw new Stopped();
    }
    await saveModel(host, model, `${dir}/model`, modelDir);
    const rate = rates.train === undefined ? "" : `, ${rates.train.toFixed(0)} tokens/s`;
    yield endStage("train", `${config.steps} steps of ${config.batchSize} pairs${rate}`);
  } else {
    notes.push("No two samples of one problem could be told apart, so there was nothing to train on.");
  }

  const after = yield* sampled("evaluate after", "after", evalProblems, 0, false);
  generator.destroy();
  const { ks, dropped, spoiled } = measurable([before, after], KS);
  if (ks.length === 0) throw new Error("Cannot evaluate: the Python interpreters failed on every sample");
  if (spoiled > 0) notes.push(`${spoiled} evaluated samples were spoiled by the machinery and do not count.`);
  if (dropped.length > 0) notes.push(`Not measured, since every sample was spoiled: ${dropped.join(", ")}.`);
  const [first, second] = [before, after].map((samples): Evaluation =>
    summarize(samples.filter(({ problemId }) => !dropped.includes(problemId)), { ks, seed: config.seed, families })
  );
  const { microBatch: _a, sampleBatch: _b, ...options } = config;
  const report: RunReport = {
    version: 2,
    recipe: "eta-dpo",
    command: given.command,
    seed: config.seed,
    adapter: gpu.adapterName,
    model: { dir: modelDir, parameters: model.weights.parameters },
    data: {
      name: given.dataName,
      trainProblems: trainProblems.length,
      evalProblems: evalProblems.length,
      evalOn: given.evalOn,
    },
    options: { ...options },
    before: first,
    after: second,
    comparison: compareEvaluations(first, second, config.seed),
    transition: transition(before, after),
    pairs: { total: rows.length, order: config.order, counts },
    trainings: [{ stage: "dpo", steps: rows.length > 0 ? config.steps : 0, metrics }],
    tables: [],
    example: rows.length > 0 ? example(rows, trainProblems) : undefined,
    notes,
    timing: {
      startedAt,
      totalSeconds: (performance.now() - started) / 1000,
      stages,
      tokensPerSecond: rates,
    },
  };
  await host.write(`${dir}/report.html`, reportHtml(report));
  await host.write(`${dir}/report.json`, JSON.stringify(report, null, 2) + "\n");
  yield { type: "report", report, path: `${dir}/report.html` };
}

/** The pair to show: the one whose traces are shortest among those that crash, else among all. */
function example(rows: readonly PairRow[], problems: readonly Problem[]): RunReport["example"] {
  const size = (row: PairRow) => row.chosenTrace.length + row.rejectedTrace.length;
  const crashing = rows.filter((row) => row.rejectedTests.verdict === "runtime_error");
  const row = [...(crashing.length > 0 ? crashing : rows)].sort((a, b) => size(a) - size(b))[0];
  const problem = problems.find(({ id }) => id === row.problemId)!;
  const side = (code: string, trace: string, tests: PairRow["chosenTests"]) => ({
    code,
    trace,
    verdict: tests.verdict,
    testsPassed: tests.passed,
    testsTotal: tests.total,
  });
  return {
    problemId: row.problemId,
    description: description(problem),
    reason: row.reason,
    test: row.test,
    chosen: side(row.chosenText, row.chosenTrace, row.chosenTests),
    rejected: side(row.rejectedText, row.rejectedTrace, row.rejectedTests),
  };
}
