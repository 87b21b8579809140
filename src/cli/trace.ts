/** `etalon trace`: run Python in the sandbox and print what happened; one program, or a whole set of candidates. */
import { type Command, Option } from "commander";
import {
  compactTrace,
  createPool,
  type Limits,
  type Pool,
  type ProgramResult,
  statementTable,
  traceText,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { parseNumber, parsePositive } from "./options.ts";
import { runCandidates } from "./trace_candidates.ts";
import { runStage } from "./stages.ts";
import { print } from "./trace_output.ts";
import { wantsColour } from "./trace_style.ts";
import { type Question, readQuestion, type TestChoice, withoutExpectation } from "./trace_tests.ts";
import { testsView, traceView } from "./trace_view.ts";

export interface TraceOptions extends TestChoice {
  test?: number;
  compact?: number;
  json?: boolean;
  candidates?: string;
  run?: string;
  problems?: string[];
  out?: string;
  workers: number;
  trace: "deciding" | "none";
  limitSteps?: number;
  limitWall?: number;
}

const ONE = ["call", "expect", "tests", "stdin", "problem", "entry", "test", "compact", "json"];
/** Of a stage, what this command has no flags for. */
const RUN_OPTIONS = { set: [], printConfig: false, deterministic: false, json: false };
const MANY = ["candidates", "problems", "out", "workers", "trace"];

export function addTrace(program: Command): void {
  const command = program.command("trace")
    .description("Run a Python program in the sandbox and print its execution trace, or judge a set of candidates")
    .argument("[file]", "Python program")
    .optionsGroup("One program:")
    .option("--call <expression>", 'trace this call, e.g. "divide(10, 0)"')
    .option("--expect <expression>", "what the call should return; with --stdin the text the program should print")
    .option("--tests <file>", "Python asserts, a check(candidate), or a problem row (.json, .jsonl, .gz)")
    .addOption(new Option("--test <n>", "trace test n, not the deciding one").argParser(parsePositive))
    .option("--problem <id>", "the row of --tests to use, where there are several")
    .option("--entry <name>", "the function under test, where the tests leave it open")
    .option("--stdin <file>", "run the program with this input and trace it (- is standard input)")
    .addOption(
      new Option("--compact <tokens>", "print the trace for a model, in at most so many tokens").argParser(
        parsePositive,
      ),
    )
    .option("--json", "print the result of all tests, with the events, as one JSON document")
    .optionsGroup("A set of candidates:")
    .option("--candidates <file>", "judge the programs of these JSON lines (.gz too)")
    .option("--problems <files...>", "their problems: files, or humaneval, mbpp")
    .option(
      "--out <file>",
      "results, one JSON line a candidate in input order; a rerun goes on (default: a piped stdout)",
    )
    .addOption(
      new Option("--workers <n>", "Python interpreters at once")
        .default(navigator.hardwareConcurrency, "one a core").argParser(parsePositive),
    )
    .addOption(
      new Option("--trace <which>", "tests of a candidate to trace").choices(["deciding", "none"]).default("deciding"),
    )
    .optionsGroup("A run folder:")
    .option("--run <dir>", "trace what etalon sample left there: the stage between sample and pairs")
    .optionsGroup("Without --run:")
    .addOption(new Option("--limit-steps <n>", "line events of one test").argParser(parsePositive))
    .addOption(new Option("--limit-wall <seconds>", "clock of one program").argParser(parseNumber))
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon trace divide.py --call "divide(10, 0)" --expect "float('inf')"
  $ deno task etalon trace divide.py --tests test_divide.py --test 2
  $ deno task etalon trace answer.py --tests data/humaneval.jsonl --problem humaneval/12
  $ echo "3 4" | deno task etalon trace sum.py --stdin -
  $ deno task etalon trace --candidates samples.jsonl --problems humaneval --out results.jsonl
  $ deno task etalon trace --run runs/mine

A terminal gets colours and columns; a pipe gets the plain text form that models read, and the list of tests goes to
stderr. NO_COLOR and FORCE_COLOR are honoured. A line of --candidates has problem_id (or task_id, id) and code (or
completion, solution, program); sample and code_mode may stand beside them. human-eval's samples.jsonl is such a file.

Exit codes: 0 passed (or the set is done), 1 failed, 2 could not be run, 130 interrupted.`,
    )
    .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2))
    .action(async (file: string | undefined, options: TraceOptions) => {
      try {
        checkWords(command, file, options);
        if (options.run !== undefined) {
          return await runStage("trace", command, { ...RUN_OPTIONS, ...options, run: options.run }, []);
        }
        if (options.candidates === undefined) await traceOne(file!, options);
        else await runCandidates(options.candidates, options, limitsOf(options));
      } catch (error) {
        Deno.exitCode = 2; // 1 says that a program failed its tests
        throw error;
      }
    });
}

/** Each of the two ways to use the command has flags of its own. */
function checkWords(command: Command, file: string | undefined, options: TraceOptions): void {
  const given = (names: string[]) => names.filter((name) => command.getOptionValueSource(name) === "cli");
  if (options.run !== undefined) {
    const own = [...ONE, ...MANY].filter((name) => name !== "json" && name !== "workers");
    const [stray] = given([...own, "limitSteps", "limitWall"]).map((name) =>
      `--${name.replace(/[A-Z]/, "-$&").toLowerCase()}`
    );
    if (stray || file !== undefined) throw new Error(`Cannot use ${stray ?? file} with --run`);
    return;
  }
  const many = options.candidates !== undefined;
  const [stray] = given(many ? ONE : MANY);
  if (many && file !== undefined) throw new Error(`Cannot trace ${file} and --candidates in one run`);
  if (stray) throw new Error(`Cannot use --${stray} ${many ? "with" : "without"} --candidates`);
  if (many && !options.problems) throw new Error("Cannot judge --candidates without --problems");
  if (options.limitWall !== undefined && options.limitWall <= 0) {
    throw new Error("Cannot trace: --limit-wall is not above 0");
  }
  if (many) return;
  if (file === undefined) throw new Error("Cannot trace: name a Python file, or a set with --candidates");
  const ways = given(["call", "tests", "stdin"]);
  if (ways.length !== 1) throw new Error(`Cannot trace ${file}: give it one of --call, --tests and --stdin`);
  const [wrong] = given(
    ways[0] === "tests" ? ["expect"] : ["test", "problem", ...(ways[0] === "stdin" ? ["entry"] : [])],
  );
  if (wrong) throw new Error(`Cannot use --${wrong} with --${ways[0]}`);
}

function limitsOf({ limitSteps, limitWall }: TraceOptions): Partial<Limits> {
  return {
    ...(limitSteps === undefined ? {} : { stepsPerTest: limitSteps }),
    ...(limitWall === undefined ? {} : { wallMsPerProgram: limitWall * 1000 }),
  };
}

async function traceOne(file: string, options: TraceOptions): Promise<void> {
  const host = denoHost();
  const pool = createPool(() => host.spawnArena());
  try {
    const question = await readQuestion(pool, file, options);
    const { job, unjudged } = question;
    if (options.test !== undefined) job.trace = options.test - 1;
    const answer = await pool.run({ ...job, limits: { ...job.limits, ...limitsOf(options) } });
    if (answer.infra) throw new Error(`Cannot judge ${file}: ${answer.error?.message}`);
    if (options.test !== undefined && options.test > answer.tests.length) {
      throw new Error(`Cannot trace test ${options.test}: there are ${answer.tests.length}`);
    }
    const result = unjudged ? withoutExpectation(answer, unjudged) : answer;
    await show(pool, file, question, result, options);
    if (!result.passed) Deno.exitCode = 1;
  } finally {
    pool.close();
  }
}

/** JSON for programs, columns and colours for people, the text form for models. */
async function show(pool: Pool, file: string, question: Question, result: ProgramResult, options: TraceOptions) {
  const { job: { program }, title, unjudged } = question;
  const terminal = Deno.stdout.isTerminal();
  const colour = wantsColour((name) => Deno.env.get(name), terminal);
  if (options.json) return print(JSON.stringify(result) + "\n");
  if (options.compact === undefined && (terminal || colour)) {
    const view = { columns: terminalColumns(), colour, unjudged };
    const tests = options.tests === undefined ? "" : `\n${testsView(result, view)}\n`;
    return print(`${traceView(file, program, result, view)}\n${tests}`);
  }
  const outcome = unjudged === undefined;
  let text = traceText(title, program, result, { outcome });
  if (options.compact !== undefined) {
    const short = { budget: options.compact, statements: await statementTable(pool, program), outcome };
    // No other line can be this one: the program's have numbers, the problem stands in quotes.
    text = text.split(/(?<=\nExecution Trace:\n)/)[0] + compactTrace(result, short) + "---\n";
  }
  const stopped = result.tests.find((test) => test.outcome === "FUEL" || test.outcome === "KILL");
  if (options.tests !== undefined) console.error(testsView(result, { colour: false }));
  else if (stopped) console.error(`${stopped.verdict}: ${stopped.error?.message}`); // a limit is not to be seen in the trace
  print(text);
}

function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return Number(Deno.env.get("COLUMNS")) || 100; // colours were asked for in a pipe
  }
}
