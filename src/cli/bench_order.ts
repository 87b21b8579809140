/** `etalon bench-order`: how often preference orders prefer the program with fewer faults, on nested mutants. */
import { type Command, Option } from "commander";
import {
  benchOrder,
  type Comparator,
  comparatorOf,
  createPool,
  microProblems,
  MIXES,
  mutantCounts,
  type MutantMix,
  mutantRuns,
  mutantsSource,
  orderBenchTable,
  type OrderName,
  orders,
  type Pool,
  type Problem,
  type ProblemRuns,
  sha256,
  studyComparators,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { inOrder } from "./in_order.ts";
import { interruptSignal } from "./interrupt.ts";
import { parseCount, parsePositive } from "./options.ts";
import { readComparator } from "./orders.ts";
import { duration, terminalProgress } from "./progress.ts";
import { readProblems } from "./trace_candidates.ts";
import { openResults, print } from "./trace_output.ts";

interface BenchOptions {
  order: string[];
  problems?: string[];
  micro?: number;
  chains: number;
  mix: MutantMix;
  seed: number;
  runs?: string;
  json?: boolean;
  workers: number;
}

/** Solved problems with many tests, where their published files are. */
const USUAL = ["data/humaneval.jsonl", "data/quixbugs.jsonl"];
const MICRO = 60;

export function addBenchOrder(program: Command): void {
  program.command("bench-order")
    .description("Measure preference orders on nested mutants of solved problems: fewer faults should be preferred")
    .option(
      "--order <names...>",
      `${
        Object.keys(orders).join(", ")
      }; a .json file {name, components}; a .ts or .js file that exports compare(a, b)`,
      ["all"],
    )
    .option("--problems <files...>", "solved problems: files, or humaneval, mbpp (default: data/, else micro problems)")
    .addOption(new Option("--micro <n>", "use so many micro problems").argParser(parsePositive).conflicts("problems"))
    .addOption(
      new Option("--chains <n>", "chains of 1 to 3 nested edits for each problem").default(24).argParser(parsePositive),
    )
    .addOption(
      new Option("--mix <what>", "all edits as likely (places), or all kinds of edit (kinds)").choices(MIXES).default(
        MIXES[0],
      ),
    )
    .addOption(new Option("--seed <n>", "of mutants, intervals and the order random").default(1).argParser(parseCount))
    .option("--runs <file>", "keeps what the mutants did: a rerun goes on, another order costs nothing")
    .option("--json", "print the figures as one JSON document")
    .addOption(
      new Option("--workers <n>", "Python interpreters at once").default(navigator.hardwareConcurrency, "one a core")
        .argParser(parsePositive),
    )
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon bench-order
  $ deno task etalon bench-order --problems humaneval --runs runs/mutants.jsonl --json
  $ deno task etalon bench-order --order eta my_order.ts --runs runs/mutants.jsonl

my_order.ts: export function compare(a, b) { return ... } - above 0 prefers a, below 0 prefers b, 0 is a tie, null says
that the two cannot be compared. a and b have: stage (syntax, load, run), outcomes (of each test: PASS, WRONG, EXC, FUEL,
KILL, SKIP), passed, steps (of the first failing test), agreement and prefix (of each test, in [0, 1], with the right
program). Exit codes: 0 done, 1 failed, 130 interrupted.`,
    )
    .action(async (options: BenchOptions) => await runBench(options));
}

async function runBench(options: BenchOptions): Promise<void> {
  const { chains, mix, seed, workers } = options;
  const comparators = await chooseComparators(options.order);
  const progress = terminalProgress();
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: workers });
  const signal = interruptSignal();
  signal.addEventListener("abort", () => progress.log("stopping when the running programs end; Ctrl-C again: at once"));
  try {
    const { problems, source, name } = await chooseProblems(options, pool);
    const found: ProblemRuns[] = [];
    const record = { use: "bench-order", problems: source, chains, mix, seed, mutants: await sha256(mutantsSource) };
    const results = options.runs === undefined
      ? { add: () => true, close() {} }
      : await openResults(options.runs, record, (row) => found.push(row as ProblemRuns));
    const first = found.length;
    if (first > 0) progress.log(`going on with ${options.runs}: ${first} of ${problems.length} problems are done`);
    const started = performance.now();
    const rows = async function* () {
      for (let index = first; index < problems.length; index++) yield { index, problem: problems[index] };
    };
    const run = ({ problem }: { problem: Problem }) => mutantRuns(pool, problem, { seed, chains, mix });
    const end = await inOrder(rows(), run, first, workers, signal, (row) => {
      found.push(row);
      const seconds = (performance.now() - started) / 1000;
      const left = (problems.length - found.length) * seconds / (found.length - first);
      const programs = found.reduce((sum, { runs }) => sum + runs.length, 0);
      progress.live(`${found.length}/${problems.length} problems, ${programs} mutants, ${duration(left)} left`);
      return results.add(JSON.stringify(row));
    });
    results.close();
    if (end === "interrupted") {
      progress.log(options.runs ? "stopped; the same command goes on from here" : "stopped");
      Deno.exitCode = 130;
      return;
    }
    const counts = mutantCounts(found);
    if (counts.nestedPairs === 0) throw new Error(`Cannot measure orders: ${name} gave no two failing nested mutants`);
    const figures = comparators.map((comparator) => benchOrder(comparator, found, seed));
    const document = { problems: name, chains, mix, seed, counts, orders: figures };
    print(options.json ? JSON.stringify(document, null, 2) + "\n" : orderBenchTable(document));
  } finally {
    pool.close();
  }
}

async function chooseComparators(words: readonly string[]): Promise<Comparator[]> {
  const named = Object.keys(orders).map((name) => comparatorOf(name as OrderName));
  const chosen = await Promise.all(
    words.map(async (word) => word === "all" ? [...named, ...studyComparators()] : [await readComparator(word)]),
  );
  return chosen.flat();
}

/** Those whose tests are calls, of QuixBugs; all others as they are. */
async function chooseProblems(options: BenchOptions, pool: Pool) {
  const host = denoHost();
  const there = await Promise.all(USUAL.map((path) => host.exists(path)));
  const usual = USUAL.filter((_, i) => there[i]);
  const files = options.problems ?? (options.micro === undefined && usual.length > 0 ? usual : null);
  if (!files) {
    const count = options.micro ?? MICRO;
    const problems = await microProblems(pool, { seed: options.seed, count, split: "all" });
    return { problems, source: { micro: count, seed: options.seed } as unknown, name: `${count} micro problems` };
  }
  const { problems, sources } = await readProblems(files);
  const kept = problems.filter(({ dataset, testKind }) => dataset !== "quixbugs" || testKind === "call-json");
  const names = files.map((file) => file.split("/").at(-1)!.replace(/\.jsonl?(\.gz)?$/, ""));
  return { problems: kept, source: sources as unknown, name: names.join(", ") };
}
