/** Which samples of a prompt may be in pairs: each program once, nothing flaky or spoiled, with its record for the orders. */
import { codeTokens } from "../trace/code_tokens.ts";
import { type Judgement, judgement, seededRank, testWeights } from "../trace/heuristics.ts";
import type { Sample } from "./pairs.ts";

export interface Candidate {
  sample: Sample;
  tokens: string[];
  record: Judgement;
}

/** Samples that are no candidates, by cause. */
export interface Dropped {
  infra: number;
  duplicate: number;
  flaky: number;
  unfinishedPass: number;
}

/** Samples by prompt, prompts in the order they first appear, samples by their number. */
export function byProblem(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.problemId);
    if (group) group.push(sample);
    else groups.set(sample.problemId, [sample]);
  }
  for (const group of groups.values()) group.sort((a, b) => a.index - b.index);
  return groups;
}

/** The candidates among the samples of one prompt; what is left out is added to `dropped`. */
export function candidates(
  group: readonly Sample[],
  options: { weightTests: boolean; seed: number },
  dropped: Dropped,
): Candidate[] {
  const weights = options.weightTests ? testWeights(group) : undefined;
  const programs = new Map<string, { best: Candidate; copies: number; agree: boolean }>();
  for (const sample of group) {
    const { result, agreement = null, problemId, completion, finished, programKey } = sample;
    const record = judgement(result, agreement, weights);
    if (record.infra) {
      dropped.infra++;
      continue;
    }
    const tokens = codeTokens(completion);
    const key = programKey ?? tokens.join("\u0000");
    record.rank = seededRank(options.seed, problemId, key);
    const known = programs.get(key);
    if (!known) {
      programs.set(key, { best: { sample, tokens, record }, copies: 1, agree: !result.flaky });
      continue;
    }
    known.copies++;
    known.agree &&= !result.flaky && known.best.sample.result.passed === result.passed;
    if (finished && !known.best.sample.finished) known.best = { sample, tokens, record };
  }
  const kept: Candidate[] = [];
  for (const { best, copies, agree } of programs.values()) {
    if (!agree) dropped.flaky += copies;
    else {
      dropped.duplicate += copies - 1;
      // It may not win, and losing to another passing sample is a tie: such a sample can be in no pair.
      if (best.sample.result.passed && !best.sample.finished) dropped.unfinishedPass++;
      else kept.push(best);
    }
  }
  return kept;
}
