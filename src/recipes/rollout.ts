/** Phase 1 and 2 of every recipe: sample programs from the model, run each under the tracer, keep both on disk. */
import { groupAgreement } from "../trace/agreement.ts";
import type { Sample } from "../data/pairs.ts";
import { type Problem, programJob } from "../data/problem.ts";
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

export interface RolloutOptions extends SamplingOptions {
  samples: number;
  /** Separates the random streams of stages. The same number before and after training gives the same draws to both. */
  streamBase: number;
  /** Trace the deciding test and return value streams: what preferences need, and evaluation does not. */
  traced: boolean;
  /** JSON lines, one sample a line. A partial file beside it is what a crash leaves; a rerun goes on from there. */
  path: string;
}

export interface RolloutProgress {
  done: number;
  total: number;
  /** Of `done`, those that an earlier run left. */
  resumed: number;
  /** Completion tokens so far in this run (resumed samples not counted). */
  tokens: number;
  seconds: number;
}

/** Text at which a completion of a base model has left its function, per code mode. The cut text counts as finished. */
const STOPS = {
  completion: ["\ndef ", "\nclass ", "\n#", "\nif __name__", "\nprint(", "\nassert ", '\n"""'],
  program: ['\n"""', "\nassert ", "\nprint(", "\nif __name__", "\n# "],
};

/** Programs that wait for an interpreter before sampling waits for them. */
const MOST_JUDGING = 256;

/** Yields progress as samples are judged; returns all samples, problem by problem. */
export async function* rollout(
  given: RolloutGiven,
  problems: readonly Problem[],
  options: RolloutOptions,
  signal?: AbortSignal,
): AsyncGenerator<RolloutProgress, Sample[]> {
  const { host, pool, generator, tokenizer } = given;
  const requests = problems.flatMap((problem, p) => {
    const prompt = promptTokens(tokenizer, problem.prompt);
    return Array.from({ length: options.samples }, (_, index) => ({
      problem,
      index,
      prompt,
      stream: options.streamBase + p * options.samples + index,
      ended: (tokens: readonly number[]) => hasLeft(tokens, prompt, problem, tokenizer),
    }));
  });
  const total = requests.length;
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
  // The GPU goes on while the interpreters run what it gave; samples go to disk in order, as soon as they are judged.
  const judging: { sample: Promise<Sample>; judged: boolean }[] = [];
  const keep = async (most: number) => {
    const batch: Sample[] = [];
    while (judging.length > 0 && (judging[0].judged || judging.length > most)) {
      batch.push(await judging.shift()!.sample);
    }
    samples.push(...batch);
    if (batch.length > 0) await host.append(partial, toJsonl(batch));
  };
  let next = samples.length;
  yield progress();
  for await (const completions of generator.run(requests.slice(next), options)) {
    const batch = requests.slice(next, next += completions.length);
    tokens += completions.reduce((sum, completion) => sum + completion.tokens.length, 0);
    batch.forEach(({ problem, index, prompt }, i) => {
      const answer = finish(completions[i], prompt, problem, given);
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
    const before = samples.length;
    await keep(MOST_JUDGING);
    if (samples.length > before) yield progress();
    if (signal?.aborted) {
      await keep(0);
      throw new Stopped();
    }
  }
  while (judging.length > 0) {
    await keep(judging.length - 1);
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

/** Where the text of a completion leaves its function; 0 if it does not. The line break stays. */
function cutAt(text: string, problem: Problem): number {
  const cuts = STOPS[problem.codeMode].map((stop) => text.indexOf(stop)).filter((at) => at > 0);
  return cuts.length === 0 ? 0 : Math.min(...cuts) + 1;
}

/** Whether a completion has left its function: what comes next would be cut off. */
function hasLeft(
  tokens: readonly number[],
  prompt: readonly number[],
  problem: Problem,
  tokenizer: Tokenizer,
): boolean {
  // Most have not, which the newest tokens show at less cost: older ones have been looked at before.
  const newest = tokenizer.decode(tokens.slice(-80));
  if (!STOPS[problem.codeMode].some((stop) => newest.includes(stop))) return false;
  return cutAt(decodeContinuation(tokenizer, [...prompt], [...tokens]), problem) > 0;
}

/** Text of a completion, cut at the first stop of its code mode. */
function finish(completion: Completion, prompt: readonly number[], problem: Problem, given: RolloutGiven) {
  const { tokenizer, generator } = given;
  const text = decodeContinuation(tokenizer, [...prompt], completion.tokens);
  const at = cutAt(text, problem);
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
