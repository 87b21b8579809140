/** `etalon micro`: micro-Python problems and the corpus for pre-training, as JSON lines. */
import { type Command, Option } from "commander";
import { createPool, microCorpus, microProblems, toJsonl } from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { parseCount, parseNumber, parsePositive } from "./options.ts";

interface MicroOptions {
  out: string;
  seed: number;
  count: number;
  problems?: "train" | "heldout" | "all";
  bugRate: number;
  syntaxRate: number;
  workers: number;
}

export function addMicro(program: Command): void {
  program.command("micro")
    .description("Generate micro-Python: right and wrong solutions to train on, or problems with tests")
    .requiredOption("--out <file>", "JSON lines to write")
    .addOption(new Option("--seed <n>", "same seed, same bytes").default(1).argParser(parseCount))
    .addOption(new Option("--count <n>", "rows").default(1000).argParser(parsePositive))
    .addOption(
      new Option("--problems <split>", "problems of a split instead of a corpus").choices(["train", "heldout", "all"]),
    )
    .addOption(
      new Option("--bug-rate <share>", "of the corpus: programs that fail a test").default(0.45).argParser(parseNumber),
    )
    .addOption(new Option("--syntax-rate <share>", "programs that do not compile").default(0.08).argParser(parseNumber))
    .addOption(new Option("--workers <n>", "Python interpreters at once").default(2).argParser(parsePositive))
    .addHelpText(
      "after",
      `
Examples:
  $ deno task etalon micro --seed 1 --count 48000 --out runs/corpus.jsonl
  $ deno task etalon micro --problems heldout --count 20 --out runs/problems.jsonl`,
    )
    .action(async (options: MicroOptions) => await runMicro(options));
}

async function runMicro({ out, seed, count, problems, bugRate, syntaxRate, workers }: MicroOptions): Promise<void> {
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: workers });
  try {
    const rows = problems
      ? await microProblems(pool, { seed, count, split: problems })
      : await microCorpus(pool, { seed, count, bugRate, syntaxRate });
    await host.write(out, toJsonl(rows));
    console.error(`${rows.length} rows written to ${out}`);
  } finally {
    pool.close();
  }
}
