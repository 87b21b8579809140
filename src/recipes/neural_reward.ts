/**
 * A trained reward model as the reward of on-policy recipes. It is one implementation of `Reward` among others: the order it learnt from
 * can be computed at the same place (rewards.ts), and a run with the model should be compared with one without.
 */
import type { Tokenizer } from "../data/tokenizer.ts";
import { isSolved } from "../eval/outcomes.ts";
import { rewardParts, rewardTokens } from "./reward_input.ts";
import type { RewardModel } from "./reward_model.ts";
import { createRewardScorer } from "./reward_step.ts";
import type { Experience, Reward } from "./rewards.ts";

export interface NeuralRewardOptions {
  model: RewardModel;
  tokenizer: Tokenizer;
  /** Sequences scored at a time; default 8. */
  batch?: number;
  /** A pass has 1 and a failing program at most 0.9, whatever the model says; default true. */
  clamp?: boolean;
}

/** What no failing program gets past. */
export const FAILING_MOST = 0.9;

/**
 * Normalised scores (mean 0, deviation 1 on the reference policy) of prompt, code and the sample's own trace in the model's layout. Null
 * where the machinery failed. `destroy` frees the GPU memory of the plans; the model stays.
 */
export function neuralReward(options: NeuralRewardOptions): Reward & { destroy(): void } {
  const { model, tokenizer, batch = 8, clamp = true } = options;
  const { network, layout, gain, bias } = model;
  const scorer = createRewardScorer(network, batch, tokenizer.padId);
  const reward: Reward = async (experiences) => {
    const measured = experiences.filter(({ sample }) => !sample.result.infra);
    const tokens = measured.map(({ problem, sample }) =>
      rewardTokens(rewardParts(tokenizer, problem, sample, layout), tokenizer, layout)
    );
    const raw = await scorer.score(tokens);
    const scores = new Map(measured.map((experience, i) => [experience, gain * raw[i] + bias]));
    return experiences.map((experience) => {
      const score = scores.get(experience);
      if (score === undefined) return null;
      return clamp ? clamped(score, experience) : score;
    });
  };
  return Object.assign(reward, { destroy: () => scorer.destroy() });
}

function clamped(score: number, { sample }: Experience): number {
  return isSolved(sample) ? 1 : Math.min(FAILING_MOST, score);
}
