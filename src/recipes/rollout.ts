/** Phase 1 and 2 of every recipe: sample programs from the model, run each under the tracer, keep both on disk. */
import { groupAgreement } from "../trace/agreement.ts";
import type { Sample } from "../data/pairs.ts";
import { askedText, type Problem, programJob } from "../data/problem.ts";
import { decodeContinuation, type Tokenizer } from "../data/tokenizer.ts";
import { toJsonl } from "../files/jsonl.ts";
import type { Host } from "../host/host.ts";
import type { Completion, Generator, SamplingOptions } from "../model/generate.ts";
import type { Pool } from "../trace/pool.ts";
import { promptTokens } from "./sequences.ts";

export interface RolloutGiven {
  host: Host;
  pool: Pool;
  generator: Generator;
  tokenizer: Tokenizer;
}

export interface RolloutOptions extends TracedOptions {
  samples: number;
  /** Separates the random streams of stages. The same number before and after training gives the same draws to both. */
  streamBase: number;
  /** JSON lines, one sample a line. A partial file beside it is what a crash leaves; a rerun goes on from there. */
  path: string;
}

export interface RolloutProgress {
  done: number;
  total: number;
  /** Of `done`, those that an earlier run left. */
  resumed: number;
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

/**
 * Samples in the order of the draws, as soon as they are judged; the GPU goes on sampling while interpreters run. When
 * `signal` is aborted, what has been sampled is still judged and yielded; then it throws Stopped.
 */
export async function* sampleTraced(
  given: { pool: Pool; generator: Generator; tokenizer: Tokenizer },
  draws: readonly Draw[],
  options: TracedOptions,
  signal?: AbortSignal,
): AsyncGenerator<Sample[]> {
  const { pool, generator, tokenizer } = given;
  const prompts = new Map<Problem, number[]>(); // one for all draws of a problem
  for (const { problem } of draws) {
    if (!prompts.has(problem)) prompts.set(problem, promptTokens(tokenizer, askedText(problem)));
  }
  const requests = draws.map(({ problem, stream }) => {
    const prompt = prompts.get(problem)!;
    const stops = options.stops ?? STOPS[problem.codeMode];
    return { prompt, stream, ended: (tokens: readonly number[]) => hasLeft(tokens, prompt, stops, tokenizer) };
  });
  const judging: { sample: Promise<Sample>; judged: boolean }[] = [];
  const judged = async (most: number) => {
    const batch: Sample[] = [];
    while (judging.length > 0 && (judging[0].judged || judging.length > most)) {
      batch.push(await judging.shift()!.sample);
    }
    return batch;
  };
  let next = 0;
  for await (const completions of generator.run(requests, options)) {
    completions.forEach((completion, i) => {
      const { problem, index } = draws[next + i];
      const stops = options.stops ?? STOPS[problem.codeMode];
      const answer = finish(completion, requests[next + i].prompt, stops, given);
      const job = { ...programJob(problem, answer.completion, options.traced ? "deciding" as const : "none" as const) };
      const entry = {
        judged: false,
        sample: pool.run({ ...job, id: `${problem.id}#${index}`, streams: options.traced })
          .then((result): Sample => ({ problemId: problem.id, index, ...answer, result }))
          .finally(() => entry.judged = true),
      };
      entry.sample.catch(() => {}); // thrown where it is awaited
      judging.push(entry);
    });
    next += completions.length;
    const stopped = signal?.aborted;
    const batch = await judged(stopped ? 0 : MOST_JUDGING);
    if (batch.length > 0) yield batch;
    if (stopped) throw new Stopped();
  }
  while (judging.length > 0) yield await judged(judging.length - 1);
}

/** Yields progress as samples are judged; returns all samples, problem by problem. */
export async function* rollout(
  given: RolloutGiven,
  problems: readonly Problem[],
  options: RolloutOptions,
  signal?: AbortSignal,
): AsyncGenerator<RolloutProgress, Sample[]> {
  const { host } = given;
  const draws = problems.flatMap((problem, p) =>
    Array.from({ length: options.samples }, (_, index): Draw => ({
      problem,
      index,
      stream: options.streamBase + p * options.samples + index,
    }))
  );
  const total = draws.length;
  if (await host.exists(options.path)) {
    const samples = parseSamples(await host.readText(options.path));
    if (samples.length === total) return samples;
  }
  const partial = `${options.path}.partial`;
  const samples = await host.exists(partial) ? parseSamples(await host.readText(partial)) : [];
  await host.write(partial, toJsonl(samples));

  const started = performance.now();
  let tokens = 0;
  const resumed = samples.length;
  const progress = () => ({
    done: samples.length,
    total,
    resumed,
    tokens,
    seconds: (performance.now() - started) / 1000,
  });
  yield progress();
  for await (const batch of sampleTraced(given, draws.slice(resumed), options, signal)) {
    samples.push(...batch);
    tokens += batch.reduce((sum, sample) => sum + sample.tokens.length, 0);
    await host.append(partial, toJsonl(batch)); // in order, as soon as they are judged
    yield progress();
  }
  await host.write(options.path, toJsonl(samples));
  await host.remove(partial);
  return samples;
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

/** A last line cut short by a crash is dropped. */
function parseSamples(text: string): Sample[] {
  const lines = text.split("\n").slice(0, -1); // what stands behind the last line break is nothing, or half a line
  return lines.map((line) => JSON.parse(line));
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
