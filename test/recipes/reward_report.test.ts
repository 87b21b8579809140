import { describe, expect, test } from "vitest";
import { uniformStream } from "../../src/model/philox.ts";
import {
  accuracyOf,
  calibrationOf,
  fitTemperature,
  normalisation,
  rewardReport,
  type ScoredPair,
  TEMPERATURES,
  wilson,
} from "../../src/recipes/reward_report.ts";

const pair = (chosen: number, rejected: number, stratum: ScoredPair["stratum"] = "pass/fail"): ScoredPair => ({
  stratum,
  chosen,
  rejected,
});

describe("Wilson's interval", () => {
  // By hand from the formula (Wilson 1927), z = 1.959964.
  test.each([
    [8, 10, 0.4901625, 0.9433178],
    [0, 10, 0, 0.2775328],
    [10, 10, 0.7224672, 1],
    [50, 100, 0.4038315, 0.5961685],
    [1, 1, 0.2065493, 1],
  ])("%d of %d", (successes, total, low, high) => {
    const interval = wilson(successes, total);
    expect(interval[0]).toBeCloseTo(low, 6);
    expect(interval[1]).toBeCloseTo(high, 6);
  });
  test("of nothing says nothing", () => expect(wilson(0, 0)).toEqual([0, 1]));
});

test("accuracy is strict and by kind of pair", () => {
  const pairs = [pair(2, 1), pair(1, 1), pair(0, 3, "fail/fail same class"), pair(3, 0, "fail/fail same class")];
  expect(accuracyOf(pairs)).toMatchObject({ pairs: 4, correct: 2, accuracy: 0.5 });
  const { strata, all } = rewardReport(pairs, []);
  expect(all.correct).toBe(2);
  expect(strata["pass/fail"]).toMatchObject({ pairs: 2, correct: 1, accuracy: 0.5 });
  expect(strata["fail/fail same class"]).toMatchObject({ pairs: 2, correct: 1 });
  expect(strata["fail/fail different class"]).toMatchObject({ pairs: 0, correct: 0, low: 0, high: 1 });
  expect(() => rewardReport([], pairs)).toThrow("Cannot measure a reward model: no held-out pairs");
});

describe("calibration", () => {
  test("four pairs by hand", () => {
    // Gaps 2, -2, 0, 4: confidences 0.8808 (one right, one wrong), 0.5 (a tie), 0.9820.
    const { bins, error, loss } = calibrationOf([pair(2, 0), pair(0, 2), pair(1, 1), pair(4, 0)], 1);
    expect(bins.map(({ pairs }) => pairs)).toEqual([1, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
    expect(bins[7]).toMatchObject({ accuracy: 0.5 });
    expect(bins[7].confidence).toBeCloseTo(0.8807971, 6);
    expect(bins[1]).toMatchObject({ confidence: null, accuracy: null });
    expect(bins[0]).toMatchObject({ low: 0.5, confidence: 0.5, accuracy: 0.5 });
    expect(error).toBeCloseTo((0 + 2 * (0.8807971 - 0.5) + (1 - 0.9820138)) / 4, 6);
    expect(loss).toBeCloseTo((0.1269280 + 2.1269280 + Math.LN2 + 0.0181499) / 4, 6);
  });

  /** Gaps of a model whose chances are right once divided by `temperature`; labels are drawn by these chances. */
  function population(temperature: number, count: number): ScoredPair[] {
    const uniform = uniformStream(3, 0);
    return Array.from({ length: count }, () => {
      const gap = (uniform() * 2 - 1) * 3;
      const right = uniform() < 1 / (1 + Math.exp(-gap));
      return right ? pair(gap * temperature, 0) : pair(0, gap * temperature);
    });
  }

  test("a fitted temperature finds the one that the chances were made with, and takes the error away", () => {
    for (const temperature of [0.5, 1, 3]) {
      const pairs = population(temperature, 20_000);
      expect(fitTemperature(pairs) / temperature).toBeCloseTo(1, 1);
      const { calibrated, calibration } = rewardReport(pairs, pairs);
      expect(calibrated.error).toBeLessThan(0.02);
      if (temperature !== 1) expect(calibration.error).toBeGreaterThan(0.05);
      expect(calibrated.loss).toBeLessThanOrEqual(calibration.loss + 1e-9);
    }
  });

  test("pairs that are all right or all wrong end at the bounds, none leave the chances as they are", () => {
    expect(fitTemperature([pair(1, 0), pair(3, 1)])).toBeCloseTo(TEMPERATURES[0], 6);
    expect(fitTemperature([pair(0, 1)])).toBeCloseTo(TEMPERATURES[1], 6);
    expect(fitTemperature([])).toBe(1);
  });
});

test("normalised scores of the reference policy have mean 0 and deviation 1", () => {
  const scores = [3, -1, 4, 1, -5, 9, 2, 6];
  const { gain, bias } = normalisation(scores);
  const scaled = scores.map((score) => gain * score + bias);
  const mean = scaled.reduce((sum, value) => sum + value, 0) / scaled.length;
  expect(mean).toBeCloseTo(0, 12);
  expect(scaled.reduce((sum, value) => sum + value ** 2, 0) / scaled.length).toBeCloseTo(1, 12);
  expect(normalisation([2, 2])).toEqual({ gain: 1, bias: -2 });
  expect(() => normalisation([])).toThrow("Cannot normalise rewards: no samples of the reference policy");
});
