/**
 * Rewards, advantages and weights of on-policy training, on numbers and not on the GPU: every array holds one number per completion
 * token (end token included) of one sequence, so there is no padding and no mask. All sums are float64 and in order.
 */

/** Numbers of the completion tokens of one sequence. */
export type Tokens = ArrayLike<number>;

/**
 * How far a policy is from its reference at a sampled token, from l = log p - log ref (Schulman 2020, "Approximating KL divergence"):
 * k1 = l, k2 = l^2 / 2, k3 = e^-l - 1 + l. E[k1] = E[k3] = KL; k2 is biased. In a reward take k1; as a loss its gradient
 * vanishes in expectation, that of k2 is the gradient of KL(policy || reference), that of k3 the one of KL(reference || policy).
 */
export const KL_ESTIMATORS = ["k1", "k2", "k3"] as const;
export type KlEstimator = typeof KL_ESTIMATORS[number];

export function klEstimate(estimator: KlEstimator, logRatio: number): number {
  if (estimator === "k1") return logRatio;
  return estimator === "k2" ? logRatio ** 2 / 2 : Math.expm1(-logRatio) + logRatio;
}

/** Sum of the estimates over a sequence (nats): `objective/kl` is the mean of these with k1 (Ziegler et al. 2019: target 6). */
export function sequenceKl(old: Tokens, reference: Tokens, estimator: KlEstimator = "k1"): number {
  requireSame("estimate a divergence", "old", old, "reference", reference);
  let sum = 0;
  for (let t = 0; t < old.length; t++) sum += klEstimate(estimator, old[t] - reference[t]);
  return sum;
}

/**
 * Reward of each token: -coefficient k(t), and the score on the last token (the end token, or where the sample was cut off).
 * `extra` is added token by token.
 */
export function klRewards(
  old: Tokens,
  reference: Tokens,
  coefficient: number,
  score: number,
  estimator: KlEstimator = "k1",
  extra?: Tokens,
): number[] {
  requireSame("make rewards", "old", old, "reference", reference);
  if (extra) requireSame("make rewards", "old", old, "extra", extra);
  const last = old.length - 1;
  return Array.from(
    old,
    (lp, t) => -coefficient * klEstimate(estimator, lp - reference[t]) + (t === last ? score : 0) + (extra?.[t] ?? 0),
  );
}

/**
 * A penalty coefficient that stays, or that follows the divergence per sequence (Ziegler et al. 2019): `target` in nats, `horizon`
 * in episodes.
 */
export type KlControl = { kind: "fixed" } | { kind: "adaptive"; target: number; horizon: number };

/**
 * The coefficient after a batch of `episodes` sequences whose mean divergence was `kl`:
 * c (1 + clip(kl / target - 1, +-0.2) episodes / horizon).
 */
export function nextKlCoefficient(control: KlControl, coefficient: number, kl: number, episodes: number): number {
  if (control.kind === "fixed") return coefficient;
  const error = Math.min(0.2, Math.max(-0.2, kl / control.target - 1));
  return coefficient * (1 + error * episodes / control.horizon);
}

/**
 * Generalized advantage estimation (Schulman et al. 2016): delta_t = r_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lambda A_{t+1},
 * nothing behind the last token; returns = A + V. lambda 1: returns are discounted rewards-to-go; lambda 0: TD(0).
 */
export function gae(
  rewards: Tokens,
  values: Tokens,
  gamma: number,
  lambda: number,
): { advantages: number[]; returns: number[] } {
  requireSame("estimate advantages", "rewards", rewards, "values", values);
  const T = rewards.length;
  const advantages = new Array<number>(T);
  let later = 0;
  for (let t = T - 1; t >= 0; t--) {
    const next = t + 1 < T ? values[t + 1] : 0;
    later = rewards[t] + gamma * next - values[t] + gamma * lambda * later;
    advantages[t] = later;
  }
  return { advantages, returns: advantages.map((a, t) => a + values[t]) };
}

/** Added to the variance before the root, as TRL and OpenAI's lm-human-preferences have it. */
const WHITEN_EPS = 1e-8;

/**
 * (x - mean) / sqrt(variance + 1e-8) over all tokens of a batch; variance unbiased (over n - 1). Without `shiftMean` the mean
 * stays where it was. Numbers that are all the same become 0 (their mean without `shiftMean`), so does a single one.
 */
export function whiten(batch: readonly Tokens[], options: { shiftMean?: boolean } = {}): number[][] {
  const { shiftMean = true } = options;
  const all = batch.flatMap((tokens) => Array.from(tokens));
  const flat = all.every((x) => x === all[0]);
  const mean = flat ? all[0] : sum(all) / all.length;
  const variance = flat ? 0 : sum(all.map((x) => (x - mean) ** 2)) / (all.length - 1);
  const scale = 1 / Math.sqrt(variance + WHITEN_EPS);
  return batch.map((tokens) => Array.from(tokens, (x) => (x - mean) * scale + (shiftMean ? 0 : mean)));
}

/** Rewards of variance 1 whose mean stays: a shift would turn the length of a sample into reward. */
export function whitenRewards(batch: readonly Tokens[]): number[][] {
  return whiten(batch, { shiftMean: false });
}

/**
 * What a group of samples of one prompt is worth, from their rewards R: "trl" (R - mean) / (std + 1e-4) and "verl" the same with
 * 1e-6 (GRPO, Shao et al. 2024; std unbiased); "dr-grpo" R - mean (Liu et al. 2025); "rloo" R - mean of the others (Ahmadian et al. 2024).
 */
export const GROUP_ADVANTAGES = ["trl", "verl", "dr-grpo", "rloo"] as const;
export type GroupAdvantage = typeof GROUP_ADVANTAGES[number];

/**
 * One advantage per sample. A reward of null (the machinery failed) gives 0 and is in no mean; so do rewards that are all the same,
 * and a group of which fewer than two are known.
 */
export function groupAdvantages(rewards: readonly (number | null)[], options: { kind: GroupAdvantage }): number[] {
  const { kind } = options;
  const known = rewards.filter((r) => r !== null);
  const G = known.length;
  if (known.every((r) => r === known[0])) return rewards.map(() => 0);
  const mean = sum(known) / G;
  const deviation = Math.sqrt(sum(known.map((r) => (r - mean) ** 2)) / (G - 1));
  const factor = kind === "rloo"
    ? G / (G - 1)
    : kind === "dr-grpo"
    ? 1
    : 1 / (deviation + (kind === "trl" ? 1e-4 : 1e-6));
  return rewards.map((r) => r === null ? 0 : (r - mean) * factor);
}

/**
 * How the losses of tokens become the loss of a step of B sequences with n_i completion tokens: "grpo" the mean of means per sequence;
 * "bnpo" the mean of token means per local batch; "dapo" the token mean of the step; "dr-grpo" their sum / (B maxLength).
 */
export const AGGREGATIONS = ["grpo", "bnpo", "dapo", "dr-grpo"] as const;
export type Aggregation = typeof AGGREGATIONS[number];

/**
 * The weight of every token of each sequence, so that the step's loss is the sum of weighted tokens however the step is split: only
 * "bnpo" depends on the split, `localBatch` sequences in the order given (default all). `maxLength` in tokens, for "dr-grpo".
 */
export function aggregationWeights(
  kind: Aggregation,
  tokens: readonly number[],
  options: { maxLength?: number; localBatch?: number } = {},
): number[] {
  const B = tokens.length;
  const { maxLength, localBatch = B } = options;
  const shareOf = (count: number) => count > 0 ? 1 / count : 0;
  if (kind === "grpo") return tokens.map((n) => shareOf(B * n));
  if (kind === "dapo") return tokens.map(() => shareOf(sum(tokens)));
  if (kind === "dr-grpo") {
    if (!maxLength) throw new Error(`Cannot aggregate by dr-grpo: maxLength is ${maxLength}`);
    return tokens.map(() => 1 / (B * maxLength));
  }
  const batches = Math.ceil(B / localBatch);
  return tokens.map((_, i) => {
    const start = Math.floor(i / localBatch) * localBatch;
    return shareOf(batches * sum(tokens.slice(start, start + localBatch)));
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function requireSame(what: string, nameA: string, a: Tokens, nameB: string, b: Tokens): void {
  if (a.length !== b.length) {
    throw new Error(`Cannot ${what}: ${nameA} has ${a.length} tokens, ${nameB} ${b.length}`);
  }
}
