/**
 * Micro-Python: seeded small problems with tests, and a corpus of right and wrong solutions to train a tiny model on.
 *
 * Problems and corpus never share a prompt, whatever the seeds: a hash of the prompt's text decides which of the two
 * may use it. The corpus covers all families, as the corpus of a code model would; problems come from the train
 * families (alignment) or the held-out ones (evaluation).
 */
import type { Problem } from "../problem.ts";
import { MICRO_SOURCE } from "./source.ts";

/** What this module needs of the pool of Python interpreters: it runs trusted scripts and returns their JSON value. */
export interface ScriptRunner {
  script(source: string, input: unknown, timeoutMs?: number): Promise<unknown>;
}

export type MicroSplit = "train" | "heldout" | "all";

export interface MicroFamily {
  name: string;
  category: "arithmetic" | "conditionals" | "loops" | "lists" | "strings" | "dicts" | "recursion";
  split: "train" | "heldout";
}

export type Fault =
  | "off_by_one"
  | "wrong_operator"
  | "wrong_variable"
  | "wrong_initial"
  | "missing_return"
  | "missing_base_case"
  | "wrong_call"
  | "broken_indentation"
  | "broken_syntax";

export interface CorpusRow {
  prompt: string;
  /** A function body: starts with four spaces, ends with a newline. */
  completion: string;
  family: string;
  /** null: the completion passes all tests. A class: it fails one, or doesn't compile (broken_*). */
  fault: string | null;
}

/** A corpus row with the tests that judged it. */
export interface TestedRow extends CorpusRow {
  /** The function's name. */
  name: string;
  tests: string[];
}

export interface CorpusOptions {
  seed: number;
  count: number;
  /** Share of rows with a semantic fault. */
  bugRate?: number;
  /** Share of rows that don't compile. */
  syntaxRate?: number;
}

export interface Mutant {
  code: string;
  fault: Fault;
  /** Line of the edit in the source given, from 1. */
  line: number;
}

/** Items made per script call: small enough to spread over interpreters and to stay far from the timeout. */
const CORPUS_CHUNK = 500;
const PROBLEM_CHUNK = 120;
const CHUNK_TIMEOUT_MS = 300_000;

interface ProblemRow {
  index: number;
  family: string;
  category: string;
  split: string;
  name: string;
  prompt: string;
  styles: string[];
  tests: string[];
}

/**
 * `count` problems with distinct prompts; families take turns. The same seed and split always begin with the same
 * problems. Every reference solution has passed all tests of its problem (5 to 9, the example of the prompt first).
 */
export async function microProblems(
  pool: ScriptRunner,
  { seed, count, split }: { seed: number; count: number; split: MicroSplit },
): Promise<Problem[]> {
  checkWhole("seed", seed);
  checkWhole("count", count);
  const problems = new Map<string, Problem>();
  for (let start = 0; problems.size < count; start += PROBLEM_CHUNK) {
    if (start > 20 * count + 20 * PROBLEM_CHUNK) {
      throw new Error(`Cannot make ${count} micro problems: seed ${seed} gives only ${problems.size} distinct prompts`);
    }
    const request = { op: "problems", seed, split, start, count: PROBLEM_CHUNK };
    for (const row of await call<ProblemRow[]>(pool, request)) {
      if (problems.size < count && !problems.has(row.prompt)) problems.set(row.prompt, toProblem(row, seed));
    }
  }
  return [...problems.values()];
}

function toProblem(row: ProblemRow, seed: number): Problem {
  return {
    id: `micro/${seed}/${row.split}/${row.index}`,
    dataset: "micro",
    split: row.split,
    prompt: row.prompt,
    entryPoint: row.name,
    canonicalSolution: row.styles[0],
    tests: row.tests,
    testKind: "assert-list",
    codeMode: "completion",
    family: row.family,
    meta: { category: row.category, solutions: row.styles },
  };
}

/**
 * Corpus rows in the order families take turns: shuffle before training. The defaults leave 47 % right solutions, and
 * faults spread over many places, so the right program stays the likeliest one while samples are a true mix.
 */
export async function microCorpus(pool: ScriptRunner, options: CorpusOptions): Promise<CorpusRow[]> {
  const rows = await testedCorpus(pool, options);
  return rows.map(({ prompt, completion, family, fault }) => ({ prompt, completion, family, fault }));
}

/** The same rows with their tests. */
export async function testedCorpus(
  pool: ScriptRunner,
  { seed, count, bugRate = 0.45, syntaxRate = 0.08 }: CorpusOptions,
): Promise<TestedRow[]> {
  checkWhole("seed", seed);
  checkWhole("count", count);
  if (!(bugRate >= 0 && syntaxRate >= 0 && bugRate + syntaxRate <= 1)) {
    throw new Error(`Cannot make a micro corpus: bugRate ${bugRate} and syntaxRate ${syntaxRate} must be shares of 1`);
  }
  const starts = Array.from({ length: Math.ceil(count / CORPUS_CHUNK) }, (_, i) => i * CORPUS_CHUNK);
  const chunks = await Promise.all(starts.map((start) => {
    const size = Math.min(CORPUS_CHUNK, count - start);
    return call<{ rows: TestedRow[] }>(pool, { op: "corpus", seed, start, count: size, bugRate, syntaxRate });
  }));
  return chunks.flatMap((chunk) => chunk.rows);
}

/** All families with their fixed split. */
export function microFamilies(pool: ScriptRunner): Promise<MicroFamily[]> {
  return call(pool, { op: "families" });
}

export interface InjectRequest {
  /** Text of one or more Python functions. */
  source: string;
  seed: number;
  /** Classes to choose from; by default the semantic ones. */
  faults?: Fault[];
}

/**
 * Plants one fault in each of the Python functions given. The mutants are not run: one may still pass its tests.
 * null: no class applies, there is no place for it.
 */
export function injectBugs(pool: ScriptRunner, requests: InjectRequest[]): Promise<(Mutant | null)[]> {
  return call(pool, requests.map((request) => ({ op: "inject", faults: null, ...request })));
}

/** Every distinct mutant of each function text, in a fixed order. */
export function allMutants(pool: ScriptRunner, sources: string[], faults?: Fault[]): Promise<Mutant[][]> {
  return call(pool, sources.map((source) => ({ op: "mutants", source, faults: faults ?? null })));
}

async function call<T>(pool: ScriptRunner, request: unknown): Promise<T> {
  return await pool.script(MICRO_SOURCE, request, CHUNK_TIMEOUT_MS) as T;
}

function checkWhole(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`Cannot make micro-Python: ${name} is ${value}, it must be a whole number from 0 up`);
  }
}
