/** `etalon explain`: why one program fails where another one passes; for people, in a class above all. */
import type { Command } from "commander";
import { createPool, explainFailure, type Explanation, type ProgramJob } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { print } from "./trace_output.ts";
import { paint, type Span, span, wantsColour } from "./trace_style.ts";
import { readQuestion, type TestChoice } from "./trace_tests.ts";

interface ExplainOptions extends TestChoice {
  sibling: string;
  json?: boolean;
}

export function addExplain(program: Command): void {
  program.command("explain")
    .description(
      "Show why a program fails where another passes: first other value, backward slice, and what repairs it",
    )
    .argument("<file>", "the failing Python program")
    .requiredOption("--sibling <file>", "a program that passes the same tests")
    .option("--call <expression>", 'test with this call, e.g. "divide(10, 0)"')
    .option("--expect <expression>", "what the call should return; with --stdin the text the program should print")
    .option("--tests <file>", "Python asserts, a check(candidate), or a problem row (.json, .jsonl, .gz)")
    .option("--problem <id>", "the row of --tests to use, where there are several")
    .option("--entry <name>", "the function under test, where the tests leave it open")
    .option("--stdin <file>", "run the program with this input (- is standard input)")
    .option("--json", "print all of it as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon explain wrong.py --sibling right.py --tests test_it.py
  $ deno task etalon explain answer.py --sibling better.py --tests data/humaneval.jsonl --problem humaneval/12

Marks of a line: > it made the first value the sibling did not make, x it raised the error, * exchanging it makes tests
pass. The bar is its part in the backward slice of the wrong value, the error or the loop that did not end.`,
    )
    .action(async (file: string, options: ExplainOptions) => {
      const ways = [options.call, options.tests, options.stdin].filter((way) => way !== undefined);
      if (ways.length !== 1) throw new Error(`Cannot explain ${file}: give it one of --call, --tests and --stdin`);
      if (options.tests === undefined && options.expect === undefined) {
        throw new Error(`Cannot explain ${file}: without --expect no program fails`);
      }
      const pool = createPool(() => denoHost().spawnArena(), { size: navigator.hardwareConcurrency });
      try {
        const own = await readQuestion(pool, file, options);
        const other = await readQuestion(pool, options.sibling, options);
        const found = await explainFailure(pool, problemOf(file, own.job), own.job.program, other.job.program);
        const colour = wantsColour((name) => Deno.env.get(name), Deno.stdout.isTerminal());
        print(options.json ? JSON.stringify(found) + "\n" : explanationView(file, options.sibling, found, colour));
      } finally {
        pool.close();
      }
    });
}

/** The question as a problem whose answers are whole programs. */
function problemOf(id: string, job: ProgramJob): Parameters<typeof explainFailure>[1] {
  const { entryPoint, tests, testKind, compare, helpers = "", preCode, testSetup, isMethod } = job;
  const meta = { pre_code: preCode, test_setup: testSetup, is_method: isMethod };
  const form = { dataset: "", split: "", canonicalSolution: null, codeMode: "program" as const, meta };
  return { id, prompt: helpers, entryPoint, tests, testKind, compare, ...form };
}

const BAR = 8;

/** Lines of at most one idea each: the program with its marks, the test, the first other value, what repairs it. */
export function explanationView(file: string, sibling: string, found: Explanation, colour: boolean): string {
  const { result, lines, hunks, minimal, divergence } = found;
  const digits = String(lines.length).length;
  const out: Span[][] = [[span(file, "bold"), span(`  ${result.testsPassed} of ${result.testsTotal} tests pass`)], []];
  for (const { number, text, executed, erring, diverging, slice, cause } of lines) {
    const bar = "#".repeat(Math.round(slice * BAR)) || (slice > 0 ? "." : "");
    out.push([
      span(erring ? "x" : " ", "red"),
      span(diverging ? ">" : " ", "yellow"),
      span(cause > 0 ? "*" : " ", "magenta"),
      span(` ${bar.padEnd(BAR)} `, "cyan"),
      span(String(number).padStart(digits), "dim"),
      executed ? span(`  ${text}`) : span(`  ${text}`, "dim"),
    ]);
  }
  const test = result.tests.find(({ index }) => index === found.test);
  out.push([]);
  if (test) {
    const ended = test.error ? `${test.error.type}: ${test.error.message}` : `gives ${test.actual ?? "?"}`;
    out.push([span(test.source, "bold"), span(`  ${ended}${test.expected ? `, expected ${test.expected}` : ""}`)]);
  } else if (result.error) {
    out.push([span(`line ${result.error.line ?? "?"}: ${result.error.type}: ${result.error.message}`, "red")]);
  }
  if (divergence?.kind === "value") {
    const theirs = divergence.sibling === null ? "has ended" : `has ${divergence.sibling}`;
    out.push([span(`line ${divergence.line} makes ${divergence.candidate}, where ${sibling} ${theirs}`, "yellow")]);
  } else if (divergence?.kind === "end") {
    out.push([span(`all values agree up to the end, which is line ${divergence.line}`, "yellow")]);
  }
  if (!found.siblingPassed) out.push([span(`${sibling} fails too`, "red")]);
  hunks.forEach(({ start, end, lines: others, gain }, index) => {
    const where = end < start ? `before line ${start}` : end === start ? `line ${start}` : `lines ${start} to ${end}`;
    const tests = gain === null ? 0 : Math.round(gain * result.testsTotal);
    const many = `${Math.abs(tests)} test${Math.abs(tests) === 1 ? "" : "s"}`;
    const effect = gain === null
      ? "is no program by itself"
      : tests > 0
      ? `${many} more pass`
      : tests < 0
      ? `${many} fewer pass`
      : "changes no test";
    out.push([], [
      span(`${minimal?.includes(index) ? "*" : " "} ${where}, exchanged`, "magenta"),
      span(`: ${effect}`),
    ]);
    for (const line of others) out.push([span(`    + ${line}`, "green")]);
  });
  const repaired = minimal === null
    ? "No exchange repairs the program."
    : minimal.length === 1
    ? "One exchange (*) repairs the program."
    : `${minimal.length} exchanges (*) together repair the program, and none of them can be left out.`;
  out.push([], [span(repaired, "bold")]);
  return out.map((line) => paint(line, colour) + "\n").join("");
}
