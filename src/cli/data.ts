/** `etalon data`: the data of a run as files for others, files as the data of a run, and the card that describes it. */
import { type Command, Option } from "commander";
import {
  dataCard,
  encodeRows,
  exportRows,
  type Form,
  type Format,
  FORMATS,
  FORMS,
  importRows,
  openStore,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";

export function addData(program: Command): void {
  const data = program.command("data").description("Export, import and describe the data of a run");
  const run = () => new Option("--run <dir>", "run folder, which holds run.db").makeOptionMandatory();
  data.command("export")
    .description("Write samples with their traces, preference pairs, SFT rows or problems as JSON lines or Parquet")
    .addOption(run())
    .addOption(new Option("--what <rows>", "which rows").choices(FORMS).makeOptionMandatory())
    .addOption(new Option("--format <format>", "of the file").choices(FORMATS).default("jsonl"))
    .option("--set <name...>", "only these sets")
    .option("--out <file>", "file to write (default: <what>.<format> in the run folder)")
    .addHelpText(
      "after",
      `
Rows:
  samples   prompt, code, trace and result of every sample, and how it was drawn
  pairs     prompt, chosen and rejected (the columns that TRL trains on), margin, reason and both traces
  sft       prompt and completion of finished passing samples, each program once a problem: etalon sft --data takes them
  problems  normalised problems: etalon train --data takes them

Examples:
  $ deno task etalon data export --run runs/a --what pairs --format parquet
  $ deno task etalon data export --run runs/a --what samples --set train --out train.jsonl`,
    )
    .action(async (options: ExportOptions) => await runExport(options));
  data.command("import")
    .description("Add exported problems, samples or pairs (JSON lines or Parquet) to a run; the problems first")
    .addOption(run())
    .argument("<file...>", "files to read, in this order")
    .action(async (files: string[], options: { run: string }) => await runImport(files, options.run));
  data.command("card")
    .description("Describe a run's data in Markdown: sources, licences, counts, outcomes, sampling, versions")
    .addOption(run())
    .option("--out <file>", "file to write (default: stdout)")
    .option("--title <text>", "of the card")
    .action(async (options: { run: string; out?: string; title?: string }) => await runCard(options));
}

interface ExportOptions {
  run: string;
  what: Form;
  format: Format;
  set?: string[];
  out?: string;
}

async function runExport({ run, what, format, set, out }: ExportOptions): Promise<void> {
  const host = denoHost();
  const store = await openRun(run);
  try {
    const rows = await exportRows(store, what, set);
    if (rows.length === 0) throw new Error(`Cannot export ${what}: ${store.path} has none`);
    const path = out ?? `${trimmed(run)}/${what}.${format}`;
    await host.write(path, encodeRows(rows, what, format));
    console.error(`${rows.length} rows written to ${path}`);
  } finally {
    await store.close();
  }
}

async function runImport(files: string[], run: string): Promise<void> {
  const host = denoHost();
  // Read before the store is made: a mistyped name leaves nothing behind.
  const read = await Promise.all(files.map(async (file) => ({ file, bytes: await host.readBytes(file) })));
  const store = await openStore(host, `${trimmed(run)}/run.db`);
  try {
    for (const { file, bytes } of read) {
      const { problems, samples, pairs } = await importRows(store, bytes, file);
      console.error(`${file}: ${problems} problems, ${samples} samples, ${pairs} pairs`);
    }
  } finally {
    await store.close();
  }
}

async function runCard({ run, out, title }: { run: string; out?: string; title?: string }): Promise<void> {
  const store = await openRun(run);
  try {
    const card = await dataCard(store, title ?? `Data of ${trimmed(run).split("/").at(-1)}`);
    if (out === undefined) return console.log(card.trimEnd());
    await denoHost().write(out, card);
    console.error(`card written to ${out}`);
  } finally {
    await store.close();
  }
}

/** The store of a run that is there. */
async function openRun(run: string) {
  const host = denoHost();
  const path = `${trimmed(run)}/run.db`;
  if (!await host.exists(path)) throw new Error(`Cannot open ${path}: no such file, so ${run} is no run folder`);
  return await openStore(host, path);
}

const trimmed = (path: string) => path.replace(/(?<=.)\/+$/, "");
