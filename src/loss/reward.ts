/** The objective of reward models, and what one reward says about a pair. */
import type { Plan, Tensor } from "../plan/mod.ts";
import { pairwiseReward } from "../../kernels/mod.ts";

export interface RewardTensors {
  /** [P] by how much the chosen reward should lead; 0 for the plain loss. */
  margin: Tensor;
  /** [P] 1 / pairs of the step, 0 for padding. */
  pairWeight: Tensor;
  /** [1] c, the pull of r_w + r_l towards 0. */
  hyper: Tensor;
}

/**
 * loss = mean over pairs of -log sigmoid(r_w - r_l - m) + c (r_w + r_l)^2   (Ouyang et al. 2022, equation 1; margins as in Touvron et al.
 * 2023, Llama 2; centring: Eisenstein et al. 2023, TRL's center_rewards_coefficient). `rewards` [2P]: P chosen, then P rejected.
 */
export function rewardLoss(plan: Plan, rewards: Tensor, given: RewardTensors): { loss: Tensor; metrics: Tensor } {
  const { margin, pairWeight: weight, hyper } = given;
  return pairwiseReward(plan, { rewards, margin, weight, hyper });
}

/** The chance that the chosen of two is the better one: sigmoid((r_w - r_l) / temperature). */
export function preferenceProbability(chosen: number, rejected: number, temperature = 1): number {
  return 1 / (1 + Math.exp((rejected - chosen) / temperature));
}
