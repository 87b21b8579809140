/**
 * Token credit for PPO and GRPO: which tokens of a failing program its trace accuses, as weights of their advantages, or how far each
 * statement has come, as rewards.
 *
 * Weights are 1 + kappa (c - 1), where c is the credit with mean 1 over the completion's tokens (the end token, which is in no
 * statement, has credit 0): kappa = 0 changes nothing, and the mean stays 1, so the total gradient is moved and not scaled.
 * `random` puts the weights of `like` on random tokens, `shuffled` takes those of another program of the batch: two controls.
 *
 * `potential` gives rewards that sum to 0 over a completion (trace/potential.ts). It speaks of what is written so far, never of the
 * outcome, so it is for passing samples too; all samples of a problem share one passing program to compare with.
 */
import type { Sample } from "../data/pairs.ts";
import { type Problem, programJob, programText } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { sha256 } from "../files/sha256.ts";
import { shuffled, uniformStream } from "../model/philox.ts";
import { codeTokens, editDistance } from "../trace/code_tokens.ts";
import type { Pool } from "../trace/pool.ts";
import { prefixPotential, shapedRewards, statementPrefixes } from "../trace/potential.ts";
import type { Limits, ProgramResult } from "../trace/schema.ts";
import { statementTokens, streamOf } from "./credit_masks.ts";
import { type Accuser, statementCredit, traceFailure } from "./failure.ts";
import type { Experience } from "./rewards.ts";
import { completionSpans, isEnd } from "./token_spans.ts";

export interface TokenCredit {
  /** Multiplies the advantage of each completion token; mean 1. */
  weights?: number[];
  /** Added to each completion token's reward. */
  rewards?: number[];
}

/** In the order of the batch; null: the sample is left as it is. All samples of a problem are in one batch. */
export type DenseCredit = (batch: readonly Experience[]) => Promise<(TokenCredit | null)[]>;

export const DENSE = [
  "none",
  "executed",
  "erring",
  "diverging",
  "slice",
  "potential",
  "random",
  "shuffled",
] as const;
export type Dense = typeof DENSE[number];

type Traced = "executed" | "erring" | "diverging" | "slice";
const accusers: Record<Traced, Accuser> = { executed: "exec", erring: "erring", diverging: "div", slice: "slice" };

export interface DenseGiven {
  pool: Pool;
  tokenizer: Tokenizer;
  seed: number;
  /** How far weights go, 0 to 1. */
  kappa: number;
  /** What the controls imitate; `diverging` if missing. */
  like?: Traced;
  /** `potential` alone: where no sample passes, compare with the problem's own solution; false if missing. */
  reference?: boolean;
}

/**
 * Credit of one kind. Weights are for failing samples with a passing one of the same problem in the batch (of several the one
 * of smallest token edit distance); the others, and those whose trace accuses nothing, get null. Errors: a kappa outside of 0 to 1.
 */
export function denseCredit(kind: Dense, given: DenseGiven): DenseCredit {
  const { kappa, seed, tokenizer } = given;
  if (!(kappa >= 0 && kappa <= 1)) throw new Error(`Cannot weigh tokens: kappa is ${kappa}, expected 0 to 1`);
  if (kind === "none") return (batch) => Promise.resolve(batch.map(() => null));
  if (kind === "potential") return potentialCredit(given);
  const traced = kind === "random" || kind === "shuffled" ? given.like ?? "diverging" : kind;
  return async (batch) => {
    const credits = await tracedCredit(accusers[traced], given, batch);
    const shown = kind === "shuffled" ? exchanged(credits, batch, seed) : credits;
    return shown.map((credit, index) => {
      if (!credit) return null;
      const { sample } = batch[index];
      const own = kind === "random" ? onRandomTokens(credit, tokenizer, sample, seed) : credit;
      const weights = creditWeights(own, kappa);
      return weights && { weights };
    });
  };
}

/** 1 + kappa (c / mean c - 1); null where no token has credit. */
export function creditWeights(credit: readonly number[], kappa: number): number[] | null {
  const mean = credit.reduce((sum, value) => sum + value, 0) / credit.length;
  return mean > 0 ? credit.map((value) => 1 + kappa * (value / mean - 1)) : null;
}

async function tracedCredit(
  accuser: Accuser,
  { pool, tokenizer }: DenseGiven,
  batch: readonly Experience[],
): Promise<(number[] | null)[]> {
  const passing = passingSamples(batch);
  return await Promise.all(batch.map(async ({ problem, sample }) => {
    const winners = passing.get(problem.id) ?? [];
    if (sample.result.passed || sample.result.infra || winners.length === 0) return null;
    const failure = await traceFailure(pool, problem, sample, nearest(sample, winners));
    const credit = statementTokens(tokenizer, failure, sample, await statementCredit(accuser, pool, failure));
    return credit.some((value) => value > 0) ? credit : null;
  }));
}

function passingSamples(batch: readonly Experience[]): Map<string, Sample[]> {
  const passing = new Map<string, Sample[]>();
  for (const { problem, sample } of batch) {
    if (sample.result.passed) passing.set(problem.id, [...passing.get(problem.id) ?? [], sample]);
  }
  for (const group of passing.values()) group.sort((a, b) => a.index - b.index);
  return passing;
}

function nearest(sample: Sample, winners: readonly Sample[]): Sample {
  const tokens = codeTokens(sample.completion);
  const distances = winners.map(({ completion }) => editDistance(tokens, codeTokens(completion)));
  return winners[distances.indexOf(Math.min(...distances))];
}

/** The same credit on other tokens, the end token aside. */
function onRandomTokens(credit: readonly number[], tokenizer: Tokenizer, sample: Sample, seed: number): number[] {
  const random = uniformStream(seed, streamOf(`${sample.problemId}#${sample.index}#${sample.completion}`));
  const places = credit.flatMap((_, index) => isEnd(tokenizer, sample.tokens, index) ? [] : [index]);
  const drawn = shuffled(places, random);
  const result = [...credit];
  places.forEach((place, i) => result[drawn[i]] = credit[place]);
  return result;
}

/**
 * Everybody's credit goes to the sample next in length, stretched to it: the trace of another program, as much of it as before.
 * Samples of one length are in random order. A sample that is the only one with credit gets none.
 */
function exchanged(
  credits: readonly (number[] | null)[],
  batch: readonly Experience[],
  seed: number,
): (number[] | null)[] {
  const owners = credits.flatMap((credit, index) => credit ? [index] : []);
  const random = uniformStream(seed, streamOf(owners.map((index) => batch[index].sample.completion).join("\u0000")));
  const order = shuffled(owners, random).sort((a, b) => credits[a]!.length - credits[b]!.length);
  const result = credits.map((): number[] | null => null);
  if (order.length < 2) return result;
  order.forEach((owner, place) => {
    const other = credits[order[(place + 1) % order.length]]!;
    const length = credits[owner]!.length;
    result[owner] = Array.from({ length }, (_, i) => other[Math.floor(i * other.length / length)]);
  });
  return result;
}

/** Line events of one test of a prefix: what a loop without its end computes beyond that is no progress. */
const PREFIX_STEPS = 20_000;
/** Programs' results are kept from step to step; above this many they are forgotten. */
const MOST_KEPT = 20_000;

function potentialCredit({ pool, tokenizer, reference = false }: DenseGiven): DenseCredit {
  const known = new Map<string, Promise<ProgramResult>>();
  const stream = async (problem: Problem, program: string, limits: Partial<Limits> = {}): Promise<ProgramResult> => {
    const key = await sha256(JSON.stringify([problem.id, program, limits]));
    if (known.size > MOST_KEPT) known.clear();
    const job = programJob(problem, "", "none");
    const found = known.get(key) ?? pool.run({ ...job, program, streams: true, limits: { ...job.limits, ...limits } });
    known.set(key, found);
    return await found;
  };
  return async (batch) => {
    const passing = passingSamples(batch);
    return await Promise.all(batch.map(async ({ problem, sample }) => {
      const winner = passing.get(problem.id)?.[0]?.completion ?? (reference ? problem.canonicalSolution : null);
      if (winner === null || sample.result.infra) return null;
      const goal = await stream(problem, programText(problem, winner));
      if (!goal.passed) return null;
      const prefixes = await statementPrefixes(pool, programText(problem, sample.completion), problem.entryPoint);
      const results = await Promise.all(
        prefixes.map(({ text }) => stream(problem, text, { stepsPerTest: PREFIX_STEPS })),
      );
      const potentials = results.map((result) => result.infra ? NaN : prefixPotential(result, goal));
      const spans = completionSpans(tokenizer, problem, sample);
      return { rewards: shapedRewards(spans, prefixes.map(({ end }) => end), potentials) };
    }));
  };
}
