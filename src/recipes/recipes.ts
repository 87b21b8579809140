/** The recipes: each a list of stages, the sections of settings that they read, and defaults that suit models/micro. */
import { defaults, type RunConfig } from "./run_config.ts";
import type { Stage } from "./run.ts";
import { dpo } from "./stages/dpo.ts";
import { evaluate } from "./stages/evaluate.ts";
import { kto, rft, sft } from "./stages/imitate.ts";
import { pairs } from "./stages/pairs.ts";
import { sample } from "./stages/sample.ts";
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
} as const satisfies Record<string, Recipe>;

export type RecipeName = keyof typeof RECIPES;

/** What a recipe can be told, and its defaults. */
export function recipeSettings(name: RecipeName): Settings {
  const recipe: Recipe = RECIPES[name];
  const own = withSettings(defaults, recipe.defaults, `the defaults of ${name}`) as unknown as Settings;
  return Object.fromEntries(["seed", ...recipe.sections].map((section) => [section, own[section]]));
}
