/** The formats the benchmarks are published in, turned into normalised rows. */
import { parseJson } from "../files/jsonl.ts";
import type { Host } from "../host/host.ts";
import { faithfulTest, plainNumbers, readFaithfully } from "./python_numbers.ts";
import type { RawRow, RowReader } from "./row.ts";

/** openai/human-eval, HumanEval.jsonl(.gz): task_id, prompt, entry_point, canonical_solution, test. */
export function fromHumanEval(_row: RawRow, read: RowReader): RawRow {
  return {
    id: read.text("task_id").replace(/^HumanEval\//, "humaneval/"),
    dataset: "humaneval",
    split: "test", // HumanEval has no training split
    prompt: read.text("prompt"),
    entry_point: read.text("entry_point"),
    canonical_solution: read.optionalText("canonical_solution"),
    tests: [read.text("test")],
    test_kind: "humaneval-check",
    code_mode: "completion",
  };
}

/**
 * google-research mbpp.jsonl (text, test_setup_code, challenge_test_list) and sanitized-mbpp.json (prompt,
 * test_imports). The set-up runs after the program: tasks 367 and 927 build objects of the program's own class.
 */
export function fromMbpp(row: RawRow, read: RowReader): RawRow {
  const number = row.task_id;
  if (!Number.isSafeInteger(number)) {
    throw new Error(`${read.where}: field "task_id" is ${JSON.stringify(number)}, expected an integer`);
  }
  const sanitized = !("text" in row);
  const dataset = sanitized ? "mbpp-sanitized" : "mbpp";
  const code = unixLines(read.text("code"));
  const tests = read.textList("test_list");
  const setup = sanitized
    ? read.textList("test_imports").join("\n")
    : unixLines(read.optionalText("test_setup_code") ?? "");
  const meta: RawRow = { test_setup: setup || null };
  if (!sanitized) {
    const challenge = "challenge_test_list" in row ? read.textList("challenge_test_list") : [];
    meta.challenge_tests = challenge.length ? challenge : null;
  }
  return {
    id: `${dataset}/${number}`,
    dataset,
    split: mbppSplit(number as number),
    prompt: read.text(sanitized ? "prompt" : "text"),
    entry_point: calledFunction(code, tests, read.where),
    canonical_solution: code,
    tests,
    test_kind: "assert-list",
    code_mode: "program",
    meta,
  };
}

/** facebookresearch/cruxeval.jsonl: id `sample_7`, code that defines `f`, its arguments and its value as Python text. */
export function fromCruxEval(_row: RawRow, read: RowReader): RawRow {
  const [code, input, output] = [read.text("code"), read.text("input"), read.text("output")];
  return {
    id: read.text("id").replace(/^sample_/, "cruxeval/"),
    dataset: "cruxeval",
    split: "test", // there is no other
    prompt: `${code}\n\n# predict: f(${input}) == ??`,
    entry_point: "f",
    canonical_solution: code,
    tests: [`assert f(${input}) == ${output}`],
    test_kind: "assert-list",
    code_mode: "program",
    meta: { input, output },
  };
}

/** Task ids of the paper's splits (Austin et al. 2021): 1-10 few-shot prompts, 11-510 test, 511-600 validation. */
function mbppSplit(taskId: number): string {
  if (taskId <= 10) return "prompt";
  if (taskId <= 510) return "test";
  return taskId <= 600 ? "validation" : "train";
}

/** MBPP rows name no entry point: it is the first name the tests call that the reference solution defines. */
function calledFunction(code: string, tests: string[], where: string): string {
  const defined = new Set(
    [...code.matchAll(/^(?:def|class)\s+(\w+)|^(\w+)\s*=/gm)].map((match) => match[1] ?? match[2]),
  );
  for (const test of tests) {
    for (const [, name] of test.matchAll(/([\p{L}_]\w*)\s*\(/gu)) {
      if (defined.has(name)) return name;
    }
  }
  throw new Error(`${where}: field "test_list" calls no function that field "code" defines`);
}

/**
 * One APPS problem folder (hendrycks/apps): question.txt, input_output.json, and where there are any solutions.json,
 * metadata.json, starter_code.py. The split is the parent folder's name if that is `test`, else `train`.
 */
export async function fromApps(host: Host, folder: string, files: string[]): Promise<RawRow> {
  const parts = folder.split("/");
  const number = Number(parts.at(-1));
  if (!Number.isSafeInteger(number)) throw new Error(`Cannot read ${folder}: an APPS folder's name is its number`);
  const split = parts.at(-2) === "test" ? "test" : "train";
  const readJson = async (name: string): Promise<unknown> => {
    if (!files.includes(name)) return null;
    try {
      return parseJson(await host.readText(`${folder}/${name}`), readFaithfully);
    } catch (error) {
      if ((error as Error).message.startsWith("Cannot read")) throw error;
      throw new Error(`Cannot read ${folder}/${name}: it is not JSON (${(error as Error).message})`);
    }
  };
  const solutions = (plainNumbers(await readJson("solutions.json")) ?? []) as unknown[];
  const metadata = (plainNumbers(await readJson("metadata.json")) ?? {}) as Record<string, unknown>;
  const starter = files.includes("starter_code.py") ? await host.readText(`${folder}/starter_code.py`) : null;
  const io = appsTests(await readJson("input_output.json"), `${folder}/input_output.json`);
  return {
    id: `apps/${split}/${number}`,
    dataset: "apps",
    split,
    prompt: await host.readText(`${folder}/question.txt`),
    entry_point: io.functionName,
    canonical_solution: typeof solutions[0] === "string" ? solutions[0] : null,
    tests: io.tests,
    test_kind: io.functionName ? "call-json" : "stdio",
    code_mode: "program",
    ...(io.functionName ? { compare: { type: "deep-list" } } : {}),
    meta: {
      difficulty: metadata.difficulty,
      url: metadata.url,
      apps_id: number,
      starter_code: starter,
      is_method: starter !== null && /^\s*class Solution\b/.test(starter),
      n_upstream_solutions: solutions.length,
    },
  };
}

function appsTests(data: unknown, file: string): { functionName: string | null; tests: unknown[] } {
  const { inputs, outputs, fn_name: functionName } = (data ?? {}) as Record<string, unknown>;
  if (!Array.isArray(inputs) || !Array.isArray(outputs) || inputs.length !== outputs.length) {
    const count = (list: unknown) => Array.isArray(list) ? list.length : "no";
    throw new Error(`Cannot read ${file}: it has ${count(inputs)} inputs and ${count(outputs)} outputs`);
  }
  if (typeof functionName !== "string") {
    // A few problems give the lines as a list.
    const text = (value: unknown) => Array.isArray(value) ? value.join("\n") : String(plainNumbers(value));
    return { functionName: null, tests: inputs.map((stdin, i) => ({ stdin: text(stdin), stdout: text(outputs[i]) })) };
  }
  // Codewars problems wrap every result in a list of one, LeetCode problems don't (the published checker takes both).
  const wrapped = outputs.every((output) => Array.isArray(output) && output.length === 1);
  const tests = inputs.map((args, i) => faithfulTest({ args, expected: wrapped ? outputs[i][0] : outputs[i] }));
  return { functionName, tests };
}

function unixLines(text: string): string {
  return text.replaceAll("\r\n", "\n");
}
