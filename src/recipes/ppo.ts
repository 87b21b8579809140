/**
 * PPO on executed programs (Schulman et al. 2017; for language models Ziegler et al. 2019): a critic on the policy's own trunk,
 * and the divergence from the frozen start in the reward.
 *
 *   r_t = -kappa (log p_old - log p_ref)_t + [t last] score        A = whiten(GAE(r, V))      R = GAE(r, V) + V
 *   L = token mean of max(-A ratio, -A clip(ratio, 1 +- eps)) + c_v half the token mean of max((V - R)^2, (clip(V) - R)^2)
 *
 * Differences to TRL's PPOTrainer: 1. the score is the reward of the last sampled token, EOS included, not of the position behind
 * it; 2. every mean is over completion tokens alone; 3. samples without EOS lose `missingEosPenalty`, and never pass; 4. logits
 * are divided by the temperature for sampling and for all log-probabilities, and nothing else changes the distribution;
 * 5. weights do not decay.
 *
 * Old log-probabilities, values and the reference come from the kernels of training, so that ratios are 1 at first. Everything
 * an iteration does follows from the seed, its number and the last checkpoint: interrupted, it is done again to the same bits.
 */
import { gae, klRewards, nextKlCoefficient, sequenceKl, whiten, whitenRewards } from "../loss/advantages.ts";
import { outcomeMix } from "../eval/outcomes.ts";
import { createValueHead } from "../model/value_head.ts";
import { joinWeights } from "../model/weights.ts";
import { learningRate } from "../optim/schedule.ts";
import { progressMeter } from "./events.ts";
import {
  adamwOf,
  createSaver,
  machineMetrics,
  mean,
  minibatchesOf,
  type OnPolicyConfig,
  type OnPolicyEvent,
  type OnPolicyGiven,
  outcomeMetrics,
  requireFinite,
  requireHealthyKl,
  requireJudged,
  resume,
  rewardsOf,
  stopwatch,
  sum,
  weighted,
} from "./on_policy.ts";
import { createSampler, drawsOf, passRatesAfter } from "./on_policy_sampler.ts";
import { createPpoStep, type Rollout } from "./ppo_step.ts";
import { createRolloutScorer } from "./rollout_scorer.ts";
import { destroyInputs } from "./scorer.ts";

export interface PpoConfig extends OnPolicyConfig {
  /** kappa, nats of divergence to units of score. With `klTarget`, in nats per sequence, it follows the divergence. */
  klCoefficient: number;
  klTarget: number | null;
  /** Of GAE; gamma is 1. */
  lambda: number;
  /** Range of ratios around 1. */
  clip: number;
  /** Factor of the value loss; values are clipped to 0.2 around the old ones. */
  valueFactor: number;
  /** Of the mean entropy of tokens, in nats. */
  entropyCoefficient: number;
  /** Rewards of all tokens scaled to variance 1, their mean left where it is. */
  whitenRewards: boolean;
}

/** For large models (TRL's values); models/micro learns with learningRate 1e-4, and drifts with 3e-4. */
export const PPO: PpoConfig = {
  iterations: 200,
  prompts: 32,
  samples: 4,
  scheduler: "epochs",
  temperature: 1,
  maxNewTokens: 256,
  sampleBatch: 64,
  epochs: 4,
  minibatches: 1,
  microBatch: 8,
  learningRate: 3e-6,
  schedule: "linear",
  warmup: 0,
  klCoefficient: 0.05,
  klTarget: null,
  lambda: 0.95,
  clip: 0.2,
  valueFactor: 0.1,
  entropyCoefficient: 0,
  whitenRewards: false,
  missingEosPenalty: 1,
  maxGradNorm: 1,
  seed: 1,
  checkpointEvery: 10,
  recompute: "cheap",
  activations: "f32",
  moments: "f32",
};

/** Episodes over which an adaptive coefficient may change by a fifth of itself for each unit, as OpenAI had it. */
const KL_HORIZON = 10_000;
const GAMMA = 1;
const VALUE_CLIP = 0.2;

export async function* trainPpo(
  config: PpoConfig,
  given: OnPolicyGiven,
  signal?: AbortSignal,
): AsyncGenerator<OnPolicyEvent> {
  const { policy, problems, tokenizer: { padId } } = given;
  const { model } = policy;
  const { iterations, epochs, microBatch, temperature, clip, recompute, activations } = config;
  const { valueFactor, entropyCoefficient } = config;
  const reference = policy.reference(); // before a checkpoint changes the weights
  const valueHead = createValueHead(model.gpu, model.config.C);
  const trained = { gpu: model.gpu, weights: joinWeights(policy.trained.weights, valueHead) };
  const sampler = await createSampler(config, given);
  const scorer = createRolloutScorer(model, valueHead, { microBatch, padId, temperature });
  const frozen = createRolloutScorer(reference, null, { microBatch, padId, temperature });
  const engine = await createPpoStep(policy, valueHead, {
    ...{ microBatch, padId, temperature, recompute, activations },
    ...{ clipLow: clip, clipHigh: clip, dualClip: 0, valueClip: VALUE_CLIP, valueFactor, entropyCoefficient },
    ...{ aggregation: "dapo", reference: true, adamw: adamwOf(config) },
  });
  try {
    let standing = await resume(given, trained, engine.optimizer, config.klCoefficient);
    const save = createSaver(given, trained, engine.optimizer, standing.iteration);
    const meter = progressMeter({ step: standing.iteration, tokens: standing.tokens }, iterations);
    while (standing.iteration < iterations) {
      const iteration = standing.iteration + 1;
      const [total, update] = [stopwatch(), stopwatch()];

      // 1 generate and 2 trace: programs run in their interpreters while the model writes the next ones, and while it is asked
      // for log-probabilities and values under the weights that wrote them, and for log-probabilities under the reference.
      const sampled = await sampler.sample(drawsOf(config, problems, standing), async (sequences) => ({
        old: await scorer.score(sequences),
        start: await frozen.score(sequences),
      }), signal);
      if (!sampled) break;
      const { experiences, sequences, scored: { old, start } } = sampled;

      // 3 reward: of the program as a whole; what was not judged is left out from here on.
      const { raw, scores, credits, halt, monitored } = await rewardsOf(config, given, experiences);
      const mix = outcomeMix(experiences.map(({ sample }) => sample));
      yield { type: "rollout", iteration, iterations, experiences, scores: raw, mix };
      if (halt !== null) {
        yield* save(standing);
        yield { type: "halted", step: standing.iteration, reason: halt };
        return;
      }
      if (signal?.aborted) break;
      const kept = requireJudged(scores, iteration);
      const kls = kept.map(({ at }) => sequenceKl(old[at].logprobs, start[at].logprobs));
      requireHealthyKl(kls, iteration);

      // 4 advantages: divergence and score as rewards of tokens, GAE, whitening over all tokens.
      const kappa = standing.klCoefficient;
      const rewards = kept.map(({ at, score }) =>
        klRewards(old[at].logprobs, start[at].logprobs, kappa, score, "k1", credits[at]?.rewards)
      );
      const shaped = config.whitenRewards ? whitenRewards(rewards) : rewards;
      const estimates = kept.map(({ at }, k) => gae(shaped[k], old[at].values!, GAMMA, config.lambda));
      const advantages = whiten(estimates.map((estimate) => estimate.advantages));
      const rollouts = kept.map(({ at }, k): Rollout => ({
        sequence: sequences[at],
        oldLogprobs: old[at].logprobs,
        oldValues: old[at].values!,
        reference: start[at].logprobs,
        advantages: weighted(advantages[k], credits[at]?.weights),
        returns: estimates[k].returns,
      }));

      // 5 epochs of shuffled minibatches.
      const rate = learningRate(config.learningRate, config.schedule, iteration, iterations, config.warmup);
      let { updates, tokens } = standing;
      update();
      for (let epoch = 0; epoch < epochs; epoch++) {
        for (const batch of minibatchesOf(rollouts, config, iteration, epoch)) {
          tokens += await engine.accumulate(batch);
          await engine.optimizer.update(++updates, rate);
        }
      }
      const learned = await engine.metrics(updates - standing.updates);
      requireFinite(learned.loss, iteration);

      const kl = mean(kls);
      const score = mean(kept.map(({ score }) => score));
      const metrics = {
        ...learned,
        "objective/kl": kl,
        "objective/kl_per_token": sum(kls) / sum(rewards.map(({ length }) => length)),
        "objective/kl_coef": kappa,
        "objective/entropy": mean(kept.map(({ at }) => -sum(old[at].logprobs))),
        "objective/non_score_reward": -kappa * kl,
        "objective/scores": score,
        "objective/rlhf_reward": score - kappa * kl,
        ...outcomeMetrics(experiences),
        ...monitored,
        lr: rate,
        num_tokens: tokens,
        episode: iteration * config.prompts * config.samples,
      };
      const machine = machineMetrics(sampled, update(), total());
      yield { type: "step", step: iteration, steps: iterations, metrics, machine, ...meter(iteration, tokens) };

      const control = config.klTarget === null
        ? { kind: "fixed" as const }
        : { kind: "adaptive" as const, target: config.klTarget, horizon: KL_HORIZON };
      standing = {
        ...{ iteration, updates, tokens },
        passRates: passRatesAfter(standing.passRates, experiences),
        klCoefficient: nextKlCoefficient(control, kappa, kl, kept.length),
        reward: given.reward.carried?.(),
        monitor: given.monitor?.carried?.(),
      };
      if (config.checkpointEvery > 0 && iteration % config.checkpointEvery === 0) yield* save(standing);
      if (signal?.aborted) break;
    }
    yield* save(standing);
    yield { type: standing.iteration < iterations ? "stopped" : "done", step: standing.iteration };
  } finally {
    for (const each of [sampler, scorer, frozen, engine]) each.destroy();
    for (const { weights, gradients } of valueHead.pages) destroyInputs({ weights, gradients });
  }
}
