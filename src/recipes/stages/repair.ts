/** Repair by prompt: what a trace in the prompt is worth to a model that is not trained for it. */
import { isSolved } from "../../eval/outcomes.ts";
import type { ReportTable } from "../../eval/report.ts";
import { meanInterval, pairedInterval } from "../../eval/statistics.ts";
import { findBugs, REPAIR_VIEWS, repairProblems, repairRows, type RepairView } from "../repair.ts";
import { lineCounter } from "../reward_input.ts";
import { sampleTraced } from "../rollout.ts";
import type { Run, RunEvent, Stage } from "../run.ts";
import type { CompletionRow } from "../sequences.ts";
import { promptTokens } from "../sequences.ts";
import { evaluationSet } from "./evaluate.ts";
import { TRAIN_SET } from "./sample.ts";

export const repair: Stage = {
  name: "repair",
  needs: [evaluationSet(null), "sample"],
  settings: ({ repair, sample: { maxNewTokens } }) => ({ repair, maxNewTokens }),
  async *run(run, signal) {
    const { config, pool, store, tokenizer, evalProblems, trainProblems } = run;
    const { bugsPerProblem, shots, traceTokens } = config.repair;
    const options = { traceTokens, count: lineCounter(tokenizer) };
    yield { type: "stage", name: "repair", detail: "finding programs to repair", seconds: null };
    const bugs = await findBugs(pool, evalProblems, await store.samples(evaluationSet(null)), bugsPerProblem);
    if (bugs.length < 2) throw new Error(`Cannot repair: ${bugs.length} programs fail, 2 are the least`);
    const examples = shots > 0 ? await solvedBugs(run, shots) : null;
    const asked = new Map(REPAIR_VIEWS.map((view) => {
      const front: CompletionRow[] = examples
        ? repairRows(examples.bugs, examples.fixes, view === "shuffled" ? "trace" : view, options)
        : [];
      return [view, repairProblems(bugs, view, front, options)] as const;
    }));
    const room = run.shape.maxPositions - config.sample.maxNewTokens;
    const lengths = [...asked.values()].flat().map(({ ask }) => promptTokens(tokenizer, ask!).length);
    const left = lengths.filter((length) => length > room).length;
    const longest = Math.min(room, Math.max(...lengths)) + config.sample.maxNewTokens;
    const solved = new Map<RepairView, number[]>();
    for (const [view, problems] of asked) solved.set(view, yield* attempts(run, view, problems, longest, signal));
    const rows = REPAIR_VIEWS.map((view): ReportTable["rows"][number] => {
      const values = solved.get(view)!;
      const groups = bugs.map(({ problem }) => problem.id);
      const { value, low, high } = meanInterval(values, { seed: config.seed, groups });
      const gain = pairedInterval(solved.get("none")!, values, { seed: config.seed, groups });
      return [
        view,
        percent(value),
        `${percent(low)} to ${percent(high)}`,
        `${percent(gain.low)} to ${percent(gain.high)}`,
      ];
    });
    const placebo = pairedInterval(solved.get("shuffled")!, solved.get("trace")!, {
      seed: config.seed,
      groups: bugs.map(({ problem }) => problem.id),
    });
    const worth = `Trace less shuffled trace: ${percent(placebo.value)} (95 % interval ${percent(placebo.low)} to ` +
      `${percent(placebo.high)}, by problem), over ${bugs.length} bugs of ${
        new Set(bugs.map(({ problem }) => problem.id)).size
      } ` +
      `problems (${trainProblems.length} to take examples from).`;
    return {
      detail: `${bugs.length} bugs, ${rows.map(([view, share]) => `${view} ${share}`).join(", ")}`,
      tables: [{
        title: `Repair, one greedy attempt, ${shots} solved examples in front`,
        columns: ["shown", "repaired", "95 % interval", "less none, 95 % interval"],
        rows,
        note: worth +
          (left > 0 ? ` ${left} of ${lengths.length} prompts were too long and count as not repaired.` : ""),
      }],
    };
  },
};

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** 1 for every bug whose one greedy answer passes all tests, in order. */
async function* attempts(
  run: Run,
  view: RepairView,
  asked: ReturnType<typeof repairProblems>,
  longest: number,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, number[]> {
  const { config, pool, tokenizer } = run;
  const { generator } = await run.sampler(null, longest);
  const fits = asked.map(({ ask }) => promptTokens(tokenizer, ask!).length + config.sample.maxNewTokens <= longest);
  const draws = asked.flatMap((problem, stream) => fits[stream] ? [{ problem, index: 0, stream }] : []);
  const options = { ...config.sample, stops: undefined, temperature: 0, traced: false, seed: config.seed };
  const results: boolean[] = [];
  for await (const batch of sampleTraced({ pool, generator, tokenizer }, draws, options, signal)) {
    results.push(...batch.map(isSolved));
    yield { type: "work", stage: "repair", done: results.length, total: draws.length, what: `with ${view}` };
  }
  const passed = results.values();
  return fits.map((fit) => fit ? Number(passed.next().value) : 0);
}

/** Bugs of training problems with their reference solutions, to be shown as examples. */
async function solvedBugs({ pool, store, trainProblems }: Run, shots: number) {
  const withFix = trainProblems.filter(({ canonicalSolution }) => canonicalSolution !== null);
  const samples = await store.samples(TRAIN_SET);
  const bugs = (await findBugs(pool, withFix, samples, 1)).slice(0, shots);
  if (bugs.length < shots) {
    throw new Error(`Cannot show ${shots} solved repairs: training problems give ${bugs.length}`);
  }
  return { bugs, fixes: bugs.map(({ problem }) => problem.canonicalSolution!) };
}
