/**
 * Runs the real model outputs of ../shared/data/candidates.jsonl.gz and compares what becomes of each with what native
 * CPython 3.11 measured, by class. Writes every disagreement, grouped by its reason, as a JSON table.
 *
 *   deno run -A tools/candidate_study.ts --out runs/candidates            # all 12,129, resumable with --resume
 *   deno run -A tools/candidate_study.ts --limit 200 --out runs/sample    # 200 of them, evenly spread
 *   deno run -A tools/candidate_study.ts --report --out runs/candidates   # only the table, from results that are there
 *
 * Exit code 1 if a disagreement has no reason (tools/candidate_reasons.ts).
 */
import { rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Candidate, candidateJob, parseCandidates } from "../src/data/candidates.ts";
import { loadProblems } from "../src/data/datasets.ts";
import { measuredClass, resultClass } from "../src/eval/measured.ts";
import { denoHost } from "../src/host/deno.ts";
import type { ProgramResult } from "../src/trace/schema.ts";
import { reasonOf, reasons, type Seen } from "./candidate_reasons.ts";
import { judgeAll, type Judged, readRows } from "./judge_all.ts";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "runs/candidates" },
    data: { type: "string", default: "../shared/data" },
    table: { type: "string", default: "test/golden/candidate_disagreements.json" },
    limit: { type: "string" },
    only: { type: "string" },
    size: { type: "string", default: "2" },
    steps: { type: "string", default: "1000000" },
    "wall-ms": { type: "string", default: "30000" },
    resume: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(`deno run -A tools/candidate_study.ts [options]

  --out DIR       results.jsonl, a line per program, is written there (runs/candidates)
  --resume        go on with the results in DIR;  --fresh  remove them first
  --report        run nothing, make the table from the results in DIR
  --limit N       N programs, evenly spread over the file;  --only TEXT  those whose key holds TEXT
  --size N        interpreters at once (2);  --steps N per test (1000000);  --wall-ms N per program (30000)
  --table FILE    where the disagreements go; not written with --limit or --only (${values.table})
  --data DIR      folder of the data sets (../shared/data)`);
  Deno.exit(0);
}

export interface ResultRow extends Judged, Seen {}

const host = denoHost();
const packed = await host.readBytes(`${values.data}/candidates.jsonl.gz`);
const all = parseCandidates(new TextDecoder().decode(await host.gunzip(packed)), "candidates.jsonl.gz");
const problems = new Map(
  (await Promise.all(["humaneval", "mbpp", "apps"].map((name) => loadProblems(host, `${values.data}/${name}.jsonl`))))
    .flat().map((problem) => [problem.id, problem]),
);
const wanted = all.filter(({ key }) => !values.only || key.includes(values.only));
const limit = Math.min(Number(values.limit ?? wanted.length), wanted.length);
const chosen = Array.from({ length: limit }, (_, i) => wanted[Math.floor(i * wanted.length / limit)]);
const byKey = new Map(chosen.map((candidate) => [candidate.key, candidate]));

const results = `${values.out}/results.jsonl`;
if (values.fresh) rmSync(results, { force: true });
const judged = values.report ? readRows<ResultRow>(results) : await judgeAll(
  chosen.map((candidate) => candidateJob(problems.get(candidate.problemId)!, candidate, "none")),
  (result, job) => seen(byKey.get(job.id)!, result),
  {
    out: results,
    resume: values.resume,
    size: Number(values.size),
    limits: { stepsPerTest: Number(values.steps), wallMsPerProgram: Number(values["wall-ms"]) },
  },
);
// The file has them in the order they ended in.
const rows = new Map(judged.map((row) => [row.key, row]));
report(chosen.flatMap(({ key }) => rows.get(key) ?? []));

function seen(candidate: Candidate, result: ProgramResult): ResultRow {
  const failing = result.tests.find(({ outcome }) => outcome !== "PASS" && outcome !== "SKIP");
  const error = result.error ?? failing?.error;
  return {
    key: candidate.key,
    count: candidate.count,
    measured: measuredClass(candidate.measured!),
    here: resultClass(result),
    verdict: result.verdict,
    ...(error ? { message: `${error.type}: ${error.message}`.slice(0, 160) } : {}),
    ...(failing && !error
      ? { test: failing.source.slice(0, 120), got: failing.actual, expected: failing.expected }
      : {}),
    steps: Math.max(0, ...result.tests.map((test) => test.steps)),
    ms: Math.round(result.elapsedMs),
  };
}

function report(rows: ResultRow[]) {
  const different = rows.filter(({ measured, here }) => measured !== here);
  const groups = new Map<string, ResultRow[]>(Object.keys(reasons).map((reason) => [reason, []]));
  const open: ResultRow[] = [];
  for (const row of different) (groups.get(reasonOf(row) ?? "") ?? open).push(row);

  const share = (part: number) => `${(100 * part / rows.length).toFixed(2)} %`;
  console.log(`${rows.length} programs, ${share(rows.length - different.length)} agree, ${different.length} do not:`);
  for (const [reason, found] of groups) if (found.length) console.log(`${String(found.length).padStart(5)}  ${reason}`);
  const idle = [...groups].filter(([, found]) => found.length === 0).map(([reason]) => reason);
  if (idle.length) console.log(`reasons without a program: ${idle.join(", ")}`);
  for (const row of open) console.log(`unexplained: ${JSON.stringify(row)}`);
  if (rows.length < chosen.length) console.log(`${chosen.length - rows.length} are not judged yet: no table`);
  else if (!values.limit && !values.only) {
    const table = {
      made_by: "deno run -A tools/candidate_study.ts",
      programs: rows.length,
      agree: rows.length - different.length,
      agreement: share(rows.length - different.length),
      classes: tally(rows),
      reasons: [...groups].filter(([, found]) => found.length).map(([reason, found]) => ({
        reason,
        explanation: reasons[reason].text,
        count: found.length,
        rows: found.map(({ key, measured, here, message }) => ({ key, measured, here, message })),
      })),
      unexplained: open,
    };
    writeFileSync(values.table, JSON.stringify(table, null, 1) + "\n");
    console.log(`written to ${values.table}`);
  }
  if (open.length) Deno.exit(1);
}

/** Number of programs by class, as measured and as found here. */
function tally(rows: ResultRow[]): Record<string, { measured: number; here: number }> {
  const counts: Record<string, { measured: number; here: number }> = {};
  for (const row of rows) {
    for (const side of ["measured", "here"] as const) (counts[row[side]] ??= { measured: 0, here: 0 })[side]++;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
