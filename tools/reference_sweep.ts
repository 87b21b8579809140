/**
 * Runs the reference solution of every row of ../shared/data, and every buggy version. Right ones must pass, buggy ones
 * must fail; what does not is listed with its reason in test/trace/data_exceptions.ts. Writes a table of outcomes.
 *
 *   deno run -A tools/reference_sweep.ts --out runs/references [--resume | --fresh] [--only mbpp,quixbugs] [--size 2]
 *
 * Exit code 1 if an exception has no reason, or one with a reason did not happen.
 */
import { rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { loadProblems } from "../src/data/datasets.ts";
import { programJob } from "../src/data/problem.ts";
import { denoHost } from "../src/host/deno.ts";
import type { ProgramJob } from "../src/trace/schema.ts";
import { failingReferences, withoutSolution } from "../test/trace/data_exceptions.ts";
import { judgeAll, type Judged } from "./judge_all.ts";

const datasets = [
  "humaneval",
  "humanevalplus",
  "humanevalfix",
  "mbpp",
  "mbpp-sanitized",
  "mbppplus",
  "quixbugs",
  "apps",
  "cruxeval",
];

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "runs/references" },
    data: { type: "string", default: "../shared/data" },
    table: { type: "string", default: "test/golden/reference_sweep.json" },
    only: { type: "string" },
    size: { type: "string", default: "2" },
    resume: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
  },
});

interface Row extends Judged {
  verdict: string;
  passed: boolean;
  tests: number;
  steps: number;
  ms: number;
  /** the first test that did not pass */
  failing?: unknown;
}

const results = `${values.out}/results.jsonl`;
if (values.fresh) rmSync(results, { force: true });
const chosen = values.only?.split(",") ?? datasets;
const host = denoHost();
const jobs: ProgramJob[] = [];
const skipped: Record<string, number> = {};
for (const dataset of chosen) {
  for (const problem of await loadProblems(host, `${values.data}/${dataset}.jsonl`)) {
    const add = (code: string, version: string) =>
      jobs.push({ ...programJob(problem, code, "none"), id: `${problem.id}#${version}` });
    if (problem.canonicalSolution === null) skipped[dataset] = (skipped[dataset] ?? 0) + 1;
    else add(problem.canonicalSolution, "fixed");
    if (problem.buggyCode) add(problem.buggyCode, "buggy");
  }
}

const rows = await judgeAll<Row>(jobs, (result, { id }) => {
  const failing = result.tests.find(({ outcome }) => outcome !== "PASS");
  return {
    key: id,
    verdict: result.verdict,
    passed: result.passed,
    tests: result.tests.length,
    steps: Math.max(0, ...result.tests.map((test) => test.steps)),
    ms: Math.round(result.elapsedMs),
    ...(failing ? { failing } : {}),
  };
}, { out: results, resume: values.resume, size: Number(values.size) });

const wrong = rows.filter(({ key, passed }) => passed !== key.endsWith("#fixed"));
const reasonOf = ({ key }: Row) => failingReferences[key.replace("#fixed", "")];
const unexplained = wrong.filter((row) => !reasonOf(row));
const gone = Object.keys(failingReferences).filter((id) => rows.some((row) => row.key === `${id}#fixed` && row.passed));
const table = {
  made_by: "deno run -A tools/reference_sweep.ts",
  programs: rows.length,
  without_solution: skipped,
  outcomes: Object.fromEntries(chosen.map((dataset) => [dataset, outcomes(dataset)])),
  exceptions: wrong.map((row) => ({ key: row.key, verdict: row.verdict, reason: reasonOf(row) ?? null })),
};
console.log(JSON.stringify(table, null, 1));
for (const row of unexplained) console.log(`unexplained: ${JSON.stringify(row)}`);
for (const id of gone) console.log(`no exception any more: ${id} passes`);
const lost = chosen.includes(withoutSolution.dataset) && skipped[withoutSolution.dataset] !== withoutSolution.count;
if (lost) console.log(`${skipped.apps} rows of APPS have no solution, expected ${withoutSolution.count}`);
if (!values.only) writeFileSync(values.table, JSON.stringify(table, null, 1) + "\n");
if (unexplained.length || gone.length || lost) Deno.exit(1);

/** Number of fixed and buggy programs of a data set by verdict. */
function outcomes(dataset: string): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const { key, verdict } of rows) {
    if (!key.startsWith(`${dataset}/`)) continue;
    const version = counts[key.slice(key.indexOf("#") + 1)] ??= {};
    version[verdict] = (version[verdict] ?? 0) + 1;
  }
  return counts;
}
