/** The recipes: each a list of stages, the sections of settings that they read, and defaults that suit models/micro. */
import { defaults, type RunConfig } from "./run_config.ts";
import type { Stage } from "./run.ts";
import { dpo } from "./stages/dpo.ts";
import { evaluate } from "./stages/evaluate.ts";
import { kto, rft, sft } from "./stages/imitate.ts";
import { pairs } from "./stages/pairs.ts";
import { grpo, ppo, ppoOnRewardModel } from "./stages/on_policy.ts";
import { repair } from "./stages/repair.ts";
import { rm } from "./stages/reward_model.ts";
import { rounds } from "./stages/rounds.ts";
import { draw, sample, trace } from "./stages/sample.ts";
import { type Settings, withSettings } from "./settings.ts";

export type SectionName = Exclude<keyof RunConfig, "seed">;

export interface Recipe {
  help: string;
  stages: readonly Stage[];
  /** The stage that leaves the recipe's model; null where none is trained or it is not to be evaluated. */
  trains: string | null;
  /** What can be set, the trainer's own section first. */
  sections: readonly SectionName[];
  /** Laid over the defaults of all recipes. */
  defaults: Settings;
}

/** Before, the stages in between, after. */
const compared = (trains: Stage, ...between: Stage[]): readonly Stage[] => [
  evaluate(null),
  ...between,
  trains,
  evaluate(trains.name),
];

const preference = (help: string, settings: Settings = {}): Recipe => ({
  help,
  stages: compared(dpo, sample, pairs),
  trains: "dpo",
  sections: ["dpo", "sample", "pairs", "lora"],
  defaults: settings,
});

/** Pairs of failing programs too, or a reward model would learn to read verdicts alone. */
const REWARD_PAIRS: Settings = { pairs: { failFail: "always", maxPairsPerPrompt: 16, referenceSibling: true } };

const onPolicy = (help: string, stage: Stage, settings: Settings = {}): Recipe => ({
  help,
  stages: compared(stage),
  trains: stage.name,
  sections: [stage.name as "ppo" | "grpo", "reward", "dense", "monitor", "sample", "lora"],
  defaults: settings,
});

export const RECIPES = {
  "eta-dpo": preference("DPO on pairs that traces order: pass over fail, then how far a failing program came"),
  "binary-dpo": preference("DPO on passing against failing programs alone", { pairs: { order: "binary" } }),
  "random-dpo": preference("control: as eta-dpo, failing programs ordered by a coin", { pairs: { order: "random" } }),
  sft: {
    help: "supervised fine-tuning on the problems' reference solutions",
    stages: compared(sft),
    trains: "sft",
    sections: ["sft", "sample", "lora"],
    defaults: {},
  },
  rft: {
    help: "rejection-sampling fine-tuning: SFT on the model's own passing programs",
    stages: compared(rft, sample),
    trains: "rft",
    sections: ["rft", "sample", "lora"],
    defaults: {},
  },
  kto: {
    help: "KTO on single programs that pass or fail, without pairs",
    stages: compared(kto, sample),
    trains: "kto",
    sections: ["kto", "sample", "lora"],
    defaults: {},
  },
  "iterative-dpo": {
    help: "eta-dpo in rounds, each on programs of the model that the last one left",
    stages: compared(rounds),
    trains: "rounds",
    sections: ["rounds", "dpo", "sample", "pairs", "lora"],
    defaults: { dpo: { steps: 20 } },
  },
  rm: {
    help: "the reward model alone, measured on pairs of problems that it has not seen",
    stages: [sample, pairs, rm],
    trains: null,
    sections: ["rm", "sample", "pairs"],
    defaults: REWARD_PAIRS,
  },
  "eta-rm": {
    help: "a reward model of traces, then PPO on its score",
    stages: [evaluate(null), sample, pairs, rm, ppoOnRewardModel, evaluate("ppo")],
    trains: "ppo",
    sections: ["ppo", "rm", "sample", "pairs", "reward", "dense", "monitor", "lora"],
    defaults: { ...REWARD_PAIRS, reward: { name: "rm", clamp: true } },
  },
  "binary-ppo": onPolicy("PPO on pass or fail alone", ppo),
  "fraction-ppo": onPolicy("PPO on the share of tests passed", ppo, { reward: { name: "fraction" } }),
  "order-ppo": onPolicy("PPO on a program's rank under the preference order, without a reward model", ppo, {
    reward: { name: "order", clamp: true },
  }),
  grpo: onPolicy("GRPO on pass or fail: the group of samples is the baseline, no value head", grpo),
  rloo: onPolicy("GRPO with the mean of the other samples as baseline", grpo, { grpo: { advantages: "rloo" } }),
  "eta-grpo": onPolicy("GRPO on pass or fail, and on the order of traces where nothing passes", grpo, {
    reward: { name: "order", fill: "auto" },
  }),
  repair: {
    help: "no training: repair by prompt with nothing, the failing test, its trace, or another program's trace",
    stages: [evaluate(null), sample, repair],
    trains: null,
    sections: ["repair", "sample"],
    defaults: {},
  },
} as const satisfies Record<string, Recipe>;

export type RecipeName = keyof typeof RECIPES;

/** What a recipe can be told, and its defaults. */
export function recipeSettings(name: RecipeName): Settings {
  const recipe: Recipe = RECIPES[name];
  const own = withSettings(defaults, recipe.defaults, `the defaults of ${name}`) as unknown as Settings;
  return Object.fromEntries(["seed", ...recipe.sections].map((section) => [section, own[section]]));
}

/** Stages as commands of their own over one run folder. `eval` is the base's evaluation and that of the newest model. */
export const STAGE_COMMANDS = {
  sample: { stage: draw, sections: ["sample"], help: "sample programs for the training problems and judge them" },
  trace: { stage: trace, sections: [], help: "run the sampled programs again under the tracer" },
  pairs: { stage: pairs, sections: ["pairs"], help: "form preference pairs under an order" },
  rm: { stage: rm, sections: ["rm"], help: "train a reward model on the pairs" },
  dpo: { stage: dpo, sections: ["dpo", "lora"], help: "train with DPO or a relative of it on the pairs" },
  kto: { stage: kto, sections: ["kto", "lora"], help: "train with KTO on passing and failing programs" },
  rft: { stage: rft, sections: ["rft", "lora"], help: "fine-tune on the model's own passing programs" },
  ppo: { stage: ppo, sections: ["ppo", "reward", "dense", "monitor", "lora"], help: "train with PPO" },
  grpo: { stage: grpo, sections: ["grpo", "reward", "dense", "monitor", "lora"], help: "train with GRPO or RLOO" },
} as const satisfies Record<string, { stage: Stage; sections: readonly SectionName[]; help: string }>;

/** Stages whose settings cannot change in a folder once they are done: of how programs are drawn, each set keeps its own. */
export const SETTLED_STAGES: readonly Stage[] = [pairs, rm, sft, rft, kto, dpo, rounds, ppo, grpo];

/** Stages that leave a policy, in the order in which `eval` prefers the newest. */
export const TRAINING_STAGES = [sft, rft, kto, dpo, rounds, ppo, grpo].map(({ name }) => name);
