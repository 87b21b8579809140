/**
 * How a problem is put to a base model (one that continues text), per benchmark:
 *
 * - completion problems (HumanEval): the row's own prompt, which ends inside a function.
 * - MBPP and other whole-program problems: a docstring with the task and the FIRST test, then a new line. This is the
 *   form base models are usually scored with (InCoder, Fried et al. 2022): the test gives the function's name and
 *   shape, the other tests stay unseen, so that writing out the shown answer does not pass.
 * - MBPP+: the prompt EvalPlus publishes, which has that same form.
 * - APPS: the published question / starter / answer frame (Hendrycks et al. 2021, eval script).
 */
export interface PromptParts {
  prompt: string;
  codeMode: "completion" | "program";
  dataset: string;
  entryPoint: string;
  tests: unknown[];
  meta: Record<string, unknown>;
}

export function modelPrompt(row: PromptParts): string {
  if (row.codeMode === "completion") return row.prompt;
  if (typeof row.meta.mbpp_prompt_plus === "string") return row.meta.mbpp_prompt_plus;
  if (row.dataset === "apps") return appsPrompt(row);
  if (row.dataset === "cruxeval") return row.prompt; // its only test is the answer
  const lines = [row.prompt.trim()];
  if (isShortTest(row.tests[0])) lines.push(row.tests[0]);
  return `"""\n${lines.join("\n")}\n"""\n`;
}

/** Helper functions as tests (QuixBugs graphs) would fill the prompt with code: only assert lines are shown. */
function isShortTest(test: unknown): test is string {
  return typeof test === "string" && test.startsWith("assert");
}

function appsPrompt({ prompt, entryPoint, meta }: PromptParts): string {
  const starter = typeof meta.starter_code === "string" ? `\n${meta.starter_code}` : "";
  const form = entryPoint ? "Use Call-Based format" : "Use Standard Input format";
  return `\nQUESTION:\n${prompt}${starter}\n${form}\nANSWER:\n`;
}
