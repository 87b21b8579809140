import { describe, expect, test } from "vitest";
import { meanInterval, pairedInterval, quantile } from "../../src/eval/statistics.ts";

describe("bootstrap intervals", () => {
  const sample = (n: number, ones: number) => Array.from({ length: n }, (_, i) => i < ones ? 1 : 0);

  test("of a share agree with the normal approximation where that holds", () => {
    const { value, low, high } = meanInterval(sample(400, 120), { seed: 1 });
    const half = 1.96 * Math.sqrt(0.3 * 0.7 / 400);
    expect(value).toBeCloseTo(0.3, 12);
    expect(Math.abs(low - (0.3 - half))).toBeLessThan(0.005);
    expect(Math.abs(high - (0.3 + half))).toBeLessThan(0.005);
  });

  test("cover the true mean about 95 times in 100", () => {
    let covered = 0;
    const random = chance(9);
    for (let round = 0; round < 400; round++) {
      const values = Array.from({ length: 60 }, () => random() < 0.4 ? 1 : 0);
      const { low, high } = meanInterval(values, { seed: round, draws: 400 });
      if (low <= 0.4 && 0.4 <= high) covered++;
    }
    expect(covered / 400).toBeGreaterThan(0.91);
    expect(covered / 400).toBeLessThan(0.98);
  });

  test("are the same for the same seed and differ a little for another", () => {
    const values = [0.1, 0.5, 0.2, 0.9, 0.4, 0.4, 0.8];
    expect(meanInterval(values, { seed: 7 })).toEqual(meanInterval(values, { seed: 7 }));
    const other = meanInterval(values, { seed: 8 });
    expect(other.low).not.toBe(meanInterval(values, { seed: 7 }).low);
    expect(Math.abs(other.low - meanInterval(values, { seed: 7 }).low)).toBeLessThan(0.02);
  });

  test("shrink to a point when nothing varies", () => {
    const { value, low, high } = meanInterval([0.3, 0.3, 0.3], { seed: 1 });
    for (const x of [value, low, high]) expect(x).toBeCloseTo(0.3, 12);
  });

  test("of a paired change are narrower than the two alone suggest, since problems keep their difficulty", () => {
    const before = Array.from({ length: 100 }, (_, i) => i / 100);
    const after = before.map((x, i) => x + (i % 2 ? 0.05 : 0.03));
    const change = pairedInterval(before, after, { seed: 3 });
    expect(change.value).toBeCloseTo(0.04, 12);
    expect(change.low).toBeGreaterThan(0.037);
    expect(change.high).toBeLessThan(0.043);
    const alone = meanInterval(after, { seed: 3 });
    expect(alone.high - alone.low).toBeGreaterThan(0.1);
  });

  test("drawn by families are wider when problems of a family are copies", () => {
    const values = Array.from(
      { length: 100 },
      (_, i) => i < 50 ? Math.floor(i / 10) % 2 : Math.floor(i / 10) % 3 ? 0 : 1,
    );
    const groups = values.map((_, i) => `family ${Math.floor(i / 10)}`);
    const single = meanInterval(values, { seed: 2 });
    const grouped = meanInterval(values, { seed: 2, groups });
    expect(grouped.value).toBe(single.value);
    expect(grouped.high - grouped.low).toBeGreaterThan(2.5 * (single.high - single.low));
  });

  test("refuse empty lists and lists that do not belong together", () => {
    expect(() => meanInterval([], { seed: 1 })).toThrow("over no values");
    expect(() => pairedInterval([1], [1, 2], { seed: 1 })).toThrow("1 values before, but 2 after");
    expect(() => meanInterval([1], { seed: 1, groups: [] })).toThrow("1 values, but 0 groups");
  });
});

test("quantiles are linear between neighbours", () => {
  expect([0, 0.25, 0.5, 1].map((share) => quantile([1, 2, 4], share))).toEqual([1, 1.5, 2, 4]);
  expect(quantile([5], 0.3)).toBe(5);
});

function chance(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
