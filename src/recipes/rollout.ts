/** Phase 1 and 2 of every recipe: sample programs from the model, run each under the tracer, keep both in the run's store. */
import { groupAgreement } from "../trace/agreement.ts";
import type { Sample } from "../data/pairs.ts";
import { askedText, type Problem, programJob } from "../data/problem.ts";
import { decodeContinuation, type Tokenizer } from "../data/tokenizer.ts";
import { sha256 } from "../files/sha256.ts";
import type { Completion, Generator, SamplingOptions } from "../model/generate.ts";
import type { Llama } from "../model/llama.ts";
import type { RunStore, StoredSample } from "../store/store.ts";
import type { Pool } from "../trace/pool.ts";
import { cachingJudge, type Judge, runAll } from "./judge.ts";
import { sequenceLogprobs } from "./scorer.ts";
import { promptTokens } from "./sequences.ts";

export interface RolloutGiven {
  store: RunStore;
  pool: Pool;
  generator: Generator;
  tokenizer: Tokenizer;
  /** The model that the generator samples from: for `logprobs`. */
  model?: Llama;
}

export interface RolloutOptions extends TracedOptions {
  /** Name of the set in the store. What is there of it is kept, and the rest is sampled. */
  set: string;
  /** Of each problem, at most 4096. More of them leave the ones before as they are. */
  samples: number;
  /**
   * Separates the random streams of stages: sample i of the problem at place p has stream `streamBase + 4096 p + i`. The same
   * number before and after training gives the same draws to both.
   */
  streamBase: number;
  /** Names the weights; a set is never continued with others. */
  modelId?: string;
  /** Also score each sample under `model`, at temperature 1, with the kernels of training (which differ from those of sampling in the last bits). */
  logprobs?: boolean;
}

export interface RolloutProgress {
  done: number;
  total: number;
  /** Of `done`, those that an earlier run left. */
  resumed: number;
  /** Of the others, programs that had been run before, and were not again. */
  reused: number;
  /** Completion tokens kept so far in this run (resumed samples not counted). */
  tokens: number;
  seconds: number;
}

/** One completion to sample: number `index` of its problem, on a random stream of its own. */
export interface Draw {
  problem: Problem;
  index: number;
  stream: number;
}

export interface TracedOptions extends SamplingOptions {
  /** Trace the deciding test and return value streams: what preferences need, and evaluation does not. */
  traced: boolean;
  /** Texts that end a completion, in place of the ones of the problem's code mode. A line break in front stays. */
  stops?: readonly string[];
}

/** Text at which a completion of a base model has left its function, per code mode. The cut text counts as finished. */
export const STOPS: Record<Problem["codeMode"], readonly string[]> = {
  completion: ["\ndef ", "\nclass ", "\n#", "\nif __name__", "\nprint(", "\nassert ", '\n"""'],
  program: ['\n"""', "\nassert ", "\nprint(", "\nif __name__", "\n# "],
};

/** Programs that wait for an interpreter before sampling waits for them. */
const MOST_JUDGING = 256;
/** Draws that the generator knows of at a time: what it keeps for each grows no further with the size of a set. */
const DRAWS_AT_ONCE = 8192;
/** Random streams of a problem. */
const STREAMS = 4096;
/** Sequences of a batch of the scorer. */
const SCORED_AT_ONCE = 8;

/**
 * Samples in the order of the draws, as soon as they are judged; the GPU goes on sampling while interpreters run. When
 * `signal` is aborted, what has been sampled is still judged and yielded; then it throws Stopped.
 */
export async function* sampleTraced(
  given: { pool: Pool; generator: Generator; tokenizer: Tokenizer; judge?: Judge },
  draws: readonly Draw[],
  options: TracedOptions,
  signal?: AbortSignal,
): AsyncGenerator<Sample[]> {
  const { generator, tokenizer } = given;
  const judge = given.judge ?? runAll(given.pool);
  const prompts = new Map<Problem, number[]>(); // one for all draws of a problem
  const request = ({ problem, stream }: Draw) => {
    const prompt = prompts.get(problem) ?? promptTokens(tokenizer, askedText(problem));
    prompts.set(problem, prompt);
    const stops = options.stops ?? STOPS[problem.codeMode];
    return { prompt, stream, ended: (tokens: readonly number[]) => hasLeft(tokens, prompt, stops, tokenizer) };
  };
  const judging: { sample: Promise<Sample>; judged: boolean }[] = [];
  const judged = async (most: number) => {
    const batch: Sample[] = [];
    while (judging.length > 0 && (judging[0].judged || judging.length > most)) {
      batch.push(await judging.shift()!.sample);
    }
    return batch;
  };
  for (let start = 0; start < draws.length; start += DRAWS_AT_ONCE) {
    let next = start;
    const requests = draws.slice(start, start + DRAWS_AT_ONCE).map(request);
    for await (const completions of generator.run(requests, options)) {
      const answers = completions.map((completion) => {
        const { problem, index } = draws[next++];
        const stops = options.stops ?? STOPS[problem.codeMode];
        return { problem, index, ...finish(completion, prompts.get(problem)!, stops, given) };
      });
      judge(answers, options.traced).forEach((promise, i) => {
        const { problem, ...answer } = answers[i];
        const entry = {
          judged: false,
          sample: promise.then(({ result, programKey }): Sample => ({
            problemId: problem.id,
            ...answer,
            result,
            ...programKey === undefined ? {} : { programKey },
          })).finally(() => entry.judged = true),
        };
        entry.sample.catch(() => {}); // thrown where it is awaited
        judging.push(entry);
      });
      const stopped = signal?.aborted;
      const batch = await judged(stopped ? 0 : MOST_JUDGING);
      if (batch.length > 0) yield batch;
      if (stopped) throw new Stopped();
    }
  }
  while (judging.length > 0) yield await judged(judging.length - 1);
}

/**
 * Samples what is missing of a set, and yields progress as samples are judged; returns the samples of these problems up to
 * `options.samples`, problem by problem. Each program is run once. Errors: the set was begun with other options or other
 * problems, the store has results of another Python or tracer.
 */
export async function* rollout(
  given: RolloutGiven,
  problems: readonly Problem[],
  options: RolloutOptions,
  signal?: AbortSignal,
): AsyncGenerator<RolloutProgress, StoredSample[]> {
  const { store, pool, generator, tokenizer } = given;
  const { set, samples, streamBase, traced, seed, temperature, topP, topK, maxNewTokens, stops, modelId } = options;
  if (samples > STREAMS) {
    throw new Error(`Cannot sample ${samples} programs of a problem: there are ${STREAMS} streams`);
  }
  const ids = await sha256(JSON.stringify(problems.map(({ id }) => id)));
  const drawn = { modelId: modelId ?? null, seed, temperature, topP, topK, maxNewTokens, stops: stops ?? null };
  await store.addProblems(problems);
  await store.setSampling(set, { ...drawn, streamBase, traced, problems: ids });
  const known = await store.indices(set);
  const draws = problems.flatMap((problem, p) =>
    Array.from({ length: samples }, (_, index): Draw => ({ problem, index, stream: streamBase + STREAMS * p + index }))
  ).filter(({ problem, index }) => !known.get(problem.id)?.has(index));

  const total = problems.length * samples;
  const resumed = total - draws.length;
  const started = performance.now();
  let done = resumed, tokens = 0, reused = 0;
  const progress = () => ({ done, total, resumed, reused, tokens, seconds: (performance.now() - started) / 1000 });
  if (draws.length > 0) {
    yield progress();
    const caching = await cachingJudge(pool, store);
    const judge: Judge = (answers, traced) =>
      caching(answers, traced).map(async (judged) => {
        const { reused: again } = await judged;
        if (again) reused++;
        return judged;
      });
    for await (const batch of sampleTraced({ pool, generator, tokenizer, judge }, draws, options, signal)) {
      await store.addSamples(set, batch); // in order, as soon as they are judged
      done += batch.length;
      tokens += batch.reduce((sum, sample) => sum + sample.tokens.length, 0);
      yield progress();
    }
  }
  if (options.logprobs) await addLogprobs(given, problems, set);
  const wanted = new Set(problems.map(({ id }) => id));
  return (await store.samples(set)).filter(({ problemId, index }) => wanted.has(problemId) && index < samples);
}

/** Scores the samples of a set that have no score yet. */
async function addLogprobs(given: RolloutGiven, problems: readonly Problem[], set: string): Promise<void> {
  const { store, tokenizer, model } = given;
  if (!model) throw new Error(`Cannot score the samples of set "${set}": the model was not given`);
  const prompts = new Map(problems.map((problem) => [problem.id, promptTokens(tokenizer, askedText(problem))]));
  const open = (await store.samples(set)).filter(({ logprob, problemId }) => logprob == null && prompts.has(problemId));
  const sequences = open.map(({ problemId, tokens }) => {
    const prompt = prompts.get(problemId)!;
    return { tokens: [...prompt, ...tokens], promptLength: prompt.length };
  });
  const sums = await sequenceLogprobs(model, sequences, SCORED_AT_ONCE, tokenizer.padId);
  await store.addSamples(set, open.map((sample, i) => ({ ...sample, logprob: sums[i] })));
}

/** Work that ended because it was asked to; what is on disk is whole, and the same command goes on from it. */
export class Stopped extends Error {
  constructor() {
    super("stopped; the same command goes on from here");
  }
}

/** Where the text of a completion first meets a stop; 0 if it does not. A line break that a stop starts with stays. */
function cutAt(text: string, stops: readonly string[]): number {
  const cuts = stops.map((stop) => ({ at: text.indexOf(stop), kept: Number(stop[0] === "\n") }))
    .filter(({ at }) => at > 0).map(({ at, kept }) => at + kept);
  return cuts.length === 0 ? 0 : Math.min(...cuts);
}

/** Whether a completion has met a stop: what comes next would be cut off. */
function hasLeft(
  tokens: readonly number[],
  prompt: readonly number[],
  stops: readonly string[],
  tokenizer: Tokenizer,
): boolean {
  // Most have not, which the newest tokens show at less cost: older ones have been looked at before.
  const newest = tokenizer.decode(tokens.slice(-80));
  if (!stops.some((stop) => newest.includes(stop))) return false;
  return cutAt(decodeContinuation(tokenizer, [...prompt], [...tokens]), stops) > 0;
}

/** Text of a completion, cut at the first stop. */
function finish(
  completion: Completion,
  prompt: readonly number[],
  stops: readonly string[],
  { tokenizer, generator }: { tokenizer: Tokenizer; generator: Generator },
) {
  const text = decodeContinuation(tokenizer, [...prompt], completion.tokens);
  const at = cutAt(text, stops);
  if (at === 0) return { completion: text, tokens: completion.tokens, finished: completion.finished };
  const cut = text.slice(0, at);
  return { completion: cut, tokens: [...tokenizer.encode(cut), generator.eosId], finished: true };
}

/**
 * Adds the agreement with passing siblings to all samples (alignment of value-change streams). Where nothing passes and
 * `reference` is on, the reference solution stands in.
 */
export async function addAgreement(
  pool: Pool,
  problems: readonly Problem[],
  samples: readonly Sample[],
  reference: boolean,
): Promise<Sample[]> {
  const groups = await Promise.all(problems.map(async (problem) => {
    const group = samples.filter((sample) => sample.problemId === problem.id);
    const answers = group.map(({ completion, result }) => ({ code: completion, result }));
    const silent = answers.every(({ result }) => !result.passed);
    const code = problem.canonicalSolution;
    const stand = reference && silent && code !== null
      ? { code, result: await pool.run({ ...programJob(problem, code, "none"), streams: true }) }
      : undefined;
    const agreements = groupAgreement(answers, stand);
    return group.map((sample, i) => ({ ...sample, agreement: agreements[i] }));
  }));
  return groups.flat();
}
