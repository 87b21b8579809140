/** Samples as rows of a store. */
import { sha256 } from "../files/sha256.ts";
import type { ProgramResult } from "../trace/schema.ts";
import type { Database, SqlValue } from "./database.ts";
import { canonical, packTokens, unpack, unpackTokens } from "./packed.ts";
import { insertResult, packResult, type ResultRow } from "./results.ts";
import type { StoredSample } from "./store.ts";

interface SampleRow {
  problem: string;
  number: number;
  completion: string;
  tokens: Uint8Array;
  finished: number;
  result: string;
  result_id: string;
  elapsed_ms: number;
  program_key: string | null;
  agreement: string | null;
  logprob: number | null;
  extra: string | null;
}

interface Packed {
  sample: StoredSample;
  result: ResultRow;
  hash: string;
  values: SqlValue[];
}

export async function writeSamples(database: Database, path: string, set: string, samples: readonly StoredSample[]) {
  const packed = await Promise.all(samples.map(packSample));
  await database.transaction(async () => {
    await beginSet(database, set);
    for (const { sample, result, hash, values } of packed) {
      const { problemId, index, programKey, agreement, logprob } = sample;
      const at = [set, problemId, index];
      const [known] = await database.all<{ hash: string }>(
        "SELECT hash FROM samples WHERE set_name = ? AND problem = ? AND number = ?",
        at,
      );
      if (!known) {
        await insertResult(database, result);
        await database.run("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [...at, ...values])
          .catch((error: Error) => {
            const missing = error.message.includes("FOREIGN KEY");
            const reason = missing ? "its problem is not in the store" : error.message;
            throw new Error(`Cannot add sample ${problemId}#${index} to set "${set}" of ${path}: ${reason}`);
          });
        continue;
      }
      if (known.hash !== hash) {
        const completion = JSON.stringify(sample.completion.slice(0, 60));
        throw new Error(
          `Cannot add sample ${problemId}#${index} to set "${set}" of ${path}: another is there ` +
            `(the new one starts with ${completion})`,
        );
      }
      const sql = "UPDATE samples SET program_key = coalesce(?, program_key), agreement = coalesce(?, agreement), " +
        "logprob = coalesce(?, logprob) WHERE set_name = ? AND problem = ? AND number = ?";
      if (programKey || agreement || logprob != null) {
        await database.run(sql, [
          programKey ?? null,
          agreement ? JSON.stringify(agreement) : null,
          logprob ?? null,
          ...at,
        ]);
      }
    }
  });
}

async function packSample(sample: StoredSample): Promise<Packed> {
  const { problemId: _p, index: _i, completion, tokens, finished, result, agreement, programKey, logprob, ...rest } =
    sample;
  const { duplicateOf: _derived, ...extra } = rest;
  const row = await packResult(result);
  // Two runs of one program differ in nothing but the clock, so the hash of the result leaves that out.
  const hash = await sha256(canonical([completion, tokens, finished, row.hash, extra]));
  const values = [
    hash,
    JSON.stringify(completion), // may hold NUL characters, or halves of one, and JSON escapes both
    packTokens(tokens),
    Number(finished),
    row.hash,
    result.id,
    result.elapsedMs,
    programKey ?? null,
    agreement ? JSON.stringify(agreement) : null,
    logprob ?? null,
    Object.keys(extra).length > 0 ? JSON.stringify(extra) : null,
  ];
  return { sample, result: row, hash, values };
}

export async function readSamples(database: Database, set: string): Promise<StoredSample[]> {
  const rows = await database.all<SampleRow>(
    "SELECT samples.* FROM samples JOIN problems ON problems.id = problem WHERE set_name = ? ORDER BY place, number",
    [set],
  );
  const bodies = await database.all<{ hash: string; body: Uint8Array }>(
    "SELECT hash, body FROM results WHERE hash IN (SELECT result FROM samples WHERE set_name = ?)",
    [set],
  );
  const results = new Map<string, Omit<ProgramResult, "id" | "elapsedMs">>(); // each unpacked once
  for (const { hash, body } of bodies) results.set(hash, JSON.parse(await unpack(body)));
  const first = new Map<string, number>();
  return rows.map((row) => {
    const sample: StoredSample = {
      problemId: row.problem,
      index: row.number,
      completion: JSON.parse(row.completion),
      tokens: unpackTokens(row.tokens),
      finished: row.finished === 1,
      result: { id: row.result_id, ...results.get(row.result)!, elapsedMs: row.elapsed_ms },
      ...JSON.parse(row.extra ?? "{}"),
    };
    if (row.agreement !== null) sample.agreement = JSON.parse(row.agreement);
    if (row.logprob !== null) sample.logprob = row.logprob;
    if (row.program_key !== null) {
      const key = `${row.problem} ${row.program_key}`;
      sample.programKey = row.program_key;
      sample.duplicateOf = first.get(key) ?? null;
      if (!first.has(key)) first.set(key, row.number);
    }
    return sample;
  });
}

/** Within a transaction. */
export async function beginSet(database: Database, set: string): Promise<void> {
  await database.run("INSERT OR IGNORE INTO sets SELECT ?, coalesce(max(place) + 1, 0), NULL FROM sets", [set]);
}
