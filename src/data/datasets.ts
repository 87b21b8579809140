/**
 * Problems from files: this project's normalised rows (the schema in the data's README), and the formats HumanEval,
 * MBPP, sanitized MBPP, CRUXEval and APPS are published in (formats.ts), plain or gzipped.
 */
import { parseJson, parseJsonLines } from "../files/jsonl.ts";
import type { Host } from "../host/host.ts";
import { fromApps, fromCruxEval, fromHumanEval, fromMbpp } from "./formats.ts";
import { faithfulTest, plainNumbers, readFaithfully } from "./python_numbers.ts";
import type { Problem } from "./problem.ts";
import { problemFromRow, type RawRow, type RowReader, rowReader } from "./row.ts";

/**
 * All problems of a file, or of an APPS folder (one problem's folder, or a folder of such folders).
 * Errors name the file, the line and the field: `Cannot read x.jsonl: line 3: field "entry_point" is 7, expected text`.
 */
export async function loadProblems(host: Host, path: string): Promise<Problem[]> {
  const names = await host.list(path).catch(() => null); // null: no folder; reading it as a file tells what is wrong
  const rows = names ? await readAppsFolder(host, path, names) : await readFile(host, path);
  if (rows.length === 0) throw new Error(`Cannot read ${path}: it holds no problem`);
  const seen = new Map<string, string>();
  return rows.map(({ row, where }) => {
    const problem = convert(row, where);
    const before = seen.get(problem.id);
    if (before) throw new Error(`${where}: id "${problem.id}" was already used (${before})`);
    seen.set(problem.id, where);
    return problem;
  });
}

interface Located {
  row: RawRow;
  /** `Cannot read x.jsonl: line 3`: the start of every error about this row. */
  where: string;
}

async function readFile(host: Host, path: string): Promise<Located[]> {
  let bytes = await host.readBytes(path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) { // gzip says so itself: a name may lie
    bytes = await host.gunzip(bytes).catch((error: Error) => {
      throw new Error(`Cannot read ${path}: ${error.message}`);
    });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`Cannot read ${path}: it is not UTF-8 text`);
  }
  // sanitized-mbpp.json is one JSON array; everything else is JSON Lines.
  const values = text.trimStart().startsWith("[")
    ? parseArray(text, path).map((value, index) => ({ value, where: `Cannot read ${path}: entry ${index + 1}` }))
    : parseJsonLines(text, path, readFaithfully)
      .map(({ value, line }) => ({ value, where: `Cannot read ${path}: line ${line}` }));
  return values.map(({ value, where }) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error(`${where} is not a JSON object`);
    }
    return { row: value as RawRow, where };
  });
}

function parseArray(text: string, path: string): unknown[] {
  try {
    return parseJson(text, readFaithfully) as unknown[];
  } catch (error) {
    throw new Error(`Cannot read ${path}: it is not JSON (${(error as Error).message})`);
  }
}

function convert(raw: RawRow, where: string): Problem {
  const row = Object.fromEntries(
    Object.entries(raw).map(([field, value]) => [
      field,
      field === "tests" && Array.isArray(value) ? value.map(faithfulTest) : plainNumbers(value),
    ]),
  );
  const read = rowReader(row, where);
  return problemFromRow(toNormalised(row, read), where);
}

function toNormalised(row: RawRow, read: RowReader): RawRow {
  if ("test_kind" in row) return row;
  if ("test_list" in row) return fromMbpp(row, read);
  if ("test" in row && "entry_point" in row) return fromHumanEval(row, read);
  if ("code" in row && "input" in row && "output" in row) return fromCruxEval(row, read);
  const fields = Object.keys(row).slice(0, 8).join(", ");
  throw new Error(
    `${read.where} is in no known problem format: it has the fields ${fields || "(none)"}; ` +
      `expected test_kind (normalised), test_list (MBPP), test and entry_point (HumanEval) or code, input and output (CRUXEval)`,
  );
}

async function readAppsFolder(host: Host, path: string, names: string[]): Promise<Located[]> {
  const folder = path.replace(/\/+$/, "");
  const problems = names.includes("question.txt") ? [folder] : names.map((name) => `${folder}/${name}`);
  const rows: Located[] = [];
  for (const problem of problems) {
    const files = await host.list(problem).catch(() => [] as string[]);
    if (!files.includes("question.txt")) continue; // other files and folders may lie beside the problems
    rows.push({ row: await fromApps(host, problem, files), where: `Cannot read ${problem}` });
  }
  if (rows.length === 0) {
    throw new Error(`Cannot read ${path}: it is a folder, and no question.txt (APPS) is in it or one level below`);
  }
  return rows;
}
