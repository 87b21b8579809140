// Whatever variant of an op runs, training is the same within rounding: each is forced in turn, over whole training runs.
import { afterAll, beforeAll, expect, test } from "vitest";
import { fitting, type Gpu, openGpu } from "../../src/plan/mod.ts";
import golden from "../golden/gpt_torch.json" with { type: "json" };
import { dpoLosses, gptLosses } from "./gpt_run.ts";

const STEPS = 4;
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

test("training gives the same losses with every variant of every op", async () => {
  const dpo = await dpoLosses(gpu, STEPS);
  expect(dpo.at(-1)).toBeLessThan(dpo[0]);
  const agree = async (what: string) => {
    (await gptLosses(gpu, STEPS)).forEach((loss, step) => {
      expect(Math.abs(loss - golden.nano.losses[step]), `${what}: loss ${loss} of step ${step}`).toBeLessThan(1e-4);
    });
    (await dpoLosses(gpu, STEPS)).forEach((loss, step) => {
      expect(Math.abs(loss - dpo[step]), `${what}: DPO loss ${loss} of step ${step}`).toBeLessThan(1e-4);
    });
  };
  await agree("the default choice");

  // The ops that these runs use, and every variant that fits one of their shapes.
  const names = new Map<string, Set<string>>();
  for (const { op, sizes } of gpu.used.values()) {
    const known = names.get(op.name) ?? new Set();
    for (const variant of fitting(op, sizes, gpu.traits)) known.add(variant);
    names.set(op.name, known);
  }
  expect([...names.keys()].length).toBeGreaterThan(3);
  for (const [op, variants] of names) {
    if (variants.size < 2) continue;
    for (const variant of variants) {
      gpu.choices.force(op, variant);
      await agree(`${op} by ${variant}`);
      gpu.choices.force(op, null);
    }
  }
}, 300_000);
