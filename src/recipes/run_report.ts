/** The report of a run, from what its stages left in the store. */
import type { Sample } from "../data/pairs.ts";
import { description, type Problem } from "../data/problem.ts";
import { transition } from "../eval/outcomes.ts";
import { reportHtml, type ReportTable, type RunReport } from "../eval/report.ts";
import { compareEvaluations, type Evaluation, measurable, summarize } from "../eval/summary.ts";
import type { PairRow } from "./preferences.ts";
import type { Run, RunEvent, Stage, StageRecord } from "./run.ts";
import { type EvaluationData, evaluationSet } from "./stages/evaluate.ts";
import { hackTable } from "./stages/hacks.ts";
import { PAIR_SET, type PairData } from "./stages/pairs.ts";

/** The k of pass@k, as far as there are samples. */
const KS = [1, 2, 4, 8, 16, 32, 64, 100];

/**
 * @param recipe its name
 * @param stages all that the report is about, done
 * @param trained the stage whose model was evaluated after the base; null: there is no such comparison
 */
export async function writeReport(
  run: Run,
  recipe: string,
  stages: readonly Stage[],
  trained: string | null,
  startedAt: string,
): Promise<RunEvent> {
  const { config, dir, gpu, host, modelDir, store } = run;
  const records = await Promise.all(stages.map(async ({ name }) => [name, (await run.record(name))!] as const));
  const notes = [...run.notes, ...records.flatMap(([, { notes }]) => notes ?? [])];
  const sets = [evaluationSet(null), ...trained === null ? [] : [evaluationSet(trained)]]
    .filter((set) => records.some(([name]) => name === set));
  // An interrupted command may have asked for more of them.
  const asked = ({ index }: Sample) => index < config.sample.samples;
  const evaluated = await Promise.all(sets.map(async (set) => (await store.samples(set)).filter(asked)));
  const { evaluations, remarks } = evaluate(run, evaluated);
  notes.push(...remarks);
  const [before, after] = evaluations;
  const pairs = records.find(([name]) => name === "pairs")?.[1].data as PairData | undefined;
  const rows = pairs ? await store.pairs(PAIR_SET) : [];
  const trainings = await Promise.all(
    records.filter(([, { steps }]) => steps !== undefined).map(async ([stage, { steps }]) => ({
      stage,
      steps: steps!,
      metrics: await store.metrics(stage),
    })),
  );
  const report: RunReport = {
    version: 2,
    recipe,
    command: run.command,
    seed: config.seed,
    adapter: gpu.adapterName,
    model: { dir: modelDir, parameters: run.parameters },
    data: {
      name: run.dataName,
      trainProblems: run.trainProblems.length,
      evalProblems: run.evalProblems.length,
      evalOn: run.evalOn,
    },
    options: run.settings,
    before,
    after,
    comparison: before && after && compareEvaluations(before, after, config.seed),
    transition: before && after && transition(evaluated[0], evaluated[1]),
    pairs,
    trainings,
    tables: [...records.flatMap(([, { tables }]) => tables ?? []), ...evaluationHacks(records, sets)],
    example: rows.length > 0 ? example(rows, run.trainProblems) : undefined,
    notes,
    timing: {
      startedAt,
      totalSeconds: records.reduce((sum, [, { seconds }]) => sum + seconds, 0),
      stages: records.map(([name, { seconds, detail }]) => ({ name, seconds, detail })),
      tokensPerSecond: rates(records),
    },
  };
  await host.write(`${dir}/report.html`, reportHtml(report));
  await host.write(`${dir}/report.json`, JSON.stringify(report, null, 2) + "\n");
  return { type: "report", report, path: `${dir}/report.html` };
}

/** Sums of evaluations, over those problems that all of them have measured. */
function evaluate(run: Run, evaluated: readonly Sample[][]): { evaluations: Evaluation[]; remarks: string[] } {
  if (evaluated.length === 0) return { evaluations: [], remarks: [] };
  const families = new Map(
    run.evalProblems.flatMap(({ id, family }) => family === undefined ? [] : [[id, family] as const]),
  );
  const { ks, dropped, spoiled } = measurable(evaluated, KS);
  if (ks.length === 0) throw new Error("Cannot evaluate: the Python interpreters failed on every sample");
  const remarks: string[] = [];
  if (spoiled > 0) remarks.push(`${spoiled} evaluated samples were spoiled by the machinery and do not count.`);
  if (dropped.length > 0) remarks.push(`Not measured, since every sample was spoiled: ${dropped.join(", ")}.`);
  const evaluations = evaluated.map((samples) =>
    summarize(samples.filter(({ problemId }) => !dropped.includes(problemId)), { ks, seed: run.config.seed, families })
  );
  return { evaluations, remarks };
}

/** What the monitor sees of the evaluated programs, before against after. */
function evaluationHacks(records: readonly (readonly [string, StageRecord])[], sets: readonly string[]): ReportTable[] {
  const rows = sets.map((set) => (records.find(([name]) => name === set)![1].data as EvaluationData).monitor);
  if (rows.length < 2) return [];
  const note = "Of the evaluated programs. Steps against the reference solution's; what only traces show is not here.";
  return [hackTable("in the evaluation", ["before", "after"], { ...rows[0] }, { ...rows[1] }, note)];
}

function rates(records: readonly (readonly [string, StageRecord])[]): Record<string, number> {
  return Object.fromEntries(
    records.flatMap(([name, { tokensPerSecond }]) => tokensPerSecond === undefined ? [] : [[name, tokensPerSecond]]),
  );
}

/** The pair to show: the one whose traces are shortest among those that crash, else among all. */
function example(rows: readonly PairRow[], problems: readonly Problem[]): RunReport["example"] {
  const size = (row: PairRow) => row.chosenTrace.length + row.rejectedTrace.length;
  const crashing = rows.filter((row) => row.rejectedTests.verdict === "runtime_error");
  const row = [...(crashing.length > 0 ? crashing : rows)].sort((a, b) => size(a) - size(b))[0];
  const problem = problems.find(({ id }) => id === row.problemId)!;
  const side = (code: string, trace: string, tests: PairRow["chosenTests"]) => ({
    code,
    trace,
    verdict: tests.verdict,
    testsPassed: tests.passed,
    testsTotal: tests.total,
  });
  return {
    problemId: row.problemId,
    description: description(problem),
    reason: row.reason,
    test: row.test,
    chosen: side(row.chosenText, row.chosenTrace, row.chosenTests),
    rejected: side(row.rejectedText, row.rejectedTrace, row.rejectedTests),
  };
}
