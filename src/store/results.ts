/** Results as rows: what a program did, apart from who asked and how long it took. */
import { sha256 } from "../files/sha256.ts";
import type { ProgramResult } from "../trace/schema.ts";
import type { Database } from "./database.ts";
import { canonical, pack, unpack } from "./packed.ts";

export interface ResultRow {
  hash: string;
  verdict: string;
  passed: boolean;
  testsPassed: number;
  testsTotal: number;
  body: Uint8Array;
}

export async function packResult(result: ProgramResult): Promise<ResultRow> {
  const { id: _id, elapsedMs: _elapsedMs, ...content } = result;
  const { verdict, passed, testsPassed, testsTotal } = content;
  const hash = await sha256(canonical(content));
  // Not the sorted text: the order of a trace's variables is the order in which they are shown.
  return { hash, verdict, passed, testsPassed, testsTotal, body: await pack(JSON.stringify(content)) };
}

export async function unpackResult(body: Uint8Array, id: string, elapsedMs: number): Promise<ProgramResult> {
  return { id, ...JSON.parse(await unpack(body)), elapsedMs };
}

/** Within a transaction. */
export async function insertResult(database: Database, row: ResultRow): Promise<void> {
  const { hash, verdict, passed, testsPassed, testsTotal, body } = row;
  await database.run(
    "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?)",
    [hash, verdict, Number(passed), testsPassed, testsTotal, body],
  );
}
