/** What a run can be told: sections of settings, and the recipes, each a list of stages with its own defaults. */
import { KL_LOSSES, SURROGATES } from "../../kernels/mod.ts";
import { FAIL_FAIL } from "../data/pairs.ts";
import { AGGREGATIONS, GROUP_ADVANTAGES } from "../loss/advantages.ts";
import { HEADS } from "../model/reward_head.ts";
import { DIVERGENCES, PREFERENCE_LOSSES } from "../loss/preference.ts";
import { type OrderName, orders } from "../trace/heuristics.ts";
import { type Mask, MASKS } from "./credit_masks.ts";
import { DPO, type DpoConfig } from "./dpo.ts";
import { KTO, type KtoConfig } from "./kto.ts";
import { DENSE, type Dense } from "./dense.ts";
import { GRPO, type GrpoConfig } from "./grpo.ts";
import { PPO, type PpoConfig } from "./ppo.ts";
import { REWARD, type RewardConfig } from "./reward_model.ts";
import { FILLS, type RewardName, REWARDS } from "./rewards.ts";
import { SCHEDULERS } from "./on_policy.ts";
import { CHOICES, type Choices } from "./settings.ts";
import { SFT, type SftConfig } from "./sft.ts";

type Unseeded<T> = Omit<T, "seed">;

/** How programs are drawn, for training and for evaluation. */
export interface SampleConfig {
  /** Programs per problem. */
  samples: number;
  /** 0 is greedy. */
  temperature: number;
  topP: number;
  topK: number;
  maxNewTokens: number;
  /** Sequences sampled at a time. */
  sampleBatch: number;
  /** Texts that end a completion; none: those of the problems' code mode. */
  stops: readonly string[];
  /** Also keep each program's log-probability, by the kernels of training. */
  logprobs: boolean;
}

export interface PairConfig {
  order: OrderName;
  maxPairsPerPrompt: number;
  failFail: typeof FAIL_FAIL[number];
  /** Weigh each test by 1 less its pass rate among the prompt's samples. */
  weightTests: boolean;
  /** Give every pair the label smoothing of the rule that decided it. */
  calibrated: boolean;
  /** Where no sample passes, let the reference solution stand in for a passing sibling (order eta). */
  referenceSibling: boolean;
  /** Which tokens of a loser are pushed down, and what random masks imitate. */
  mask: Mask;
  maskLike: Mask;
  /** Add pairs of a failing program with the same one repaired by one hunk of a passing sibling (counterfactual repair). */
  minimalPairs: boolean;
}

/** Adapters beside a frozen model; rank 0 trains all weights. */
export interface LoraSection {
  rank: number;
  alpha: number;
  targets: readonly string[];
}

export interface RftConfig extends Unseeded<SftConfig> {
  /** Own passing programs of a problem, at most. */
  maxPerProblem: number;
  /** Add the reference solutions of problems on which no sample passes. */
  silent: boolean;
}

export interface RoundsSection {
  rounds: number;
  /** What a round's policy is held to: the weights it started from, or the base. */
  reference: "round" | "base";
}

export interface RewardModelSection extends Unseeded<RewardConfig> {
  /** Hugging Face folder to start from, such as CodeBERT's; none: from scratch. */
  from: string;
  /** The traces of a pair: each program's own deciding test, or both on the first that the worse one fails. */
  test: "own" | "same";
}

/** What a sampled program scores in PPO and GRPO. */
export interface RewardSection {
  name: RewardName;
  fill: typeof FILLS[number];
  /** A pass scores 1, anything else at most 0.9. */
  clamp: boolean;
  order: OrderName;
}

/** Step-wise credit: which tokens a trace accuses, and how far advantages follow it. */
export interface DenseSection {
  kind: Dense;
  kappa: number;
  /** What the controls random and shuffled imitate. */
  like: "executed" | "erring" | "diverging" | "slice";
}

export interface RepairSection {
  /** Failing programs of a problem. */
  bugsPerProblem: number;
  /** Solved repairs in front of each question. */
  shots: number;
  traceTokens: number;
}

export interface RunConfig {
  seed: number;
  lora: LoraSection;
  sample: SampleConfig;
  pairs: PairConfig;
  sft: Unseeded<SftConfig>;
  rft: RftConfig;
  dpo: Unseeded<DpoConfig>;
  kto: Unseeded<KtoConfig>;
  rounds: RoundsSection;
  rm: RewardModelSection;
  ppo: Unseeded<PpoConfig>;
  grpo: Unseeded<GrpoConfig>;
  reward: RewardSection;
  dense: DenseSection;
  /** Watch for reward hacking, and stop a run that shows it. */
  monitor: { on: boolean };
  repair: RepairSection;
}

const seedless = <T extends { seed: number }>({ seed: _, ...rest }: T): Unseeded<T> => rest;

const ON_POLICY = { iterations: 24, prompts: 16, samples: 8, maxNewTokens: 64, checkpointEvery: 4 };

/**
 * For models/micro, chosen on problems of training families: large models want learning rates near 1e-6 and a smaller weight
 * of the SFT term.
 */
export const defaults: RunConfig = {
  seed: 1,
  lora: { rank: 0, alpha: 32, targets: ["self_attn.qkv", "self_attn.o_proj", "mlp.gate_up", "mlp.down_proj"] },
  sample: {
    samples: 8,
    temperature: 1,
    topP: 1,
    topK: 0,
    maxNewTokens: 64,
    sampleBatch: 64,
    stops: [],
    logprobs: false,
  },
  pairs: {
    order: "eta",
    maxPairsPerPrompt: 4,
    failFail: "fill",
    weightTests: false,
    calibrated: false,
    referenceSibling: false,
    mask: "full",
    maskLike: "div",
    minimalPairs: false,
  },
  sft: {
    ...seedless(SFT),
    steps: 60,
    learningRate: 3e-4,
    schedule: "linear",
    warmup: 6,
    logEvery: 5,
    checkpointEvery: 20,
  },
  rft: {
    ...seedless(SFT),
    steps: 60,
    learningRate: 3e-4,
    schedule: "linear",
    warmup: 6,
    logEvery: 5,
    checkpointEvery: 20,
    maxPerProblem: 4,
    silent: false,
  },
  dpo: { ...seedless(DPO), learningRate: 3e-4, alpha: 1 },
  kto: { ...seedless(KTO), learningRate: 3e-4 },
  rounds: { rounds: 3, reference: "round" },
  rm: { ...seedless(REWARD), width: 64, from: "", test: "own" },
  ppo: { ...seedless(PPO), ...ON_POLICY, learningRate: 1e-4 },
  grpo: { ...seedless(GRPO), ...ON_POLICY, learningRate: 3e-4 },
  reward: { name: "binary", fill: "never", clamp: false, order: "eta" },
  dense: { kind: "none", kappa: 0.5, like: "diverging" },
  monitor: { on: true },
  repair: { bugsPerProblem: 2, shots: 1, traceTokens: 200 },
};

/** Texts that are one of a list, by the name of the setting. */
export const choices: Choices = {
  ...CHOICES,
  order: Object.keys(orders),
  failFail: FAIL_FAIL,
  mask: MASKS,
  maskLike: MASKS,
  loss: PREFERENCE_LOSSES,
  divergence: DIVERGENCES,
  scheduler: SCHEDULERS,
  "reward.name": REWARDS,
  fill: FILLS,
  kind: DENSE,
  like: ["executed", "erring", "diverging", "slice"],
  reference: ["round", "base"],
  architecture: ["encoder", "decoder"],
  head: HEADS,
  advantages: GROUP_ADVANTAGES,
  aggregation: AGGREGATIONS,
  klLoss: KL_LOSSES,
  surrogate: SURROGATES,
  test: ["own", "same"],
};
