/**
 * Who says what a sampled program does. Late in training most samples are programs that have been seen before, and running
 * those again tells nothing new: `cachingJudge` runs each program of a store once.
 */
import { type Problem, programJob, programText } from "../data/problem.ts";
import { sha256 } from "../files/sha256.ts";
import { canonical } from "../store/packed.ts";
import type { RunStore, Versions } from "../store/store.ts";
import type { Pool } from "../trace/pool.ts";
import { programKeys } from "../data/program_keys.ts";
import { imageKey } from "../trace/python_sources.ts";
import { pythonVersion } from "../trace/record.ts";
import { defaultLimits, type Limits, type ProgramJob, type ProgramResult } from "../trace/schema.ts";

/** What a model answered to a problem, the `index`th time. */
export interface Answer {
  problem: Problem;
  index: number;
  completion: string;
}

export interface Judged {
  result: ProgramResult;
  /** Equal for the same program in another dress (programKeys). */
  programKey?: string;
  /** The program had been run before. */
  reused: boolean;
}

/** One promise for each answer, at once; `traced` asks for the trace of the deciding test and value streams of all. */
export type Judge = (answers: readonly Answer[], traced: boolean) => Promise<Judged>[];

/** Runs every program. */
export function runAll(pool: Pool): Judge {
  return (answers, traced) =>
    answers.map(async (answer) => ({ result: await pool.run(jobOf(answer, traced)), reused: false }));
}

function jobOf({ problem, index, completion }: Answer, traced: boolean): ProgramJob {
  const job = programJob(problem, completion, traced ? "deciding" : "none");
  return { ...job, id: `${problem.id}#${index}`, streams: traced };
}

/** What results depend on beside program and tests. */
export async function versionsOf(pool: Pool): Promise<Versions> {
  return { python: await pythonVersion(pool), tracer: await imageKey() };
}

/**
 * Runs a program once: an answer with the same syntax tree on the same lines (traced: with the same text too), the same
 * tests, limits and versions shares its result (`elapsedMs` 0). Results that are flaky or that the machinery spoiled are not shared. `limits`
 * are the pool's own, where it has others than the default. Error: the store has results of other versions.
 */
export async function cachingJudge(
  pool: Pool,
  store: RunStore,
  limits: Partial<Limits> = {},
): Promise<Judge> {
  const versions = await versionsOf(pool);
  await store.requireVersions(versions);
  const running = new Map<string, Promise<ProgramResult>>();
  const tests = new WeakMap<Problem, Promise<string>>();
  const testsKey = (problem: Problem) => {
    if (!tests.has(problem)) {
      const { id: _id, program: _program, limits: own, ...rest } = programJob(problem, "", "none");
      tests.set(problem, sha256(canonical([rest, { ...defaultLimits, ...limits, ...own }, versions])));
    }
    return tests.get(problem)!;
  };

  const judged = async (answer: Answer, key: string, traced: boolean) => {
    const job = jobOf(answer, traced);
    const shared = (result: ProgramResult) => ({ result: { ...result, id: job.id, elapsedMs: 0 }, reused: true });
    const other = running.get(key);
    if (other) {
      const result = await other;
      if (lasts(result)) return shared(result);
    } else {
      const own = Promise.withResolvers<ProgramResult>();
      own.promise.catch(() => {});
      running.set(key, own.promise);
      try {
        const known = await store.cachedResult(key);
        const result = known ?? await pool.run(job);
        if (!known && lasts(result)) await store.cacheResult(key, result);
        own.resolve(result);
        return known ? shared(known) : { result, reused: false };
      } catch (error) {
        own.reject(error);
        throw error;
      } finally {
        running.delete(key); // from here on the store knows
      }
    }
    return { result: await pool.run(job), reused: false };
  };

  /** The name of each program, and what its result is kept under. */
  const keysOf = async (answers: readonly Answer[], traced: boolean) => {
    const programs = await programKeys(pool, answers.map((answer) => programText(answer.problem, answer.completion)));
    return await Promise.all(programs.map(async ({ program, lines, text }, i) => {
      const run = `${traced ? `traced ${text}` : `judged ${lines}`} ${await testsKey(answers[i].problem)}`;
      return { program, key: await sha256(run) };
    }));
  };

  let turn: Promise<unknown> = Promise.resolve(); // so that of equal answers always the first is the one that is run
  return (answers, traced) => {
    const keys = keysOf(answers, traced);
    const started = turn.then(async () => {
      const known = await keys;
      return answers.map((answer, i) => {
        const { program, key } = known[i];
        const promise = judged(answer, key, traced).then((result): Judged => ({ ...result, programKey: program }));
        promise.catch(() => {}); // thrown where it is awaited
        return promise;
      });
    });
    turn = started.catch(() => {});
    return answers.map(async (_, i) => await (await started)[i]);
  };
}

/** Whether another run would show the same. */
function lasts(result: ProgramResult): boolean {
  return !result.infra && !result.flaky;
}
