/**
 * Answers of models with what native CPython measured of them: the rows of `candidates.jsonl` (one JSON object a line:
 * problem_id, dataset, model, sample, count, code_mode, code, result). They let verdicts, traces and preferences be
 * studied on real programs without a model.
 */
import { parseJsonLines } from "../files/jsonl.ts";
import type { ProgramJob } from "../trace/schema.ts";
import { type Problem, programJob, stdioForm } from "./problem.ts";
import { type RawRow, rowReader } from "./row.ts";

const codeModes = ["completion", "program", "stdio-program"] as const;

export interface Candidate {
  /** Unique in a file: problem, model and sample number, joined by `#`; `~2` follows where that is not enough. */
  key: string;
  problemId: string;
  model: string;
  /** How many equal samples this row stands for. */
  count: number;
  /** `stdio-program`: reads stdin and prints, whatever form the problem's own tests have. */
  codeMode: typeof codeModes[number];
  code: string;
  /** pass | assert | wrong-output | exc:<Type> | syntax:<Type> | timeout | killed; null where nothing was measured */
  measured: string | null;
}

/** All rows of a file's text. Errors name the file, the line and the field. */
export function parseCandidates(text: string, name: string): Candidate[] {
  const seen = new Map<string, number>();
  const unique = (key: string) => {
    const times = (seen.get(key) ?? 0) + 1;
    seen.set(key, times);
    return times === 1 ? key : `${key}~${times}`;
  };
  return parseJsonLines(text, name).map(({ value, line }) => {
    const where = `Cannot read ${name}: line ${line}`;
    if (typeof value !== "object" || value === null) throw new Error(`${where} is not a JSON object`);
    const row = value as RawRow;
    const read = rowReader(row, where);
    const codeMode = codeModes.find((mode) => mode === row.code_mode);
    if (!codeMode) {
      const shown = JSON.stringify(row.code_mode);
      throw new Error(`${where}: field "code_mode" is ${shown}, expected one of ${codeModes.join(", ")}`);
    }
    const [problemId, model] = [read.text("problem_id"), read.text("model")];
    return {
      key: unique(`${problemId}#${model}#${row.sample ?? 0}`),
      problemId,
      model,
      count: typeof row.count === "number" ? row.count : 1,
      codeMode,
      code: read.text("code"),
      measured: read.optionalText("result"),
    };
  });
}

/** The job that runs one of them, with the candidate's key as its id. */
export function candidateJob(problem: Problem, candidate: Candidate, trace: ProgramJob["trace"]): ProgramJob {
  const form: Problem = candidate.codeMode === "stdio-program"
    ? stdioForm(problem)
    : { ...problem, codeMode: candidate.codeMode };
  return { ...programJob(form, candidate.code, trace), id: candidate.key };
}
