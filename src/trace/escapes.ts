// Hostile programs and their judge: over a hundred attempts to get out of the interpreter, to pass without solving the
// problem, to spoil the next program or to tell one run from another. None may succeed.
//
// The texts are in escapes/*.py: what stands before the first header is common to a file's programs, and each header
// `# === name [marks]` starts one program, which defines attempt(). An attempt wins by passing its test, by breaking the
// machinery, or by returning a text that says what it got.

import answers from "./escapes/answers.py" with { type: "text" };
import clock from "./escapes/clock.py" with { type: "text" };
import expected from "./escapes/expected.py" with { type: "text" };
import files from "./escapes/files.py" with { type: "text" };
import forgery from "./escapes/forgery.py" with { type: "text" };
import javascript from "./escapes/javascript.py" with { type: "text" };
import native from "./escapes/native.py" with { type: "text" };
import probeProgram from "./escapes/probe.py" with { type: "text" };
import processes from "./escapes/processes.py" with { type: "text" };
import state from "./escapes/state.py" with { type: "text" };
import values from "./escapes/values.py" with { type: "text" };
import type { ProgramJob, ProgramResult } from "./schema.ts";

export interface Escape {
  name: string;
  /** the file it is from, for example `javascript` */
  group: string;
  program: string;
  /**
   * `same`: it returns what it saw, and wins if two runs see different things. `near`, `in`: the form of the test that
   * nothing passes, which is equality otherwise. `traced`: the call is traced in a second pass.
   */
  marks: string[];
}

/** Runs one program in an interpreter of the kind under test. */
export type RunProgram = (job: ProgramJob) => ProgramResult | Promise<ProgramResult>;

/** All attempts. */
export const escapes: Escape[] = Object.entries({
  javascript,
  native,
  files,
  processes,
  expected,
  forgery,
  values,
  answers,
  state,
  clock,
}).flatMap(([group, text]) => takeApart(group, text));

function takeApart(group: string, text: string): Escape[] {
  const [common, ...rest] = text.split(/^# === (.+)$/m);
  const found: Escape[] = [];
  for (let i = 0; i < rest.length; i += 2) {
    const [, name, marked = ""] = rest[i].match(/^(.+?)(?: \[(.+)\])?$/)!;
    const marks = marked.split(" ");
    found.push({ name, group, program: common + rest[i + 1], marks });
  }
  return found;
}

/** What an attempt got, in words; null if it was held. Throws if the attempt itself is broken. */
export async function tryEscape(escape: Escape, run: RunProgram): Promise<string | null> {
  const has = (mark: string) => escape.marks.includes(mark);
  const [secret, job] = newAttempt(escape.program, has);
  const result = await run(job);
  const test = result.tests[0];
  const error = result.error?.message ?? test?.error?.message ?? "";
  if (result.verdict === "syntax_error" || result.verdict === "missing_entry") {
    throw new Error(`the attempt "${escape.name}" is no program: ${error}`);
  }
  if (result.infra || result.verdict === "harness_error") return `the machinery failed: ${error}`;
  if (/^the Python (process|worker)/.test(error)) return `it ended the arena: ${error}`;
  if (result.passed || result.verdict === "pass" || test?.outcome === "PASS") {
    return "it passed the test that nothing passes";
  }
  const odd = malformed(result);
  if (odd) return odd;
  const got = test?.actual;
  if (has("same")) {
    const again = (await run(job)).tests[0]?.actual;
    return got === again && got !== undefined ? null : `one run saw ${got}, the next ${again}`;
  }
  // Only a text that is not empty claims anything; the secret gives itself away anywhere.
  return got !== undefined && (got.includes(secret) || /^['"](?!['"]$)/.test(got)) ? got : null;
}

/** What a result must not be, whoever had a hand in it. */
function malformed(result: ProgramResult): string | null {
  if (JSON.stringify(result).length > 1_000_000) return "a result of more than a million characters";
  const texts = result.tests.flatMap((test) => [test.source, test.verdict, ...(test.values ?? [])]);
  const events = result.trace?.events ?? [];
  if (!texts.every((text) => typeof text === "string")) return "a result whose texts are no texts";
  return events.every((event) => event && Number.isInteger(event.line_number) && typeof event.event_type === "string")
    ? null
    : "a trace whose events are no events";
}

/**
 * Digests of an interpreter as a program finds it: files, builtins, modules, descriptors. Equal ones mean that nothing of the
 * programs before is left.
 */
export async function probe(run: RunProgram, program: string = probeProgram): Promise<string> {
  const result = await run(newJob(program, "assert attempt() == 0", false));
  const seen = result.tests[0]?.actual;
  if (!seen) throw new Error(`Cannot probe the interpreter: ${JSON.stringify(result.tests[0]?.error ?? result.error)}`);
  return seen;
}

/** Makes the attempts; resolves to how many there were. Throws one error that names those that succeeded. */
export async function selfTest(run: RunProgram, attempts: Escape[] = escapes): Promise<number> {
  const known = new Set([await probe(run)]);
  const wins: string[] = [];
  for (const escape of attempts) {
    const won = await tryEscape(escape, run);
    if (won !== null) wins.push(`${escape.group}: ${escape.name} (${won})`);
    const after = await probe(run);
    if (!known.has(after)) wins.push(`${escape.group}: ${escape.name} (the next program finds ${after})`);
    known.add(after); // named once, at the attempt that did it
  }
  if (wins.length === 0) return attempts.length;
  throw new Error(
    `The sandbox is open: ${wins.length} of ${attempts.length} escape attempts succeeded\n${wins.join("\n")}`,
  );
}

/** The job of an attempt, and what nobody but its test knows. */
function newAttempt(program: string, has: (mark: string) => boolean): [secret: string, job: ProgramJob] {
  const hex = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const secret = `orchid-${hex}`;
  const test = has("near")
    ? `assert abs(attempt() - 0.${BigInt("0x" + hex)}) < 1e-9`
    : has("in")
    ? `assert '${secret}' in attempt()`
    : `assert attempt() == '${secret}'`;
  return [secret, newJob(program, test, has("traced"))];
}

function newJob(program: string, test: string, traced: boolean): ProgramJob {
  return {
    id: "escape",
    program,
    entryPoint: "attempt",
    testKind: "assert-list",
    tests: [test],
    trace: traced ? "deciding" : "none",
    streams: traced,
    limits: { stepsPerTest: 20_000_000, wallMsPerProgram: 20_000 },
  };
}
