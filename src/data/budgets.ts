/**
 * Problems whose reference solution needs more than the default budget. A budget belongs to the problem, not to an
 * answer: right answers must fit in, and all answers are measured alike.
 */
import type { Limits } from "../trace/schema.ts";

/** Millions of line events in the longest test of the reference solution, measured with tools/reference_sweep.ts. */
const millionSteps: Record<string, number> = {
  "apps/train/1648": 120,
  "apps/train/2170": 1.7,
  "apps/train/3856": 54,
  "humanevalplus/36": 1.2,
  "humanevalplus/59": 9.6,
  "mbpp/123": 83,
  "mbpp-sanitized/123": 83,
  "mbppplus/123": 3.7,
  "mbppplus/271": 1,
  "mbppplus/300": 3,
  "mbppplus/389": 33,
  "mbppplus/392": 2,
  "mbppplus/453": 1,
  "mbppplus/583": 27,
  "mbppplus/592": 3,
  "mbppplus/605": 2,
  "quixbugs/levenshtein": 38,
  "quixbugs/longest_common_subsequence": 3.3,
};

/** Twice the reference's steps, and three seconds of wall clock more for every million. Null: the default will do. */
export function budget(problemId: string): Partial<Limits> | null {
  const millions = millionSteps[problemId];
  if (millions === undefined) return null;
  return { stepsPerTest: Math.ceil(2e6 * millions), wallMsPerProgram: 30_000 + Math.ceil(millions) * 3_000 };
}
