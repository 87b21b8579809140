import { describe, expect, test } from "vitest";
import { type RecipeName, RECIPES, recipeSettings } from "../../src/recipes/recipes.ts";
import { choices, defaults } from "../../src/recipes/run_config.ts";
import { requireActing } from "../../src/recipes/setting_rules.ts";
import { leafNames, type Settings, withSettings } from "../../src/recipes/settings.ts";

const check = (name: RecipeName, given: Settings) => {
  const own = recipeSettings(name);
  requireActing(withSettings(own, given, "test", choices), own);
};

describe("settings that act", () => {
  test("every recipe's own defaults do", () => {
    for (const name of Object.keys(RECIPES) as RecipeName[]) check(name, {});
  });

  for (
    const [name, given, message] of [
      ["eta-dpo", { dpo: { gamma: 0.7 } }, "dpo.gamma 0.7: it acts only with dpo.loss simpo"],
      [
        "binary-dpo",
        { pairs: { referenceSibling: true } },
        "pairs.referenceSibling true: it acts only in orders that look at agreement",
      ],
      [
        "eta-dpo",
        { pairs: { maskLike: "slice" } },
        'pairs.maskLike "slice": it acts only with pairs.mask random-k or random-line',
      ],
      ["rm", { pairs: { mask: "div" } }, 'pairs.mask "div": it acts only in recipes that train with dpo once'],
      [
        "iterative-dpo",
        { pairs: { minimalPairs: true } },
        "pairs.minimalPairs true: it acts only in recipes that train with dpo once",
      ],
      ["grpo", { grpo: { klLoss: "k3" } }, 'grpo.klLoss "k3": it acts only with a grpo.klCoefficient'],
      ["binary-ppo", { reward: { order: "frac" } }, 'reward.order "frac": it acts only with reward.name order'],
      ["binary-ppo", { dense: { kappa: 0.2 } }, "dense.kappa 0.2: it acts only with a dense.kind that weighs tokens"],
      ["binary-ppo", { reward: { name: "rm" } }, "reward.name rm: no reward model is trained here, use recipe eta-rm"],
      ["eta-rm", { reward: { name: "binary", clamp: false } }, "a reward model that reward.name does not name"],
      [
        "grpo",
        { dense: { kind: "potential" } },
        "dense.kind potential with grpo.advantages that divide by the group's deviation: use dr-grpo or rloo",
      ],
    ] as [RecipeName, Settings, string][]
  ) {
    test(`${name}: ${JSON.stringify(given)} is refused`, () => {
      expect(() => check(name, given)).toThrow(`Cannot use ${message}`);
    });
  }

  test("beside what they act with they are taken", () => {
    check("eta-dpo", { dpo: { loss: "simpo", gamma: 0.7 }, pairs: { mask: "random-k", maskLike: "slice" } });
    check("grpo", { grpo: { klCoefficient: 0.1, klLoss: "k3", advantages: "rloo" }, dense: { kind: "potential" } });
  });

  test("every setting that has a list of choices has its default among them", () => {
    const names = leafNames(defaults as unknown as Settings);
    for (const name of names) {
      const allowed = choices[name] ?? choices[name.split(".").at(-1)!];
      const value = name.split(".").reduce<unknown>(
        (inner, part) => (inner as Record<string, unknown>)[part],
        defaults,
      );
      if (allowed && typeof value === "string") expect(allowed, name).toContain(value);
    }
  });
});
