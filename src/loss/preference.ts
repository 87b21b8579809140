/** The losses on preference pairs. */

/** TRL's names, where it has them. */
export const PREFERENCE_LOSSES = [
  "sigmoid",
  "hinge",
  "ipo",
  "ipo-sum",
  "exo",
  "nca",
  "bco",
  "robust",
  "sppo",
  "apo-zero",
  "apo-down",
  "aot",
  "aot-unpaired",
  "discopop",
  "sigmoid-norm",
  "simpo",
  "cpo",
  "orpo",
] as const;
export type PreferenceLoss = typeof PREFERENCE_LOSSES[number];

/** Losses that look at the policy alone: the reference sums may be anything. */
export const REFERENCE_FREE: ReadonlySet<PreferenceLoss> = new Set<PreferenceLoss>(["simpo", "cpo", "orpo"]);

/** What stands in for the log-ratios u of policy and reference: u, -e^-u, log sigmoid u, e^((a - 1) u) / (a - 1). */
export const DIVERGENCES = ["reverse-kl", "forward-kl", "js", "alpha"] as const;
export type Divergence = typeof DIVERGENCES[number];

export interface PreferenceOptions {
  /** Default sigmoid: DPO. */
  loss?: PreferenceLoss;
  beta: number;
  labelSmoothing: number;
  /** Default reverse-kl, and 0.5 for the a of alpha. */
  divergence?: Divergence;
  divergenceAlpha?: number;
  /** The lead that SimPO asks for, default 0.5, and the temperature of DiscoPOP, default 0.05. */
  gamma?: number;
  temperature?: number;
  /** Weigh pairs by how likely the policy is to write them (Zhou et al. 2024, "WPO"). Default false. */
  wpo?: boolean;
  /** Weight of tokens beyond the shorter completion's length (Liu et al. 2024, "LD-DPO"). Default 1. */
  ldAlpha?: number;
}
