/** Programs of the base model on the problems to train on, run and traced: what preferences and rewards are made of. */
import { isSolved } from "../../eval/outcomes.ts";
import { cachingJudge } from "../judge.ts";
import { Stopped } from "../rollout.ts";
import type { Stage } from "../run.ts";
import { drawSet } from "./draw.ts";

/** The set of samples to train on. */
export const TRAIN_SET = "train";

/** Streams of training samples begin here: those of evaluations never meet them. */
const STREAMS = 1 << 24;

export const sample: Stage = {
  name: "sample",
  needs: [],
  settings: ({ sample: { sampleBatch: _a, logprobs: _b, ...sample } }) => sample,
  async *run(run, signal) {
    const { samples, tokensPerSecond } = yield* drawSet(run, null, TRAIN_SET, run.trainProblems, {
      streamBase: STREAMS,
      traced: true,
    }, signal);
    const passed = samples.filter(isSolved).length;
    return { detail: `${samples.length} programs, ${passed} pass`, tokensPerSecond };
  },
};

/** The same in two steps, for `etalon sample` and `etalon trace`: programs with their verdicts first, ... */
export const draw: Stage = {
  name: "draw",
  needs: [],
  settings: sample.settings,
  async *run(run, signal) {
    const { samples, tokensPerSecond } = yield* drawSet(run, null, DRAWN_SET, run.trainProblems, {
      streamBase: STREAMS,
      traced: false,
    }, signal);
    const data: DrawData = { each: run.config.sample.samples };
    return { detail: `${samples.length} programs, ${samples.filter(isSolved).length} pass`, tokensPerSecond, data };
  },
};

const DRAWN_SET = "drawn";
/** Programs of a problem. */
interface DrawData {
  each: number;
}
/** Programs that wait for an interpreter at a time, and are written together. */
const BATCH = 64;

/** ... then each distinct program run again under the tracer. Leaves what `sample` leaves. */
export const trace: Stage = {
  name: sample.name,
  needs: [draw.name],
  settings: () => ({}),
  async *run({ pool, store, trainProblems, record }, signal) {
    const { each = Infinity } = ((await record(draw.name))!.data ?? {}) as Partial<DrawData>;
    // An interrupted command may have asked for more of them.
    const drawn = (await store.samples(DRAWN_SET)).filter(({ index }) => index < each);
    const problems = new Map(trainProblems.map((problem) => [problem.id, problem]));
    const done = await store.indices(TRAIN_SET);
    const open = drawn.filter(({ problemId, index }) => !done.get(problemId)?.has(index));
    const sampling = await store.sampling(DRAWN_SET);
    if (sampling) await store.setSampling(TRAIN_SET, { ...sampling, traced: true });
    const judge = await cachingJudge(pool, store);
    for (let start = 0; start < open.length; start += BATCH) {
      const finished = drawn.length - open.length + start;
      yield { type: "work", stage: "trace", done: finished, total: drawn.length, what: "traced" };
      const batch = open.slice(start, start + BATCH);
      const answers = batch.map((each) => ({ ...each, problem: problems.get(each.problemId)! }));
      const judged = await Promise.all(judge(answers, true));
      await store.addSamples(TRAIN_SET, batch.map((each, i) => ({ ...each, result: judged[i].result })));
      if (signal?.aborted) throw new Stopped();
    }
    const passed = (await store.samples(TRAIN_SET)).filter(isSolved).length;
    return { detail: `${drawn.length} programs traced, ${passed} pass` };
  },
};
