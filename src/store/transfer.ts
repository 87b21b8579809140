/** Out of a store into files that others read, and back. */
import { isSolved } from "../eval/outcomes.ts";
import { parseJsonLines, toJsonl } from "../files/jsonl.ts";
import { isParquet, readParquet, writeParquet } from "../files/parquet.ts";
import type { RawRow } from "../data/row.ts";
import { licenceOf } from "./licences.ts";
import { COLUMNS, type Form, pairOf, pairRow, problemOf, problemRow, sampleOf, sampleRow } from "./row_forms.ts";
import type { RunStore, StoredSample } from "./store.ts";

export const FORMATS = ["jsonl", "parquet"] as const;
export type Format = typeof FORMATS[number];

/**
 * The rows of a store: `samples` with what they did, `pairs` for preference training, `sft` (prompt and completion of
 * finished passing samples, each program once a problem) or `problems`. Error: a set that the store does not have.
 * @param sets those to take; all without
 */
export async function exportRows(store: RunStore, what: Form, sets?: readonly string[]): Promise<RawRow[]> {
  const problems = await store.problems();
  if (what === "problems") return problems.map((problem) => problemRow(problem, licenceOf(problem.dataset)));
  const there = await (what === "pairs" ? store.pairSets() : store.sets());
  for (const set of sets ?? []) {
    if (there.includes(set)) continue;
    throw new Error(`Cannot export ${what} of set "${set}": ${store.path} has ${there.join(", ") || "none"}`);
  }
  // What a model is evaluated on is no training data, unless it is asked for by name.
  const evaluated = (set: string) => what === "sft" && (set === "before" || set.startsWith("after-"));
  const wanted = sets ?? there.filter((set) => !evaluated(set));
  const rows: RawRow[] = [];
  const problemOfId = new Map(problems.map((problem) => [problem.id, problem]));
  const versions = await store.versions();
  // A program may be in several sets: `etalon trace` puts again what `etalon sample` drew.
  const seen = new Set<string>();
  const isNew = ({ problemId, programKey, duplicateOf }: StoredSample) => {
    if (duplicateOf != null) return false;
    if (programKey === undefined) return true;
    const name = `${problemId} ${programKey}`;
    return !seen.has(name) && seen.add(name);
  };
  for (const set of wanted) {
    if (what === "pairs") {
      for (const row of await store.pairs(set)) rows.push(pairRow(row, set));
      continue;
    }
    const sampling = await store.sampling(set);
    for (const sample of await store.samples(set)) {
      const problem = problemOfId.get(sample.problemId)!;
      const row = sampleRow(sample, { set, problem, sampling, versions });
      if (what === "samples") rows.push(row);
      else if (isSolved(sample) && isNew(sample)) {
        const { prompt, completion, problem_id, index } = row;
        rows.push({ prompt, completion, problem_id, set, index });
      }
    }
  }
  return rows;
}

/** The bytes of a file with these rows. */
export function encodeRows(rows: readonly RawRow[], what: Form, format: Format): Uint8Array {
  const columns = Object.entries(COLUMNS[what]);
  if (format === "jsonl") return new TextEncoder().encode(toJsonl(rows));
  return writeParquet(
    columns.map(([name, type]) => ({ name, type, data: rows.map((row) => row[name]) })),
    { "etalon.rows": what },
  );
}

export interface Imported {
  problems: number;
  samples: number;
  pairs: number;
}

/**
 * Adds the rows of a file (JSON Lines or Parquet) to a store: problems, samples or pairs, told by their fields. All of a file
 * is checked before the first row is added. Errors name the file, the line or row, the field and its value.
 */
export async function importRows(store: RunStore, bytes: Uint8Array, name: string): Promise<Imported> {
  const rows = await decodeRows(bytes, name);
  const kinds = rows.map(({ row, where }) => kindOf(row, where));
  const of = (kind: typeof kinds[number]) => rows.filter((_, i) => kinds[i] === kind);
  const problems = of("problems").map(({ row, where }) => problemOf(row, where));
  const samples = of("samples").map(({ row, where }) => ({ ...sampleOf(row, where), where }));
  const pairs = of("pairs").map(({ row, where }) => pairOf(row, where));

  const known = new Set([...await store.problems(), ...problems].map(({ id }) => id));
  const homeless = samples.find(({ sample }) => !known.has(sample.problemId));
  if (homeless) {
    const { where, sample: { problemId } } = homeless;
    throw new Error(
      `${where}: field "problem_id" is "${problemId}", ${store.path} has no such problem: import it first`,
    );
  }
  const named = async <T>(work: Promise<T>) =>
    await work.catch((error: Error) => {
      throw new Error(`Cannot import ${name}: ${error.message}`);
    });
  for (const { versions } of samples) if (versions) await named(store.requireVersions(versions));
  await named(store.addProblems(problems));
  for (const set of new Set(samples.map(({ set }) => set))) {
    const those = samples.filter((sample) => sample.set === set);
    for (const text of new Set(those.flatMap(({ sampling }) => sampling ? [JSON.stringify(sampling)] : []))) {
      await named(store.setSampling(set, JSON.parse(text)));
    }
    await named(store.addSamples(set, those.map(({ sample }) => sample)));
  }
  for (const set of new Set(pairs.map(({ set }) => set))) {
    await named(store.addPairs(set, pairs.filter((pair) => pair.set === set).map(({ pair }) => pair)));
  }
  return { problems: problems.length, samples: samples.length, pairs: pairs.length };
}

interface Located {
  row: RawRow;
  /** `Cannot import x.jsonl: line 3`: the start of every error about this row. */
  where: string;
}

async function decodeRows(bytes: Uint8Array, name: string): Promise<Located[]> {
  if (isParquet(bytes)) {
    const rows = await readParquet(bytes, name);
    return rows.map((row, i) => ({ row, where: `Cannot import ${name}: row ${i + 1}` }));
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`Cannot import ${name}: it is neither Parquet nor UTF-8 text`);
  }
  return parseJsonLines(text, name).map(({ value, line }) => {
    const where = `Cannot import ${name}: line ${line}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { row: value as RawRow, where };
    throw new Error(`${where} is not a JSON object`);
  });
}

function kindOf(row: RawRow, where: string): "problems" | "samples" | "pairs" {
  if ("test_kind" in row) return "problems";
  if ("completion" in row && "result" in row) return "samples";
  if ("chosen" in row && "rejected" in row) return "pairs";
  const fields = Object.keys(row).slice(0, 8).join(", ");
  throw new Error(
    `${where} has the fields ${fields || "(none)"}; expected test_kind (a problem), completion and result (a sample) ` +
      `or chosen and rejected (a pair)`,
  );
}
