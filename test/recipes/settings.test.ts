import { describe, expect, test } from "vitest";
import { leafNames, parseAssignment, withSettings } from "../../src/recipes/settings.ts";

const defaults = {
  seed: 1,
  dpo: { beta: 0.1, steps: 60, schedule: "linear", pack: false },
  lora: { rank: 0, targets: ["q", "v"] },
  out: null as number | null,
};
const from = (given: unknown) => withSettings(defaults, given, "run.yaml");

describe("settings", () => {
  test("what is given is laid over the defaults, and nothing else changes", () => {
    expect(from({ dpo: { beta: 0.5 }, lora: { targets: "q,k" } })).toEqual({
      ...defaults,
      dpo: { ...defaults.dpo, beta: 0.5 },
      lora: { rank: 0, targets: ["q", "k"] },
    });
    expect(from(undefined)).toBe(defaults);
    expect(from({ out: 3 }).out).toBe(3);
    expect(() => from({ out: "abc" })).toThrow('"out" is "abc", not a number or null');
    expect(defaults.dpo.beta).toBe(0.1);
  });

  for (
    const [given, message] of [
      [{ dpo: { betta: 1 } }, '"dpo.betta" is no setting; did you mean "dpo.beta"?'],
      [{ bta: 1 }, '"bta" is no setting; did you mean "dpo.beta"?'],
      [{ zebra: 1 }, '"zebra" is no setting'],
      [{ dpo: { beta: "high" } }, '"dpo.beta" is "high", not a number'],
      [{ dpo: { steps: 0 } }, '"dpo.steps" is 0, not a whole number from 1'],
      [{ seed: -1 }, '"seed" is -1, not a whole number from 0'],
      [{ dpo: { pack: "yes" } }, '"dpo.pack" is "yes", not true or false'],
      [
        { dpo: { schedule: "linaer" } },
        '"dpo.schedule" is "linaer", not one of constant, linear, cosine; did you mean "linear"?',
      ],
      [{ dpo: 3 }, '"dpo" is 3, not a group of settings'],
      [{ lora: { targets: 3 } }, '"lora.targets" is 3, not a list of texts'],
      [[1], "it holds [1], not settings"],
    ] as const
  ) {
    test(`${JSON.stringify(given)} is refused with one line`, () => {
      expect(() => from(given)).toThrow(`Cannot read run.yaml: ${message}`);
    });
  }

  test("--set takes a dotted name and a JSON value or a word", () => {
    expect(parseAssignment("dpo.beta=0.2")).toEqual({ dpo: { beta: 0.2 } });
    expect(parseAssignment("dpo.schedule = cosine")).toEqual({ dpo: { schedule: "cosine" } });
    expect(parseAssignment("lora.targets=q,v")).toEqual({ lora: { targets: "q,v" } });
    expect(() => parseAssignment("beta")).toThrow("Cannot read --set beta: expected name=value");
  });

  test("names of all settings come in order", () => {
    expect(leafNames(defaults)).toEqual(
      ["seed", "dpo.beta", "dpo.steps", "dpo.schedule", "dpo.pack", "lora.rank", "lora.targets", "out"],
    );
  });
});
