/** What on-policy recipes learn from: a score for each sampled program, from its prompt, code, trace and outcome. */
import type { Problem } from "../data/problem.ts";
import type { Sample } from "../data/pairs.ts";

/** One sampled program with what running it has shown. */
export interface Experience {
  problem: Problem;
  sample: Sample;
  /** Compact text of the deciding test's trace; without the outcome line if the reward asks for that. */
  trace: string;
}

/**
 * Scores a batch, in order; all samples of a problem that belong together are in one batch, so that a score may depend on the
 * group. Null where nothing can be said, as when the machinery failed: such a sample gets no advantage and is in no mean.
 */
export type Reward = (batch: readonly Experience[]) => Promise<(number | null)[]>;
