/**
 * What happened to a program in one word, as `candidates.jsonl` puts it: `pass`, `assert` (a wrong value or a failed
 * assertion; `wrong-output` for printed text), `exc:<Type>`, `syntax:<Type>`, `timeout`, `killed`. Our own limits that no
 * native run has stand as `limit:output` and `sandbox`.
 */
import type { ProgramResult, Verdict } from "../trace/schema.ts";

const words: Partial<Record<Verdict, string>> = {
  pass: "pass",
  wrong_answer: "assert",
  assertion_error: "assert",
  syntax_error: "syntax",
  missing_entry: "exc:NameError",
  step_limit: "timeout",
  timeout: "timeout",
  memory_limit: "exc:MemoryError",
  exit: "exc:SystemExit",
  crash: "killed",
  output_limit: "limit:output",
  sandbox_violation: "sandbox",
  harness_error: "infra",
};

/** The class of one of our results: decided, as natively, by the first test that failed. */
export function resultClass(result: ProgramResult): string {
  const word = words[result.verdict];
  if (word) return word;
  const failing = result.tests.find(({ outcome }) => outcome !== "PASS" && outcome !== "SKIP");
  return exceptionClass((result.error ?? failing?.error)?.type ?? "?");
}

/** The class of a measured result: printed or returned, both are wrong values; a type's module does not count. */
export function measuredClass(measured: string): string {
  if (measured === "wrong-output") return "assert";
  if (measured.startsWith("syntax:")) return "syntax";
  return measured.startsWith("exc:") ? exceptionClass(measured.slice(4)) : measured;
}

function exceptionClass(type: string): string {
  const name = type.slice(type.lastIndexOf(".") + 1);
  return name === "AssertionError" ? "assert" : `exc:${name}`;
}
