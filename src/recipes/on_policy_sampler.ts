/** Phases 1 and 2 of on-policy recipes: which problems come next, and sampling with interpreters and the GPU at work side by side. */
import type { Sample } from "../data/pairs.ts";
import { askedText, type Problem } from "../data/problem.ts";
import { isSolved } from "../eval/outcomes.ts";
import { createGenerator, type Generator } from "../model/generate.ts";
import { uniformStream } from "../model/philox.ts";
import { shortestTrace } from "../trace/compact.ts";
import type { Sequence } from "./batches.ts";
import { type OnPolicyConfig, type OnPolicyGiven, type Seconds, type Standing, stopwatch } from "./on_policy.ts";
import { type Experience, groupsOf, isJudged } from "./rewards.ts";
import { type Draw, sampleTraced, Stopped } from "./rollout.ts";
import { promptTokens } from "./sequences.ts";
import { epochOrder } from "./training_loop.ts";

/** Random streams: of samples, far from those of evaluation and other stages; of drawing problems. */
const SAMPLES = 1 << 30;
const SCHEDULER = 1 << 28;
const PASS_RATE_MEMORY = 0.7;
const LEAST_WEIGHT = 0.05;
/** Room of a reward model for a trace. */
const TRACE_TOKENS = 248;

/** The samples to draw in an iteration, problem by problem. A problem that comes twice makes one larger group. */
export function drawsOf(config: OnPolicyConfig, problems: readonly Problem[], standing: Standing): Draw[] {
  const { prompts, samples, seed, scheduler } = config;
  const done = standing.iteration * prompts;
  const itemAt = epochOrder(problems, seed);
  const chosen = scheduler === "epochs"
    ? Array.from({ length: prompts }, (_, i) => itemAt(done + i))
    : byPassRate(problems, prompts, standing.passRates, uniformStream(seed, SCHEDULER + standing.iteration));
  const indices = new Map<Problem, number>();
  return chosen.flatMap((problem, p) =>
    Array.from({ length: samples }, (_, i): Draw => {
      const index = indices.get(problem) ?? 0;
      indices.set(problem, index + 1);
      return { problem, index, stream: SAMPLES + (done + p) * samples + i };
    })
  );
}

/** Without replacement as long as there are problems: the largest u^(1 / weight) (Efraimidis and Spirakis 2006). */
function byPassRate(
  problems: readonly Problem[],
  count: number,
  rates: Standing["passRates"],
  uniform: () => number,
): Problem[] {
  const weight = ({ id }: Problem) => (rates[id] ?? 0.5) * (1 - (rates[id] ?? 0.5)) + LEAST_WEIGHT;
  const drawn: Problem[] = [];
  while (drawn.length < count) {
    const keyed = problems.map((problem) => ({ problem, key: Math.log(1 - uniform()) / weight(problem) }));
    drawn.push(...keyed.sort((a, b) => b.key - a.key).slice(0, count - drawn.length).map(({ problem }) => problem));
  }
  return drawn;
}

/** Running pass rates by problem after these samples. */
export function passRatesAfter(known: Standing["passRates"], batch: readonly Experience[]): Standing["passRates"] {
  const rates = { ...known };
  for (const group of groupsOf(batch)) {
    const judged = group.map((i) => batch[i]).filter(({ sample }) => isJudged(sample));
    if (judged.length === 0) continue;
    const { id } = judged[0].problem;
    const rate = judged.filter(({ sample }) => isSolved(sample)).length / judged.length;
    rates[id] = id in rates ? PASS_RATE_MEMORY * rates[id] + (1 - PASS_RATE_MEMORY) * rate : rate;
  }
  return rates;
}

export interface Sampler {
  /**
   * Phases 1 and 2. Programs are judged while the model writes the next ones, and while `score` runs what else is needed of the
   * GPU, which it does once the last program is written. Null where the signal ended it.
   */
  sample<T>(
    draws: readonly Draw[],
    score: (sequences: Sequence[]) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{ experiences: Experience[]; sequences: Sequence[]; scored: T; seconds: Seconds } | null>;
  destroy(): void;
}

/** Samples from the weights as they are at each call. Errors: a temperature of 0; a prompt that leaves no room for `maxNewTokens`. */
export async function createSampler(config: OnPolicyConfig, given: OnPolicyGiven): Promise<Sampler> {
  const { maxNewTokens, temperature, seed } = config;
  const { policy: { model }, pool, tokenizer, reward } = given;
  if (!(temperature > 0)) {
    throw new Error(`Cannot learn from samples: temperature is ${temperature}, and greedy completions are no sample`);
  }
  const prompts = new Map(given.problems.map((problem) => [problem, promptTokens(tokenizer, askedText(problem))]));
  const room = model.config.maxPositions - maxNewTokens;
  for (const [{ id }, { length }] of prompts) {
    if (length > room) {
      throw new Error(
        `Cannot sample for ${id}: its prompt has ${length} tokens, ${maxNewTokens} new ones leave room for ${room}`,
      );
    }
  }
  const longest = Math.max(...[...prompts.values()].map(({ length }) => length));
  const generator = await createGenerator(model, config.sampleBatch, longest + maxNewTokens);
  const reads = reward.reads ?? "traces";
  const options = {
    ...{ temperature, topP: 1, topK: 0, maxNewTokens, seed },
    traced: reads !== "verdicts" || given.monitor !== undefined || given.dense !== undefined,
    stops: [], // a cut would train on tokens that were not sampled
  };
  const experience = (problem: Problem, sample: Sample): Experience => {
    const text = () => shortestTrace(sample.result, { budget: TRACE_TOKENS, outcome: reward.outcomeLine ?? true });
    return { problem, sample, trace: reads === "traces" ? text() : "" };
  };
  return {
    async sample(draws, score, signal) {
      const clock = stopwatch();
      const seconds: Seconds = { generate: 0, score: 0, idle: 0 };
      const watched = watch(generator, draws.length);
      const judge = async () => {
        const experiences: Experience[] = [];
        const traced = { pool, tokenizer, generator: watched.generator };
        for await (const samples of sampleTraced(traced, draws, options, signal)) {
          for (const sample of samples) experiences.push(experience(draws[experiences.length].problem, sample));
        }
        return experiences;
      };
      const scoreAll = async () => {
        const completions = await watched.written;
        seconds.generate = clock();
        const sequences = completions.map((tokens, i): Sequence => {
          const prompt = prompts.get(draws[i].problem)!;
          return { tokens: [...prompt, ...tokens], promptLength: prompt.length };
        });
        const scored = await score(sequences);
        seconds.score = clock();
        return { sequences, scored };
      };
      const scoring = scoreAll();
      try {
        const [experiences, scores] = await Promise.all([judge(), scoring]);
        seconds.idle = clock();
        return signal?.aborted ? null : { experiences, ...scores, seconds };
      } catch (error) {
        if (watched.isWritten()) await scoring.catch(() => {}); // or the GPU would still be at work in what is destroyed next
        if (error instanceof Stopped) return null;
        throw error;
      }
    },
    destroy: () => generator.destroy(),
  };
}

/** The same generator, and the tokens of its completions once there are `count` of them, of however many runs. */
function watch(generator: Generator, count: number) {
  const { promise, resolve } = Promise.withResolvers<number[][]>();
  const all: number[][] = [];
  let whole = false;
  const watched: Generator = {
    ...generator,
    async *run(requests, options) {
      for await (const completions of generator.run(requests, options)) {
        all.push(...completions.map(({ tokens }) => tokens));
        whole = all.length === count;
        if (whole) resolve(all);
        yield completions;
      }
    },
  };
  return { generator: watched, written: promise, isWritten: () => whole };
}
