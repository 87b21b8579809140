/** How good a reward model is: accuracy by kind of pair, calibration, and the scale of its scores. */
import { preferenceProbability } from "../loss/reward.ts";
import { rewardTokens } from "./reward_input.ts";
import type { RewardLayout } from "./reward_input.ts";
import type { SpecialTokens } from "./reward_model.ts";
import { type LabelledPair, STRATA, type Stratum } from "./reward_pairs.ts";
import type { RewardScorer } from "./reward_step.ts";

/** Raw rewards of one pair. */
export interface ScoredPair {
  stratum: Stratum;
  chosen: number;
  rejected: number;
}

export interface Accuracy {
  pairs: number;
  /** r_w > r_l, strictly. */
  correct: number;
  accuracy: number;
  /** Wilson's interval at 95 %. It takes pairs for independent, which those of one problem are not quite. */
  low: number;
  high: number;
}

export interface ReliabilityBin {
  /** Confidence from `low` to `high`, which the last bin includes. */
  low: number;
  high: number;
  pairs: number;
  /** Means over the bin's pairs; null where it has none. */
  confidence: number | null;
  accuracy: number | null;
}

export interface Calibration {
  /** Mean over pairs of |accuracy - confidence| of their bins (Naeini et al. 2015; Guo et al. 2017). */
  error: number;
  /** Mean of -log sigmoid((r_w - r_l) / temperature). */
  loss: number;
  bins: ReliabilityBin[];
}

export interface RewardReport {
  all: Accuracy;
  strata: Record<Stratum, Accuracy>;
  /** Of sigmoid(r_w - r_l) as it is, and divided by the temperature that the validation pairs gave. */
  calibration: Calibration;
  temperature: number;
  calibrated: Calibration;
}

/** Scores both sides of all pairs. */
export async function scorePairs(
  scorer: RewardScorer,
  pairs: readonly LabelledPair[],
  special: SpecialTokens,
  layout: RewardLayout,
): Promise<ScoredPair[]> {
  const tokens = (side: "chosen" | "rejected") => pairs.map((pair) => rewardTokens(pair[side], special, layout));
  const scores = await scorer.score([...tokens("chosen"), ...tokens("rejected")]);
  return pairs.map(({ stratum }, i) => ({ stratum, chosen: scores[i], rejected: scores[pairs.length + i] }));
}

/** Held-out pairs measured with the temperature that other pairs gave. Errors: no pairs on either side. */
export function rewardReport(held: readonly ScoredPair[], validation: readonly ScoredPair[]): RewardReport {
  if (held.length === 0) throw new Error("Cannot measure a reward model: no held-out pairs");
  const temperature = fitTemperature(validation);
  return {
    all: accuracyOf(held),
    strata: Object.fromEntries(
      STRATA.map((name) => [name, accuracyOf(held.filter(({ stratum }) => stratum === name))]),
    ) as Record<Stratum, Accuracy>,
    calibration: calibrationOf(held, 1),
    temperature,
    calibrated: calibrationOf(held, temperature),
  };
}

export function accuracyOf(pairs: readonly ScoredPair[]): Accuracy {
  const correct = pairs.filter(({ chosen, rejected }) => chosen > rejected).length;
  const [low, high] = wilson(correct, pairs.length);
  return { pairs: pairs.length, correct, accuracy: pairs.length === 0 ? NaN : correct / pairs.length, low, high };
}

/** Wilson's score interval of a share (Wilson 1927); of nothing it is [0, 1]. */
export function wilson(successes: number, total: number, z = 1.959963984540054): [low: number, high: number] {
  if (total === 0) return [0, 1];
  const p = successes / total;
  const middle = p + z * z / (2 * total);
  const half = z * Math.sqrt(p * (1 - p) / total + z * z / (4 * total * total));
  const whole = 1 + z * z / total;
  // At the ends rounding would leave them by a few bits.
  return [successes === 0 ? 0 : (middle - half) / whole, successes === total ? 1 : (middle + half) / whole];
}

/**
 * Confidence is the chance that the model gives to the side it prefers, 0.5 to 1; accuracy is how often that side is the chosen one, half
 * for a tie.
 */
export function calibrationOf(pairs: readonly ScoredPair[], temperature: number, bins = 10): Calibration {
  const rows = Array.from({ length: bins }, (_, i) => ({
    low: 0.5 + i / (2 * bins),
    high: 0.5 + (i + 1) / (2 * bins),
    pairs: 0,
    confidence: 0,
    accuracy: 0,
  }));
  let loss = 0;
  for (const { chosen, rejected } of pairs) {
    const p = preferenceProbability(chosen, rejected, temperature);
    const confidence = Math.max(p, 1 - p);
    const row = rows[Math.min(bins - 1, Math.floor((confidence - 0.5) * 2 * bins))];
    row.pairs++;
    row.confidence += confidence;
    row.accuracy += chosen > rejected ? 1 : chosen === rejected ? 0.5 : 0;
    loss += softplus((rejected - chosen) / temperature);
  }
  const error = rows.reduce((sum, row) => sum + Math.abs(row.accuracy - row.confidence), 0) / Math.max(1, pairs.length);
  return {
    error,
    loss: loss / Math.max(1, pairs.length),
    bins: rows.map((row) => ({
      ...row,
      confidence: row.pairs === 0 ? null : row.confidence / row.pairs,
      accuracy: row.pairs === 0 ? null : row.accuracy / row.pairs,
    })),
  };
}

/** Where the temperature may end: pairs that are all right ask for 0, all wrong ones for infinity. */
export const TEMPERATURES = [0.05, 20] as const;

/** The temperature at which the loss of these pairs is least (Guo et al. 2017, "On Calibration of Modern Neural Networks"). */
export function fitTemperature(pairs: readonly ScoredPair[]): number {
  if (pairs.length === 0) return 1;
  const loss = (a: number) => pairs.reduce((sum, { chosen, rejected }) => sum + softplus((rejected - chosen) * a), 0);
  // Convex in 1 / temperature, so thirds of an interval close in on the least.
  let [low, high]: [number, number] = [1 / TEMPERATURES[1], 1 / TEMPERATURES[0]];
  for (let i = 0; i < 100; i++) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (loss(a) <= loss(b)) high = b;
    else low = a;
  }
  return 2 / (low + high);
}

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/**
 * Gain and bias that give these scores mean 0 and deviation 1: of samples of the reference policy, so that the KL coefficient of PPO
 * always has the same meaning (Huang et al. 2024, "The N implementation details of RLHF with PPO"). Scores that are all equal keep gain 1.
 */
export function normalisation(scores: ArrayLike<number>): { gain: number; bias: number } {
  const values = Array.from(scores);
  if (values.length === 0) throw new Error("Cannot normalise rewards: no samples of the reference policy");
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const gain = deviation > 1e-6 ? 1 / deviation : 1;
  return { gain, bias: -mean * gain };
}
