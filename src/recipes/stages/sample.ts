/** Programs of the base model on the problems to train on, run and traced: what preferences and rewards are made of. */
import { isSolved } from "../../eval/outcomes.ts";
import type { Stage } from "../run.ts";
import { drawSet } from "./draw.ts";

/** The set of samples to train on. */
export const TRAIN_SET = "train";

/** Streams of training samples begin here: those of evaluations never meet them. */
const STREAMS = 1 << 24;

export const sample: Stage = {
  name: "sample",
  needs: [],
  settings: ({ sample: { sampleBatch: _, ...sample } }) => sample,
  async *run(run, signal) {
    const { samples, tokensPerSecond } = yield* drawSet(run, null, TRAIN_SET, run.trainProblems, {
      streamBase: STREAMS,
      traced: true,
    }, signal);
    const passed = samples.filter(isSolved).length;
    return { detail: `${samples.length} programs, ${passed} pass`, tokensPerSecond };
  },
};
