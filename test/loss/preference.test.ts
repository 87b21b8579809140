import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { KTO_CHECKS, PREFERENCE_CHECKS, runPairs } from "./preference_golden.ts";
import closedForm from "../golden/closed_form.json" with { type: "json" };

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

describe("golden numbers: loss, both slopes, and the loss at the reference", () => {
  for (const [name, check] of Object.entries({ ...PREFERENCE_CHECKS, ...KTO_CHECKS })) {
    test(name, async () => expect(await check(gpu)).toBeLessThan(1));
  }
});

describe("where losses are lowest", () => {
  for (const labelSmoothing of [0.1, 0.2]) {
    test(`cDPO with smoothing ${labelSmoothing} has its floor at beta d = log((1 - e) / e)`, async () => {
      const { betaDelta, loss } = closedForm[`cdpo_floor eps=${labelSmoothing as 0.1 | 0.2}`];
      const got = await runPairs(gpu, [betaDelta, 0], [0, 0], { loss: "sigmoid", beta: 1, labelSmoothing });
      expect(got.loss).toBeCloseTo(loss, 6);
      for (const slope of got.gradient) expect(Math.abs(slope)).toBeLessThan(1e-6);
      for (const beside of [betaDelta - 0.1, betaDelta + 0.1]) {
        const other = await runPairs(gpu, [beside, 0], [0, 0], { loss: "sigmoid", beta: 1, labelSmoothing });
        expect(other.loss).toBeGreaterThan(got.loss);
      }
    });
  }

  test("IPO ends at a lead of 1 / (2 beta) with loss 0", async () => {
    const { Delta, loss } = closedForm["ipo_opt beta=.1"];
    const got = await runPairs(gpu, [Delta, 0], [0, 0], { loss: "ipo-sum" });
    expect(got.loss).toBeCloseTo(loss, 6);
    for (const slope of got.gradient) expect(Math.abs(slope)).toBeLessThan(1e-5);
  });
});
