/** What on-policy recipes learn from: a score for each sampled program, from its prompt, code, trace and outcome. */
import { isSolved, outcomeOf } from "../eval/outcomes.ts";
import type { Problem } from "../data/problem.ts";
import type { Sample } from "../data/pairs.ts";
import { type Answer, groupAgreement } from "../trace/agreement.ts";
import { codeTokens } from "../trace/code_tokens.ts";
import { compare, judgement, seededRank, testFraction, testWeights } from "../trace/heuristics.ts";

/** One sampled program with what running it has shown. */
export interface Experience {
  problem: Problem;
  sample: Sample;
  /** Compact text of the deciding test's trace, "" for a reward that does not read it. */
  trace: string;
}

/**
 * Scores a batch, in order; all samples of a problem that belong together are in one batch, so that a score may depend on the
 * group. Null where nothing can be said, as when the machinery failed: such a sample gets no advantage and is in no mean.
 */
export interface Reward {
  (batch: readonly Experience[]): Promise<(number | null)[]>;
  /** What it looks at: verdicts alone need no tracing, `streams` are the values of `result.tests`. Default "traces". */
  readonly reads?: "verdicts" | "streams" | "traces";
  /** Whether `Experience.trace` ends with its outcome line. Default true. */
  readonly outcomeLine?: boolean;
  /** What it carries from batch to batch, as JSON for a checkpoint; `restore()` without a value starts afresh. */
  carried?(): unknown;
  restore?(carried?: unknown): void;
}

/**
 * - `binary`: 1 for a pass, else 0.
 * - `fraction`: share of tests passed; `difficulty` the same with test j weighted by 1 - its pass rate in the group (after
 *   VeRPO, 2026), so that tests which everybody passes count for nothing.
 * - `coderl`: -1 does not compile or load, -0.6 stops with an error or out of budget, -0.3 wrong answer, 1 pass (Le et al. 2022).
 * - `rltf`: as coderl, but -0.3 + 1.3 x fraction for a wrong answer (Liu et al. 2023).
 * - `order`: mean rank in the group under a preference order, from 0 to 1, ties share a rank; the heuristic itself as the
 *   reward, the arm that a reward model trained on that order has to beat.
 * - `rm`: another reward's score, such as a neural one.
 */
export const REWARDS = ["binary", "fraction", "difficulty", "coderl", "rltf", "order", "rm"] as const;
export type RewardName = typeof REWARDS[number];

export const FILLS = ["never", "always", "auto"] as const;

export interface RewardOptions {
  /**
   * Where the graded score stands: `never` fills, it stands everywhere; `always`: only in groups without a pass, all others get
   * 1 and 0; `auto`: the same, and only while more than 0.6 of all groups are without a pass (bias-corrected running mean
   * over 200 groups). Default never.
   */
  fill?: typeof FILLS[number];
  /** A pass gets 1, anything else at most 0.9: no score can lift a failing program above a passing one. */
  clamp?: boolean;
  /** Of `order`. Default eta. */
  order?: Parameters<typeof compare>[2];
  /** Of the order `random`. Default 1. */
  seed?: number;
  /** A passing answer that stands in as sibling where no sample passes; for orders that ask for agreement. */
  reference?: (problem: Problem) => Promise<Answer | undefined>;
  /** Of `rm`: the score, e.g. from `neuralReward`. */
  score?: Reward;
}

/** Groups that the running share of groups without a pass remembers, and the share above which `auto` fills. */
const REMEMBERED = 200;
const MOSTLY_SILENT = 0.6;
const FAILING_AT_MOST = 0.9;

/** Samples that were spoiled by the machinery, or that answered differently when asked twice, are not scored. */
export function isJudged({ result }: Sample): boolean {
  return !result.infra && result.verdict !== "harness_error" && !result.flaky;
}

/** Samples without an end token never pass. Errors: fill where nothing is graded, `rm` without a score. */
export function rewardOf(name: RewardName, options: RewardOptions = {}): Reward {
  const { fill = "never", clamp = false } = options;
  if (fill !== "never" && (name === "binary" || name === "coderl" || name === "rltf")) {
    throw new Error(
      `Cannot fill with the reward ${name}: ${
        name === "binary" ? "it has no grades" : "its grades are not within 0 and 1"
      }`,
    );
  }
  if (name === "rm" && !options.score) throw new Error("Cannot reward by rm: there is no score");
  const share = runningShare();
  const reward: Reward = async (batch) => {
    const groups = groupsOf(batch);
    const silent = groups.map((group) => group.filter((i) => isJudged(batch[i].sample))).map((judged) =>
      judged.length === 0 ? null : judged.every((i) => !isSolved(batch[i].sample))
    );
    for (const one of silent) if (one !== null) share.add(Number(one));
    const mostlySilent = share.value() > MOSTLY_SILENT;
    const scores = new Array<number | null>(batch.length).fill(null);
    const foreign = name === "rm" ? await options.score!(batch) : null; // in one call: a neural score likes large batches
    for (const [g, group] of groups.entries()) {
      const graded = fill === "never" || silent[g] && (fill === "always" || mostlySilent);
      const members = group.map((i) => batch[i]);
      const found = !graded
        ? members.map(binary)
        : foreign
        ? group.map((i) => foreign[i])
        : await gradeGroup(name, members, options);
      group.forEach((i, k) => {
        const score = isJudged(batch[i].sample) ? found[k] : null;
        scores[i] = !clamp || score === null ? score : isSolved(batch[i].sample) ? 1 : Math.min(FAILING_AT_MOST, score);
      });
    }
    return scores;
  };
  const inner = options.score;
  return Object.assign(reward, {
    reads: name === "rm" ? inner!.reads : name === "order" ? "streams" as const : "verdicts" as const,
    outcomeLine: inner?.outcomeLine,
    carried: () => ({ share: share.carried(), score: inner?.carried?.() }),
    restore(carried?: unknown) {
      const { share: known, score } = (carried ?? {}) as { share?: number[]; score?: unknown };
      share.restore(known);
      inner?.restore?.(score);
    },
  });
}

/** Places of the samples of each problem, in the order in which problems first appear. */
export function groupsOf(batch: readonly { problem: Problem }[]): number[][] {
  const groups = new Map<string, number[]>();
  batch.forEach(({ problem }, i) => groups.set(problem.id, [...groups.get(problem.id) ?? [], i]));
  return [...groups.values()];
}

/** One score per member of a group; those of members that are not judged mean nothing. */
async function gradeGroup(
  name: RewardName,
  group: readonly Experience[],
  options: RewardOptions,
): Promise<(number | null)[]> {
  if (name === "fraction") return group.map((one) => fraction(one));
  if (name === "difficulty") return byDifficulty(group);
  if (name === "coderl") return group.map((one) => fromTable(one, -0.3));
  if (name === "rltf") return group.map((one) => fromTable(one, -0.3 + 1.3 * fraction(one)));
  if (name === "order") return await byOrder(group, options);
  return group.map(binary);
}

function binary({ sample }: Experience): number {
  return Number(isSolved(sample));
}

/** Of a program that passes all tests but has no end token: as if it failed one of them. */
function fraction({ sample }: Experience, weights?: ReadonlyMap<number, number>): number {
  if (isSolved(sample)) return 1;
  const record = judgement(sample.result, null, weights);
  return Math.min(testFraction(record), 1 - 1 / Math.max(1, record.outcomes.length));
}

function byDifficulty(group: readonly Experience[]): number[] {
  const weights = testWeights(group.map(({ sample }) => sample).filter(isJudged));
  return group.map((one) => fraction(one, weights));
}

function fromTable({ sample }: Experience, wrong: number): number {
  const kind = outcomeOf(sample);
  if (kind === "pass") return 1;
  if (kind === "syntax" || kind === "load") return -1;
  return kind === "wrong" || kind === "unfinished" ? wrong : -0.6;
}

/** (worse + ties / 2) / (others): the mean rank, 1/2 for all where nothing is told apart. */
async function byOrder(group: readonly Experience[], options: RewardOptions): Promise<(number | null)[]> {
  const { order = "eta", reference, seed = 1 } = options;
  const places = group.flatMap(({ sample }, i) => isJudged(sample) ? [i] : []);
  const answers = places.map((i) => ({ code: group[i].sample.completion, result: group[i].sample.result }));
  const silent = places.every((i) => !group[i].sample.result.passed);
  const agreements = groupAgreement(answers, silent ? await reference?.(group[0].problem) : undefined);
  const records = places.map((i, k) => ({
    ...judgement(group[i].sample.result, agreements[k]),
    passed: isSolved(group[i].sample),
    rank: seededRank(seed, group[i].problem.id, codeTokens(group[i].sample.completion).join("\0")),
  }));
  const scores = new Array<number | null>(group.length).fill(null);
  records.forEach((one, k) => {
    const others = records.filter((_, j) => j !== k);
    const gained = others.map((other) => (1 + (compare(one, other, order) ?? 0)) / 2);
    scores[places[k]] = others.length === 0 ? 0.5 : gained.reduce((sum, x) => sum + x, 0) / others.length;
  });
  return scores;
}

/** Exponential mean of 0 and 1 over `REMEMBERED` groups, without the bias towards its start (as Adam's moments). */
function runningShare() {
  let [mean, weight] = [0, 0];
  return {
    add(x: number) {
      mean += (x - mean) / REMEMBERED;
      weight += (1 - weight) / REMEMBERED;
    },
    value: () => weight === 0 ? 0 : mean / weight,
    carried: () => [mean, weight],
    restore: (known: readonly number[] = [0, 0]) => void ([mean, weight] = known),
  };
}
