/**
 * The run store: problems, samples with what they did, pairs and metrics of one run in one SQLite file. Adding what is there
 * changes nothing; adding something else in its place is an error. Every call is one transaction, so a process that is
 * killed leaves a store that opens whole.
 */
import type { Sample } from "../data/pairs.ts";
import type { Problem } from "../data/problem.ts";
import type { MetricRow } from "../eval/report.ts";
import { sha256 } from "../files/sha256.ts";
import type { Host } from "../host/host.ts";
import type { PairRow } from "../recipes/preferences.ts";
import type { ProgramResult } from "../trace/schema.ts";
import type { Database } from "./database.ts";
import { canonical, pack, unpack } from "./packed.ts";
import { insertResult, packResult, unpackResult } from "./results.ts";
import { beginSet, readSamples, writeSamples } from "./samples.ts";
import { prepareTables } from "./schema.ts";

export type { Database, SqlValue } from "./database.ts";

/** A sample with what a store knows of it beside. */
export interface StoredSample extends Sample {
  /** The first sample of the same programKey in the same set and problem; null where this one is the first. */
  duplicateOf?: number | null;
  /** Sum of the log-probabilities of `tokens`, natural logarithm, under the model that wrote them (temperature 1). */
  logprob?: number | null;
}

/** What made the results. Results of other versions differ (lines, messages, values as text) and are never mixed. */
export interface Versions {
  /** For example `3.14.2`. */
  python: string;
  /** Hash of the tracer, the harness and the interpreter's build. */
  tracer: string;
}

/** How the samples of a set were drawn: model hash, seed, temperature, ... */
export type Sampling = Record<string, unknown>;

export interface RunStore {
  readonly path: string;
  /** Error: another problem of that id is there. */
  addProblems(problems: readonly Problem[]): Promise<void>;
  /** In the order in which they were added. */
  problems(): Promise<Problem[]>;
  /**
   * A set is a named list of samples ("before", "train", "round-2", ...); the samples' problems must be in the store.
   * `agreement`, `programKey` and `logprob` may be added later. Error: another sample of that problem and index is there.
   */
  addSamples(set: string, samples: readonly StoredSample[]): Promise<void>;
  /** By problem, in the order of problems(), then by index. */
  samples(set: string): Promise<StoredSample[]>;
  /** Which samples of a set are there, by problem, without reading them. */
  indices(set: string): Promise<Map<string, Set<number>>>;
  count(set: string): Promise<number>;
  /** In the order in which they were begun. */
  sets(): Promise<string[]>;
  /** Says how a set was drawn. Error, naming the option: the set was begun in another way. */
  setSampling(set: string, sampling: Sampling): Promise<void>;
  sampling(set: string): Promise<Sampling | null>;
  addPairs(set: string, rows: readonly PairRow[]): Promise<void>;
  /** In the order in which they were added. */
  pairs(set: string): Promise<PairRow[]>;
  pairSets(): Promise<string[]>;
  /** Replaces what the stage has of this step and of later ones: a resumed run does those again. */
  addMetrics(stage: string, step: number, metrics: Record<string, number>): Promise<void>;
  metrics(stage: string): Promise<MetricRow[]>;
  /** Null where nothing was set. */
  meta(key: string): Promise<unknown>;
  setMeta(key: string, value: unknown): Promise<void>;
  /** The first call writes down the versions of all results. Error, naming both: the store has results of others. */
  requireVersions(versions: Versions): Promise<void>;
  versions(): Promise<Versions | null>;
  /** Results of programs that were run before. */
  cachedResult(key: string): Promise<ProgramResult | null>;
  cacheResult(key: string, result: ProgramResult): Promise<void>;
  close(): Promise<void>;
}

/** Opens or makes the store at `path`. Errors name the path: no store, or one of another version. */
export async function openStore(host: Host, path: string): Promise<RunStore> {
  const database = await host.openDatabase(path);
  try {
    await prepareTables(database, path);
  } catch (error) {
    await database.close();
    throw error;
  }
  const one = async <T>(sql: string, ...params: (string | number)[]): Promise<T | undefined> =>
    (await database.all<T>(sql, params))[0];
  const meta = async (key: string) => {
    const row = await one<{ value: string }>("SELECT value FROM meta WHERE name = ?", key);
    return row ? JSON.parse(row.value) : null;
  };
  const setMeta = (key: string, value: unknown) =>
    database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, JSON.stringify(value)]);

  return {
    path,
    addProblems: (problems) => addProblems(database, path, problems),
    problems: async () => {
      const rows = await database.all<{ body: Uint8Array }>("SELECT body FROM problems ORDER BY place");
      return await Promise.all(rows.map(async ({ body }) => JSON.parse(await unpack(body))));
    },
    addSamples: (set, samples) => writeSamples(database, path, set, samples),
    samples: (set) => readSamples(database, set),
    indices: async (set) => {
      const rows = await database.all<{ problem: string; number: number }>(
        "SELECT problem, number FROM samples WHERE set_name = ?",
        [set],
      );
      const indices = new Map<string, Set<number>>();
      for (const { problem, number } of rows) {
        if (!indices.has(problem)) indices.set(problem, new Set());
        indices.get(problem)!.add(number);
      }
      return indices;
    },
    count: async (set) => (await one<{ n: number }>("SELECT count(*) AS n FROM samples WHERE set_name = ?", set))!.n,
    sets: async () =>
      (await database.all<{ name: string }>("SELECT name FROM sets ORDER BY place")).map(({ name }) => name),
    setSampling: (set, sampling) => setSampling(database, path, set, sampling),
    sampling: async (set) => {
      const row = await one<{ sampling: string | null }>("SELECT sampling FROM sets WHERE name = ?", set);
      return row?.sampling ? JSON.parse(row.sampling) : null;
    },
    addPairs: (set, rows) => addPairs(database, set, rows),
    pairs: async (set) => {
      const rows = await database.all<{ body: Uint8Array }>(
        "SELECT body FROM pairs WHERE set_name = ? ORDER BY place",
        [set],
      );
      return await Promise.all(rows.map(async ({ body }) => JSON.parse(await unpack(body))));
    },
    pairSets: async () =>
      (await database.all<{ name: string }>("SELECT set_name AS name FROM pairs GROUP BY set_name ORDER BY min(rowid)"))
        .map(({ name }) => name),
    addMetrics: (stage, step, metrics) =>
      database.transaction(async () => {
        await database.run("DELETE FROM metrics WHERE stage = ? AND step >= ?", [stage, step]);
        await database.run("INSERT INTO metrics VALUES (?, ?, ?)", [stage, step, writeNumbers(metrics)]);
      }),
    metrics: async (stage) => {
      const sql = "SELECT step, body FROM metrics WHERE stage = ? ORDER BY step";
      const rows = await database.all<{ step: number; body: string }>(sql, [stage]);
      return rows.map(({ step, body }) => ({ step, ...readNumbers(body) }));
    },
    meta,
    setMeta,
    requireVersions: (versions) =>
      database.transaction(async () => {
        const known = await meta("versions") as Versions | null;
        if (!known) return await setMeta("versions", versions);
        if (known.python === versions.python && known.tracer === versions.tracer) return;
        const text = ({ python, tracer }: Versions) => `Python ${python} and tracer ${tracer}`;
        throw new Error(`Cannot add to ${path}: its results are of ${text(known)}, the new ones of ${text(versions)}`);
      }),
    versions: async () => await meta("versions") as Versions | null,
    cachedResult: async (key) => {
      const sql = "SELECT body FROM cache JOIN results ON results.hash = cache.result WHERE key = ?";
      const row = await one<{ body: Uint8Array }>(sql, key);
      return row ? await unpackResult(row.body, "", 0) : null;
    },
    cacheResult: async (key, result) => {
      const packed = await packResult(result);
      await database.transaction(async () => {
        await insertResult(database, packed);
        await database.run("INSERT OR IGNORE INTO cache VALUES (?, ?)", [key, packed.hash]);
      });
    },
    close: () => database.close(),
  };
}

async function addProblems(database: Database, path: string, problems: readonly Problem[]): Promise<void> {
  const packed = await Promise.all(problems.map(async (problem) => ({
    problem,
    text: canonical(problem),
    body: await pack(JSON.stringify(problem)),
  })));
  await database.transaction(async () => {
    const [{ next }] = await database.all<{ next: number }>("SELECT coalesce(max(place) + 1, 0) AS next FROM problems");
    let place = next;
    for (const { problem, text, body } of packed) {
      const sql = "SELECT body FROM problems WHERE id = ?";
      const [known] = await database.all<{ body: Uint8Array }>(sql, [problem.id]);
      if (!known) {
        await database.run("INSERT INTO problems VALUES (?, ?, ?, ?)", [problem.id, place++, problem.dataset, body]);
        continue;
      }
      const there = JSON.parse(await unpack(known.body));
      if (canonical(there) === text) continue;
      const field = differingField(there, problem);
      throw new Error(`Cannot add problem ${problem.id} to ${path}: another of that id is there, its ${field} differs`);
    }
  });
}

/** The first field in which two objects differ. */
function differingField(a: object, b: object): string {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const fields = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return fields.find((field) => canonical(left[field] ?? null) !== canonical(right[field] ?? null)) ?? "content";
}

async function setSampling(database: Database, path: string, set: string, sampling: Sampling): Promise<void> {
  await database.transaction(async () => {
    await beginSet(database, set);
    const sql = "SELECT sampling FROM sets WHERE name = ?";
    const [{ sampling: text }] = await database.all<{ sampling: string | null }>(sql, [set]);
    if (text === null) {
      await database.run("UPDATE sets SET sampling = ? WHERE name = ?", [JSON.stringify(sampling), set]);
      return;
    }
    const known: Sampling = JSON.parse(text);
    if (canonical(known) === canonical(sampling)) return;
    const field = differingField(known, sampling);
    throw new Error(
      `Cannot go on with set "${set}" of ${path}: ${field} was ${JSON.stringify(known[field])} there ` +
        `and is ${JSON.stringify(sampling[field])} now`,
    );
  });
}

async function addPairs(database: Database, set: string, rows: readonly PairRow[]): Promise<void> {
  const packed = await Promise.all(rows.map(async (row) => ({
    hash: await sha256(canonical(row)),
    body: await pack(JSON.stringify(row)),
  })));
  await database.transaction(async () => {
    const sql = "SELECT coalesce(max(place) + 1, 0) AS next FROM pairs WHERE set_name = ?";
    const [{ next }] = await database.all<{ next: number }>(sql, [set]);
    for (const [i, { hash, body }] of packed.entries()) {
      await database.run("INSERT OR IGNORE INTO pairs VALUES (?, ?, ?, ?)", [set, next + i, hash, body]);
    }
  });
}

/** JSON knows no NaN and no infinity; a metric may be either. */
function writeNumbers(metrics: Record<string, number>): string {
  return JSON.stringify(
    metrics,
    (_key, value) => Number.isFinite(value) || typeof value === "object" ? value : `${value}`,
  );
}

function readNumbers(text: string): Record<string, number> {
  return Object.fromEntries(Object.entries(JSON.parse(text)).map(([name, value]) => [name, Number(value)]));
}
