/**
 * What a reward model reads of a program: BOS prompt EOS code EOS trace EOS (without BOS where the tokenizer has none), each part
 * within a budget of its own.
 */
import type { Sample } from "../data/pairs.ts";
import { type Problem, programText } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { shortestTrace } from "../trace/compact.ts";
import type { ProgramResult } from "../trace/schema.ts";

export interface RewardBudgets {
  /** Tokens of each part at most; a part of 0 is left out together with its separator. */
  prompt: number;
  code: number;
  trace: number;
}

export interface RewardLayout {
  budgets: RewardBudgets;
  /** The last line of a trace says whether its test passed. */
  includeOutcome: boolean;
}

/** CodeBERT's 512 positions, specials included. */
export const REWARD_LAYOUT: RewardLayout = { budgets: { prompt: 96, code: 160, trace: 248 }, includeOutcome: true };

/** The tokens of each part, within its budget. */
export interface RewardParts {
  prompt: readonly number[];
  code: readonly number[];
  trace: readonly number[];
}

export const PARTS = ["prompt", "code", "trace"] as const;

/**
 * The parts of one sampled program. The trace is that of the test that was traced in `result`, compact, so that its last event and its
 * outcome are always there (trace/compact.ts); prompt and code that are too long lose their middle.
 */
export function rewardParts(
  tokenizer: Tokenizer,
  problem: Problem,
  sample: Pick<Sample, "completion" | "result">,
  layout: RewardLayout,
): RewardParts {
  const { budgets } = layout;
  // A completion continues its prompt: the two are tokenized apart, as the policy has them.
  const code = problem.codeMode === "completion" ? sample.completion : programText(problem, sample.completion);
  return {
    prompt: withoutMiddle(tokenizer.encode(problem.prompt), budgets.prompt),
    code: withoutMiddle(tokenizer.encode(code), budgets.code),
    trace: traceTokens(tokenizer, sample.result, layout),
  };
}

/**
 * The compact trace within its budget. A few cannot be made so short, such as the end of a deep recursion: the shortest form that there is
 * then loses its middle, and keeps its last line.
 */
function traceTokens(tokenizer: Tokenizer, result: ProgramResult, { budgets, includeOutcome }: RewardLayout): number[] {
  if (budgets.trace === 0) return [];
  const text = shortestTrace(result, { budget: budgets.trace, count: lineCounter(tokenizer), outcome: includeOutcome });
  return withoutMiddle(tokenizer.encode(text), budgets.trace);
}

/**
 * Tokens of a text, line by line: the search for what fits asks about the same lines hundreds of times. A merge across a line break would
 * make the count a little too high, which costs a token of room.
 */
export function lineCounter(tokenizer: Tokenizer): (text: string) => number {
  const known = new Map<string, number>();
  const ofLine = (line: string) => {
    let tokens = known.get(line);
    if (tokens === undefined) known.set(line, tokens = tokenizer.encode(line).length);
    return tokens;
  };
  return (text) => text.split(/(?<=\n)/).reduce((sum, line) => sum + ofLine(line), 0);
}

/** The first and the last tokens of a part that is longer than its budget. */
export function withoutMiddle(tokens: readonly number[], budget: number): number[] {
  if (tokens.length <= budget) return [...tokens];
  const head = Math.ceil(budget / 2);
  return [...tokens.slice(0, head), ...tokens.slice(tokens.length - (budget - head))];
}

/** Error: a part longer than its budget, as `rewardParts` never makes them. */
export function rewardTokens(
  parts: RewardParts,
  special: { bosId: number | null; eosId: number },
  { budgets }: RewardLayout,
): number[] {
  const tokens = special.bosId === null ? [] : [special.bosId];
  for (const name of PARTS) {
    if (parts[name].length > budgets[name]) {
      throw new Error(
        `Cannot lay out a reward model's input: ${name} has ${parts[name].length} tokens, its budget is ${
          budgets[name]
        }`,
      );
    }
    if (budgets[name] > 0) tokens.push(...parts[name], special.eosId);
  }
  return tokens;
}

/** Tokens of the longest input. */
export const longestInput = ({ budgets }: RewardLayout): number =>
  1 + PARTS.reduce((sum, name) => sum + (budgets[name] > 0 ? budgets[name] + 1 : 0), 0);
