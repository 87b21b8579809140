/**
 * Parquet files: columns in, bytes out, and back. Compressed with Snappy; nested values are JSON columns, which readers of other
 * languages see as JSON text. Whole files are held in memory.
 */
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";

export type ColumnType = "STRING" | "INT32" | "DOUBLE" | "BOOLEAN" | "JSON";

export interface Column {
  name: string;
  type: ColumnType;
  /** One for each row; null and undefined are both null. */
  data: readonly unknown[];
}

/** @param notes key-value metadata of the file */
export function writeParquet(columns: readonly Column[], notes: Record<string, string> = {}): Uint8Array {
  const buffer = parquetWriteBuffer({
    columnData: columns.map(({ name, type, data }) => ({
      name,
      type,
      data: data.map((value) => value === undefined ? null : type === "JSON" && value !== null ? toJson(value) : value),
      nullable: true,
    })),
    kvMetadata: Object.entries(notes).map(([key, value]) => ({ key, value })),
    createdBy: "etalon",
  });
  return new Uint8Array(buffer);
}

/** JSON has no undefined; the writer would not leave it out. */
function toJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

export function isParquet(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, 4)) === "PAR1";
}

/** The rows, JSON columns parsed. Error: `Cannot read x.parquet: it is not a whole Parquet file (...)`. */
export async function readParquet(bytes: Uint8Array, name: string): Promise<Record<string, unknown>[]> {
  const file = bytes.slice().buffer as ArrayBuffer;
  try {
    return await parquetReadObjects({ file, metadata: parquetMetadata(file) });
  } catch (error) {
    throw new Error(`Cannot read ${name}: it is not a whole Parquet file (${(error as Error).message})`);
  }
}
