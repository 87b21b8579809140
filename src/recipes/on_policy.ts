/** What PPO and GRPO share around their updates: settings, events, rewards, what the outcomes were, and where a run stands. */
import type { Host } from "../host/host.ts";
import type { Problem } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { type OutcomeMix, outcomeMix } from "../eval/outcomes.ts";
import type { Moments } from "../../kernels/mod.ts";
import { gae, type GroupAdvantage } from "../loss/advantages.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import type { Activations, Recompute } from "../model/saving.ts";
import type { Trained } from "../model/weights.ts";
import { ADAMW, type AdamWConfig, type Optimizer } from "../optim/adamw.ts";
import type { Schedule } from "../optim/schedule.ts";
import type { Pool } from "../trace/pool.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import type { DenseCredit, TokenCredit } from "./dense.ts";
import type { CheckpointEvent, StepEvent, TrainingEvent } from "./events.ts";
import type { Policy } from "./policy.ts";
import type { Experience, Reward } from "./rewards.ts";

export const SCHEDULERS = ["epochs", "pass-rate"] as const;

/** What both recipes can be told. Samples are always drawn from the whole distribution: no top-p, no top-k, no stop texts. */
export interface OnPolicyConfig {
  iterations: number;
  /** Problems of an iteration, and samples of each. */
  prompts: number;
  samples: number;
  /** `epochs`: every problem once before any comes again. `pass-rate`: drawn by p (1 - p) + 0.05, p its running pass rate. */
  scheduler: typeof SCHEDULERS[number];
  /** Of sampling, and what logits are divided by wherever log-probabilities are taken. */
  temperature: number;
  maxNewTokens: number;
  /** Sequences sampled at a time. */
  sampleBatch: number;
  /** Passes over the samples of an iteration, and optimizer steps of a pass. */
  epochs: number;
  minibatches: number;
  /** Sequences of one pass over the GPU. */
  microBatch: number;
  learningRate: number;
  /** Over iterations, as `warmup`. */
  schedule: Schedule;
  warmup: number;
  /** Taken off the score of a sample without end token. */
  missingEosPenalty: number;
  maxGradNorm: number;
  seed: number;
  /** In iterations; 0 saves only at the end. */
  checkpointEvery: number;
  /** What the backward pass computes again instead of keeping it, and how it keeps the rest: see model/saving.ts. */
  recompute: Recompute;
  activations: Activations;
  /** How Adam's moments are kept: 8 bytes a parameter, or 2. */
  moments: Moments["kind"];
}

/** Called once an iteration with all samples; a text in `stop` ends the run before they are learned from. */
export interface Monitor {
  (batch: readonly (Experience & { score: number | null })[]): Promise<{
    stop: string | null;
    metrics: Record<string, number>;
  }>;
  /** As of rewards: what it carries from iteration to iteration, as JSON. */
  carried?(): unknown;
  restore?(carried?: unknown): void;
}

export interface OnPolicyGiven {
  host: Host;
  pool: Pool;
  /** Its weights at the start are the reference: a fresh load of the model, also where a checkpoint is resumed. */
  policy: Policy;
  tokenizer: Tokenizer;
  problems: readonly Problem[];
  reward: Reward;
  /** Where checkpoints live; an existing one is resumed. */
  checkpoints: string;
  dense?: DenseCredit;
  monitor?: Monitor;
}

/** One iteration's samples with their scores, before the missing-EOS penalty; null: not judged, and not learned from. */
export interface RolloutEvent {
  type: "rollout";
  iteration: number;
  iterations: number;
  experiences: Experience[];
  scores: (number | null)[];
  mix: OutcomeMix;
}

/** A step event is an iteration here. `machine` holds seconds and rates, which no two runs share. */
export interface IterationEvent extends StepEvent {
  machine: Record<string, number>;
}

/** A monitor ended the run; the weights are those of iteration `step`. */
export interface HaltEvent {
  type: "halted";
  step: number;
  reason: string;
}

export type OnPolicyEvent = TrainingEvent | IterationEvent | RolloutEvent | HaltEvent;

/** Where a run stands, beside weights and moments: plain data, part of every checkpoint. */
export interface Standing {
  iteration: number;
  /** Optimizer steps, and completion tokens that they learned from. */
  updates: number;
  tokens: number;
  /** Of `pass-rate`: by problem. */
  passRates: Record<string, number>;
  klCoefficient: number;
  reward?: unknown;
  monitor?: unknown;
}

/** Random streams of minibatches, by iteration and epoch. */
const MINIBATCHES = 1 << 29;
/** Nats by which the divergence of a sequence may seem negative by rounding alone. */
const ROUNDING = 0.01;

/** AdamW as on-policy recipes use it: without decay, which would pull a policy away from its reference. */
export function adamwOf({ maxGradNorm, moments }: OnPolicyConfig): AdamWConfig {
  return { ...ADAMW, weightDecay: 0, maxGradNorm, moments };
}

/** Seconds since the last call, or since it was made. */
export function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}

/** Phase 3: scores before and after the missing-EOS penalty, what tokens get beside them, and what the monitor says. */
export async function rewardsOf(
  { missingEosPenalty }: OnPolicyConfig,
  { reward, dense, monitor }: OnPolicyGiven,
  experiences: readonly Experience[],
) {
  const raw = await reward(experiences);
  const scores = raw.map((score, i) =>
    score === null || experiences[i].sample.finished ? score : score - missingEosPenalty
  );
  const credits: (TokenCredit | null)[] = dense ? await dense(experiences) : experiences.map(() => null);
  const seen = await monitor?.(experiences.map((experience, i) => ({ ...experience, score: raw[i] })));
  return { raw, scores, credits, halt: seen?.stop ?? null, monitored: seen?.metrics ?? {} };
}

/** What is learned from: places and scores of the samples that have one. Error: none has. */
export function requireJudged(scores: readonly (number | null)[], iteration: number): { at: number; score: number }[] {
  const kept = scores.flatMap((score, at) => score === null ? [] : [{ at, score }]);
  if (kept.length > 0) return kept;
  throw new Error(`Cannot learn from iteration ${iteration}: none of its ${scores.length} programs was judged`);
}

/**
 * The divergence per sequence, mean over samples, is not negative but for chance: where it is, by more than three standard errors,
 * the samples are not from the policy whose log-probabilities are used.
 */
export function requireHealthyKl(kls: readonly number[], iteration: number): void {
  const average = mean(kls);
  const variance = kls.length < 2 ? Infinity : sum(kls.map((kl) => (kl - average) ** 2)) / (kls.length - 1);
  const error = Math.sqrt(variance / kls.length);
  if (average >= -3 * error - ROUNDING) return;
  throw new Error(
    `Cannot go on: objective/kl is ${average.toFixed(4)} nats at iteration ${iteration}, below -3 standard errors of ` +
      `${
        error.toFixed(4)
      }; the samples are not drawn from the policy that is trained (weights, temperature, tokenizer?)`,
  );
}

/** Advantages times step-wise credit, where there is any. Error: one has more numbers than the other. */
export function weighted(advantages: readonly number[], weights?: readonly number[]): number[] {
  if (weights === undefined) return [...advantages];
  requireTokens("weights", weights, advantages.length);
  return advantages.map((advantage, t) => advantage * weights[t]);
}

/**
 * A sample's advantage as one of each token: times the weights of step-wise credit, and with its rewards from the token on added
 * (undiscounted, as the advantage of shaping by a potential is). Error: rewards where advantages are in units of a deviation.
 */
export function withCredit(
  advantage: number,
  tokens: number,
  credit: TokenCredit | null,
  kind: GroupAdvantage,
): number[] {
  const all = weighted(new Array<number>(tokens).fill(advantage), credit?.weights);
  if (!credit?.rewards) return all;
  if (kind === "trl" || kind === "verl") {
    throw new Error(`Cannot add rewards of tokens to advantages of kind ${kind}, which are divided by a deviation`);
  }
  requireTokens("rewards", credit.rewards, tokens);
  const { advantages: toGo } = gae(credit.rewards, all.map(() => 0), 1, 1);
  return all.map((each, t) => each + toGo[t]);
}

function requireTokens(name: string, numbers: readonly number[], tokens: number): void {
  if (numbers.length === tokens) return;
  throw new Error(`Cannot credit tokens: ${numbers.length} ${name} for ${tokens} completion tokens`);
}

/** Shares of outcomes among what was judged, and what the samples look like. */
export function outcomeMetrics(experiences: readonly Experience[]): Record<string, number> {
  const samples = experiences.map(({ sample }) => sample);
  const mix = outcomeMix(samples);
  const judged = Math.max(1, samples.length - mix.infra);
  return {
    "env/pass_rate": mix.pass / judged,
    "env/wrong_rate": mix.wrong / judged,
    "env/crash_rate": mix.crash / judged,
    "env/fuel_rate": mix.limit / judged,
    "env/load_rate": mix.load / judged,
    "env/syntax_rate": mix.syntax / judged,
    "env/unfinished_rate": mix.unfinished / judged,
    "env/infra_rate": mix.infra / Math.max(1, samples.length),
    "val/num_eos_tokens": samples.filter(({ finished }) => finished).length,
    "completions/mean_length": mean(samples.map(({ tokens }) => tokens.length)),
  };
}

/** How long the model wrote, how long it was scored, and how long after that interpreters were at work alone. */
export interface Seconds {
  generate: number;
  score: number;
  idle: number;
}

/** Seconds and rates of an iteration, `exec_seconds` added up over all interpreters. */
export function machineMetrics(
  sampled: { experiences: readonly Experience[]; seconds: Seconds },
  update: number,
  total: number,
): Record<string, number> {
  const { experiences, seconds } = sampled;
  return {
    eps: experiences.length / total,
    "env/exec_seconds": sum(experiences.map(({ sample }) => sample.result.elapsedMs)) / 1000,
    "time/generate": seconds.generate,
    "time/score": seconds.score,
    "time/idle": seconds.idle,
    "time/update": update,
  };
}

/** An epoch's minibatches: all items in an order of its own, in `minibatches` parts of nearly equal size. */
export function minibatchesOf<T>(
  items: readonly T[],
  { minibatches, epochs, seed }: OnPolicyConfig,
  iteration: number,
  epoch: number,
): T[][] {
  const order = shuffled(items, uniformStream(seed, MINIBATCHES + iteration * epochs + epoch));
  const border = (part: number) => Math.round(part * order.length / minibatches);
  return Array.from({ length: minibatches }, (_, part) => order.slice(border(part), border(part + 1)))
    .filter(({ length }) => length > 0);
}

/** Restores the newest whole checkpoint, and what reward and monitor carry; a fresh start where there is none. */
export async function resume(
  { host, checkpoints, reward, monitor }: OnPolicyGiven,
  trained: Trained,
  optimizer: Optimizer,
  klCoefficient: number,
): Promise<Standing> {
  const { step, carried } = await loadCheckpoint(host, checkpoints, trained, optimizer);
  const fresh: Standing = { iteration: 0, updates: 0, tokens: 0, passRates: {}, klCoefficient };
  const standing = step === 0 && carried === undefined ? fresh : carried as Standing | undefined;
  if (standing?.iteration === undefined) {
    throw new Error(`Cannot resume ${checkpoints}: its checkpoint is not one of on-policy training`);
  }
  reward.restore?.(standing.reward);
  monitor?.restore?.(standing.monitor);
  return standing;
}

/** A checkpoint of the end of an iteration, unless it is there already. */
export function createSaver(
  { host, checkpoints }: OnPolicyGiven,
  trained: Trained,
  optimizer: Optimizer,
  first: number,
) {
  let saved = first;
  return async function* (standing: Standing): AsyncGenerator<CheckpointEvent> {
    const { iteration: step, tokens } = standing;
    if (step === saved) return;
    const path = await saveCheckpoint(host, checkpoints, trained, optimizer, { step, tokens, carried: standing });
    saved = step;
    yield { type: "checkpoint", step, path };
  };
}

export function requireFinite(loss: number | undefined, iteration: number): void {
  if (loss === undefined || Number.isFinite(loss)) return;
  throw new Error(`Cannot go on: the loss is ${loss} at iteration ${iteration}; lower the learning rate`);
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
