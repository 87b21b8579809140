/**
 * The losses on preference pairs, on sums of log-probabilities. With c and r the log-ratios of winner and loser against the
 * reference, u and v the same or their means over tokens, z = beta (u - v) - margin, e the label smoothing, s the sigmoid and
 * ls its logarithm:
 *
 * | loss | of one pair | source |
 * |---|---|---|
 * | sigmoid | -(1 - e) ls(z) - e ls(-z) | Rafailov et al. 2023 (DPO); smoothed: Mitchell 2023 (cDPO) |
 * | sigmoid-norm | the same on means | TRL's `sigmoid_norm` |
 * | hinge | max(0, 1 - z) | Zhao et al. 2023 (SLiC), Liu et al. 2024 (RSO) |
 * | ipo, ipo-sum | (z - 1/2)^2 / beta^2, on means and on sums | Azar et al. 2023 |
 * | exo | s(z) (ls(z) - log(1 - e)) + s(-z) (ls(-z) - log e) | Ji et al. 2024 |
 * | nca | -ls(beta u) - ls(-beta u) / 2 - ls(-beta v) / 2 | Chen et al. 2024 |
 * | bco | -ls(beta u) - ls(-beta v) | Jung et al. 2024, with shift 0 |
 * | robust | (-(1 - e) ls(z) + e ls(-z)) / (1 - 2 e) | Chowdhury et al. 2024 |
 * | sppo | (u - 1/(2 beta))^2 + (v + 1/(2 beta))^2 | Wu et al. 2024 |
 * | apo-zero | 1 - s(beta u) + s(beta v) | D'Oosterlinck et al. 2024 |
 * | apo-down | s(beta u) + 1 - s(z) | the same |
 * | aot, aot-unpaired | sigmoid between sorted log-ratios of the batch | Melnyk et al. 2024 |
 * | discopop | -ls(z) (1 - m) + exp(-z) m, m = s(z / temperature) | Lu et al. 2024 |
 * | simpo | sigmoid on means of the policy alone, z less gamma | Meng et al. 2024 |
 * | cpo | sigmoid on sums of the policy alone | Xu et al. 2024 |
 * | orpo | -beta ls(log-odds(u) - log-odds(v) - margin), log-odds(a) = a - log(1 - e^a), u and v as simpo's | Hong et al. 2024 |
 *
 * CPO and ORPO are meant with an SFT term on the winners beside them.
 */
import forwardCode from "../wgsl/preference.wgsl" with { type: "text" };
import backwardCode from "../wgsl/preference_backward.wgsl" with { type: "text" };
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const forward = kernel("preference.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read", "read", "read_write", "read_write", "read_write"],
  dims: ["P"],
});
const backward = kernel("preference.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read_write"],
  dims: ["P"],
});

/** In the order of the kernel's constants. */
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

/**
 * What a log-ratio x counts as: x, -e^-x, log s(x), e^((a - 1) x) / (a - 1) (Wang et al. 2024, "Beyond reverse KL", as TRL
 * has it). Exponents above 20 go on as their tangent.
 */
export const DIVERGENCES = ["reverse-kl", "forward-kl", "js", "alpha"] as const;
export type Divergence = typeof DIVERGENCES[number];

/**
 * Means over pairs, in the order of the kernel; the names are TRL's, `rewards/chosen_falling` is the share with c < 0. Rewards
 * are beta c and beta r as sums; of reference-free losses beta u and beta v, so that all their winners "fall".
 */
export const PREFERENCE_METRICS = [
  "rewards/chosen",
  "rewards/rejected",
  "rewards/margins",
  "rewards/accuracies",
  "rewards/chosen_falling",
  "logps/chosen",
  "logps/rejected",
] as const;

export interface PreferenceInputs {
  /** [2P] weighted sums of token log-probabilities under the policy: P chosen, then P rejected. */
  logprobs: Tensor;
  /** [2P] the same under the frozen reference. */
  reference: Tensor;
  /**
   * [P,5] of each pair: its weight in the loss (1/pairs; 0 for padding, which is not looked at), the sums of token weights of
   * chosen and rejected (above 0), margin, label smoothing.
   */
  pairs: Tensor;
  /** [4] beta, a of the alpha divergence, gamma (SimPO), temperature (DiscoPOP). */
  hyper: Tensor;
  /**
   * [2P] weighted sums of log sum_v p_v^2 over tokens. With it pairs are weighted by
   * exp(mean of logp - log sum p^2, winner's and loser's added), without a gradient (Zhou et al. 2024, "WPO").
   */
  collision?: Tensor;
}

/** -> loss [1] and metrics [7]; a gradient to `logprobs` alone. */
export function preference(
  plan: Plan,
  inputs: PreferenceInputs,
  choice: { loss: PreferenceLoss; divergence: Divergence },
): { loss: Tensor; metrics: Tensor } {
  const { logprobs, reference, pairs, hyper, collision } = inputs;
  const P = pairs.shape[0];
  const twice = { ...pairs, shape: [2 * P] };
  for (const sums of [logprobs, reference, collision ?? reference]) {
    same("preference.forward", "2P", sums.shape[0], sums, 2 * P, twice);
  }
  same("preference.forward", "numbers of a pair", pairs.shape[1], pairs, 5, { ...pairs, shape: [P, 5] });
  same("preference.forward", "hyper", hyper.shape[0], hyper, 4, { ...hyper, shape: [4] });
  const loss = plan.value("preference.loss", [1]);
  const metrics = plan.value("preference.metrics", [PREFERENCE_METRICS.length]);
  const pulls = plan.value("preference.pulls", [P, 4]);
  const dims = { P };
  plan.dispatch(
    forward,
    [logprobs, reference, collision ?? reference, pairs, hyper, loss, metrics, pulls],
    {
      dims,
      constants: {
        LOSS: PREFERENCE_LOSSES.indexOf(choice.loss),
        DIVERGENCE: DIVERGENCES.indexOf(choice.divergence),
        REFERENCE_FREE: Number(REFERENCE_FREE.has(choice.loss)),
        WPO: Number(collision !== undefined),
      },
      workgroups: [1, 1, 1],
    },
  );
  plan.op([loss], [logprobs], () => {
    const target = plan.target(logprobs);
    if (!target) return;
    plan.dispatch(backward, [pulls, plan.gradient(loss), target.tensor], {
      dims,
      constants: { ADD: Number(target.add) },
      workgroups: groups(P, 64),
    });
  });
  return { loss, metrics };
}
