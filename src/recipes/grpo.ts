/**
 * GRPO on executed programs (Shao et al. 2024, "DeepSeekMath"), with what came after it as choices: no critic; the samples of one
 * prompt are each other's baseline.
 *
 *   A_i = R_i against its group: (R - mean) / (std + eps), R - mean, or R - mean of the others
 *   L = sum of w (max(-A ratio, -A clip(ratio, 1 - low, 1 + high)) + beta k(log p - log p_ref)),  w by the aggregation
 *
 * RLOO (Ahmadian et al. 2024) is `advantages: rloo`; Dr. GRPO (Liu et al. 2025) is dr-grpo for both; DAPO (Yu et al. 2025) is
 * aggregation dapo, clipHigh 0.28, filterSilent and maskTruncated.
 *
 * Differences to TRL's GRPOTrainer: 1. the penalty on the divergence is k2, whose gradient is that of KL(policy || reference); k3,
 * as published, has the one of KL(reference || policy), and another fixpoint; 2. samples without EOS lose `missingEosPenalty`, and
 * never pass; 3. filtered groups are not sampled anew, the step is smaller; 4. weights do not decay.
 *
 * Old log-probabilities come from the kernels of training. Everything an iteration does follows from the seed, its number and the
 * last checkpoint: interrupted, it is done again to the same bits.
 */
import type { KlLoss, Surrogate } from "../../kernels/mod.ts";
import { type Aggregation, type GroupAdvantage, groupAdvantages, sequenceKl } from "../loss/advantages.ts";
import { outcomeMix } from "../eval/outcomes.ts";
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
  withCredit,
} from "./on_policy.ts";
import { createSampler, drawsOf, passRatesAfter } from "./on_policy_sampler.ts";
import { createPpoStep, type Rollout } from "./ppo_step.ts";
import { groupsOf } from "./rewards.ts";
import { createRolloutScorer } from "./rollout_scorer.ts";

export interface GrpoConfig extends OnPolicyConfig {
  /** See GROUP_ADVANTAGES and AGGREGATIONS. */
  advantages: GroupAdvantage;
  aggregation: Aggregation;
  /** beta; 0 needs no reference and does not measure the divergence. */
  klCoefficient: number;
  klLoss: KlLoss;
  /** See SURROGATES: ratios of tokens, of whole sequences, or as constants. */
  surrogate: Surrogate;
  /** Of the mean entropy of tokens, in nats. */
  entropyCoefficient: number;
  /** How far ratios may fall below 1 and rise above it. */
  clipLow: number;
  clipHigh: number;
  /** Leaves groups out in which all scores are the same: they have no advantage, but they would count in token means. */
  filterSilent: boolean;
  /** Leaves samples without EOS out of the loss; they still count in their group's baseline. */
  maskTruncated: boolean;
}

/** TRL's values, for large models; models/micro learns with learningRate 3e-4 at one update an iteration. */
export const GRPO: GrpoConfig = {
  iterations: 200,
  prompts: 16,
  samples: 8,
  scheduler: "epochs",
  temperature: 1,
  maxNewTokens: 256,
  sampleBatch: 64,
  epochs: 1,
  minibatches: 1,
  microBatch: 8,
  learningRate: 1e-6,
  schedule: "linear",
  warmup: 0,
  advantages: "trl",
  aggregation: "dapo",
  klCoefficient: 0,
  klLoss: "k2",
  surrogate: "clip",
  entropyCoefficient: 0,
  clipLow: 0.2,
  clipHigh: 0.2,
  filterSilent: false,
  maskTruncated: false,
  missingEosPenalty: 1,
  maxGradNorm: 1,
  seed: 1,
  checkpointEvery: 10,
  recompute: "cheap",
  activations: "f32",
  moments: "f32",
};

/** Reinforce with the mean of the other samples as baseline. */
export const RLOO: GrpoConfig = { ...GRPO, advantages: "rloo" };

export async function* trainGrpo(
  config: GrpoConfig,
  given: OnPolicyGiven,
  signal?: AbortSignal,
): AsyncGenerator<OnPolicyEvent> {
  const { policy, problems, tokenizer: { padId } } = given;
  const { model, trained } = policy;
  const { iterations, epochs, samples, microBatch, temperature, recompute, activations } = config;
  const { advantages: kind, aggregation, klCoefficient, klLoss, surrogate, entropyCoefficient } = config;
  const { clipLow, clipHigh } = config;
  if (samples < 2) throw new Error(`Cannot train by groups: samples is ${samples}, a baseline needs 2 of each prompt`);
  const compared = klCoefficient !== 0;
  const scoring = { microBatch, padId, temperature };
  const frozen = compared ? createRolloutScorer(policy.reference(), null, scoring) : null; // the weights before a checkpoint
  const scorer = createRolloutScorer(model, null, scoring);
  const sampler = await createSampler(config, given);
  const engine = await createPpoStep(policy, null, {
    ...{ microBatch, padId, temperature, recompute, activations },
    ...{ clipLow, clipHigh, dualClip: 0, aggregation, maxLength: config.maxNewTokens },
    ...{ reference: compared, klCoefficient, klLoss, surrogate, entropyCoefficient, adamw: adamwOf(config) },
  });
  try {
    let standing = await resume(given, trained, engine.optimizer, klCoefficient);
    const save = createSaver(given, trained, engine.optimizer, standing.iteration);
    const meter = progressMeter({ step: standing.iteration, tokens: standing.tokens }, iterations);
    while (standing.iteration < iterations) {
      const iteration = standing.iteration + 1;
      const [total, update] = [stopwatch(), stopwatch()];

      // 1 generate and 2 trace: programs run in their interpreters while the model writes the next ones, and while it is asked
      // for log-probabilities under the weights that wrote them, and under the reference if there is one.
      const sampled = await sampler.sample(drawsOf(config, problems, standing), async (sequences) => ({
        old: await scorer.score(sequences),
        start: await frozen?.score(sequences),
      }), signal);
      if (!sampled) break;
      const { experiences, sequences, scored: { old, start } } = sampled;

      // 3 reward: of the program as a whole; what was not judged is in no baseline and is not learned from.
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
      const kls = start ? kept.map(({ at }) => sequenceKl(old[at].logprobs, start[at].logprobs)) : [];
      if (start) requireHealthyKl(kls, iteration);

      // 4 advantages: of every sample within its group, the same for all its tokens but for step-wise credit.
      const groups = groupsOf(experiences).filter((group) => group.some((i) => scores[i] !== null));
      const silent = groups.filter((group) => isSilent(group.map((i) => scores[i])));
      const advantages = new Array<number>(experiences.length).fill(0);
      for (const group of groups) {
        groupAdvantages(group.map((i) => scores[i]), { kind }).forEach((advantage, k) =>
          advantages[group[k]] = advantage
        );
      }
      const left = new Set(config.filterSilent ? silent.flat() : []);
      const learning = kept.filter(({ at }) =>
        !left.has(at) && (experiences[at].sample.finished || !config.maskTruncated)
      );
      const rollouts = learning.map(({ at }): Rollout => ({
        sequence: sequences[at],
        oldLogprobs: old[at].logprobs,
        reference: start?.[at].logprobs,
        advantages: withCredit(advantages[at], old[at].logprobs.length, credits[at], kind),
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
      const learned = updates > standing.updates ? await engine.metrics(updates - standing.updates) : {};
      requireFinite(learned.loss, iteration);

      const counts = kept.map(({ at }) => old[at].logprobs.length);
      const known = kept.map(({ score }) => score);
      const metrics = {
        ...learned,
        ...start ? { "objective/kl": mean(kls), "objective/kl_per_token": sum(kls) / sum(counts) } : {},
        "objective/entropy": mean(kept.map(({ at }) => -sum(old[at].logprobs))),
        "objective/scores": mean(known),
        reward_std: Math.sqrt(mean(known.map((score) => (score - mean(known)) ** 2))),
        frac_reward_zero_std: silent.length / groups.length,
        ...outcomeMetrics(experiences),
        ...monitored,
        lr: rate,
        num_tokens: tokens,
        episode: iteration * config.prompts * samples,
      };
      const machine = machineMetrics(sampled, update(), total());
      yield { type: "step", step: iteration, steps: iterations, metrics, machine, ...meter(iteration, tokens) };

      standing = {
        ...{ iteration, updates, tokens, klCoefficient },
        passRates: passRatesAfter(standing.passRates, experiences),
        reward: given.reward.carried?.(),
        monitor: given.monitor?.carried?.(),
      };
      if (config.checkpointEvery > 0 && iteration % config.checkpointEvery === 0) yield* save(standing);
      if (signal?.aborted) break;
    }
    yield* save(standing);
    yield { type: standing.iteration < iterations ? "stopped" : "done", step: standing.iteration };
  } finally {
    for (const each of [sampler, scorer, frozen, engine]) each?.destroy();
  }
}

/** Whether all known scores of a group are the same. */
function isSilent(scores: readonly (number | null)[]): boolean {
  const known = scores.filter((score) => score !== null);
  return known.every((score) => score === known[0]);
}
