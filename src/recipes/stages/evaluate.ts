/** Samples of a model on the problems to evaluate on; of the base, or of what a stage has trained. */
import { type MonitorRow, monitorRow } from "../../eval/monitor.ts";
import { isSolved } from "../../eval/outcomes.ts";
import type { Stage } from "../run.ts";
import { drawSet } from "./draw.ts";
import { referenceSteps } from "./hacks.ts";

/** What the report reads of this stage. */
export interface EvaluationData {
  /** Of all samples; nothing is traced here, so what only traces show is null. */
  monitor: MonitorRow;
}

/** The same random streams for every model: a problem meets the same draws, and the difference is the training. */
export function evaluate(trained: string | null): Stage {
  const name = evaluationSet(trained);
  return {
    name,
    needs: trained === null ? [] : [trained],
    settings: ({ sample: { sampleBatch: _a, logprobs: _b, ...sample } }) => sample,
    async *run(run, signal) {
      const { samples, tokensPerSecond } = yield* drawSet(run, trained, name, run.evalProblems, {
        streamBase: 0,
        traced: false,
      }, signal);
      const problems = new Map(run.evalProblems.map((problem) => [problem.id, problem]));
      const observed = samples.map((sample) => ({ sample, problem: problems.get(sample.problemId)! }));
      const steps = await referenceSteps(run.pool, run.evalProblems);
      const data: EvaluationData = { monitor: await monitorRow(run.pool, observed, steps) };
      const passed = samples.filter(isSolved).length;
      return { detail: `${samples.length} programs, ${passed} pass`, tokensPerSecond, data };
    },
  };
}

/** The set of samples, and the stage, that evaluates the base (null) or what a stage has trained. */
export const evaluationSet = (trained: string | null) => trained === null ? "before" : `after-${trained}`;
