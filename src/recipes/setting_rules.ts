/** Settings that act only beside others: a setting that would do nothing, or cannot be, is refused and not ignored. */
import { orders } from "../trace/heuristics.ts";
import type { RunConfig } from "./run_config.ts";
import { leafNames, type Settings } from "./settings.ts";

/** A recipe's settings hold the sections that it reads, and no others. */
type Given = Partial<RunConfig>;

/** Where each acts, and that in words. */
const ACTS: Record<string, [acts: (given: Given) => boolean, words: string]> = {
  "pairs.mask": [({ dpo, rounds }) => dpo !== undefined && rounds === undefined, "in recipes that train with dpo once"],
  "pairs.minimalPairs": [
    ({ dpo, rounds }) => dpo !== undefined && rounds === undefined,
    "in recipes that train with dpo once",
  ],
  "pairs.maskLike": [({ pairs }) => pairs!.mask.startsWith("random"), "with pairs.mask random-k or random-line"],
  "pairs.calibrated": [({ dpo }) => dpo !== undefined, "in recipes that train with dpo"],
  "pairs.weightTests": [
    ({ pairs }) => orders[pairs!.order].includes("fraction"),
    "in orders that look at the share of tests",
  ],
  "pairs.referenceSibling": [
    ({ pairs }) => orders[pairs!.order].includes("agreement"),
    "in orders that look at agreement",
  ],
  "dpo.gamma": [({ dpo }) => dpo!.loss === "simpo", "with dpo.loss simpo"],
  "dpo.discopopTau": [({ dpo }) => dpo!.loss === "discopop", "with dpo.loss discopop"],
  "dpo.divergenceAlpha": [({ dpo }) => dpo!.divergence === "alpha", "with dpo.divergence alpha"],
  "grpo.klLoss": [({ grpo }) => grpo!.klCoefficient !== 0, "with a grpo.klCoefficient"],
  "reward.order": [({ reward }) => reward!.name === "order", "with reward.name order"],
  "reward.clamp": [({ reward }) => reward!.name !== "binary", "with graded rewards"],
  "dense.kappa": [
    ({ dense }) => dense!.kind !== "none" && dense!.kind !== "potential",
    "with a dense.kind that weighs tokens",
  ],
  "dense.like": [
    ({ dense }) => dense!.kind === "random" || dense!.kind === "shuffled",
    "with dense.kind random or shuffled",
  ],
  "rm.width": [({ rm }) => rm!.from === "", "from scratch, without rm.from"],
  "rm.layers": [({ rm }) => rm!.from === "", "from scratch, without rm.from"],
  "rm.heads": [({ rm }) => rm!.from === "", "from scratch, without rm.from"],
  "rm.architecture": [({ rm }) => rm!.from === "", "from scratch, without rm.from"],
};

/** What cannot be together, and why. */
const CLASHES: [clash: (given: Given) => boolean, words: string][] = [
  [
    ({ reward, rm }) => reward?.name === "rm" && rm === undefined,
    "reward.name rm: no reward model is trained here, use recipe eta-rm",
  ],
  [
    ({ reward, rm }) => rm !== undefined && reward !== undefined && reward.name !== "rm",
    "a reward model that reward.name does not name",
  ],
  [
    ({ grpo, dense }) => dense?.kind === "potential" && (grpo?.advantages === "trl" || grpo?.advantages === "verl"),
    "dense.kind potential with grpo.advantages that divide by the group's deviation: use dr-grpo or rloo",
  ],
];

/** Checks the settings of a recipe against its defaults. Errors: `Cannot use dpo.gamma 0.7: it acts only with dpo.loss simpo`. */
export function requireActing(settings: Settings, defaults: Settings): void {
  const given = settings as unknown as Given;
  const at = (record: Settings, path: string) =>
    path.split(".").reduce<unknown>((inner, name) => (inner as Record<string, unknown>)?.[name], record);
  const clash = CLASHES.find(([clashes]) => clashes(given));
  if (clash) throw new Error(`Cannot use ${clash[1]}`);
  for (const path of leafNames(settings)) {
    const rule = ACTS[path];
    if (!rule || JSON.stringify(at(settings, path)) === JSON.stringify(at(defaults, path)) || rule[0](given)) continue;
    throw new Error(`Cannot use ${path} ${JSON.stringify(at(settings, path))}: it acts only ${rule[1]}`);
  }
}
