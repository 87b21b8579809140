import { describe, expect, test } from "vitest";
import { meanPassAtK, passAtK } from "../../src/eval/passk.ts";

interface Golden {
  L_passk: { rows: [number, number, number, number, number][] };
  L_unbiased: { n: number; k: number; p: number; E_unbiased: number; true: number }[];
}
const golden: Golden = JSON.parse(Deno.readTextFileSync("test/golden/passk.json"));

describe("pass@k", () => {
  test.each(golden.L_passk.rows)("of n=%i samples, c=%i passed, k=%i is %d", (n, c, k, value) => {
    expect(passAtK(n, c, k)).toBeCloseTo(value, 12);
  });

  test("equals counting all choices of k samples, for every n up to 8", () => {
    for (let n = 1; n <= 8; n++) {
      for (let c = 0; c <= n; c++) {
        for (let k = 1; k <= n; k++) {
          let subsets = 0;
          let lucky = 0;
          for (let subset = 0; subset < 1 << n; subset++) {
            if (bits(subset) !== k) continue;
            subsets++;
            if (subset & (1 << c) - 1) lucky++; // samples 0 to c-1 passed
          }
          expect(passAtK(n, c, k)).toBeCloseTo(lucky / subsets, 12);
        }
      }
    }
  });

  test("grows with c and with k; pass@1 is c/n, pass@n is whether anything passed", () => {
    for (let c = 0; c <= 20; c++) {
      expect(passAtK(20, c, 1)).toBeCloseTo(c / 20, 12);
      expect(passAtK(20, c, 20)).toBe(c > 0 ? 1 : 0);
      for (let k = 2; k <= 20; k++) expect(passAtK(20, c, k)).toBeGreaterThanOrEqual(passAtK(20, c, k - 1));
      for (let k = 1; c > 0 && k <= 20; k++) {
        expect(passAtK(20, c, k)).toBeGreaterThanOrEqual(passAtK(20, c - 1, k));
      }
    }
  });

  test.each(golden.L_unbiased)(
    "is unbiased: over c ~ Bin($n, $p), k=$k, its mean is 1-(1-p)^k",
    ({ n, k, p, ...row }) => {
      let mean = 0;
      let chance = (1 - p) ** n; // P(c = 0), then by ratio
      for (let c = 0; c <= n; c++) {
        mean += chance * passAtK(n, c, k);
        chance *= (n - c) / (c + 1) * p / (1 - p);
      }
      expect(mean).toBeCloseTo(row.true, 10);
      expect(mean).toBeCloseTo(row.E_unbiased, 10);
    },
  );

  test("refuses what it cannot estimate", () => {
    expect(() => passAtK(5, 2, 10)).toThrow("Cannot compute pass@10 from n = 5 samples: at least 10 are needed");
    expect(() => passAtK(0, 0, 1)).toThrow("from n = 0 samples");
    for (const [n, c, k] of [[5, 6, 1], [5, -1, 1], [5, 2, 0], [5, 1.5, 1]]) {
      expect(() => passAtK(n, c, k)).toThrow("all must be whole and 0 <= c <= n");
    }
  });

  test("over problems is the mean of the estimates, not the estimate of the pooled samples", () => {
    const counts = [{ n: 10, c: 10 }, { n: 10, c: 0 }];
    expect(meanPassAtK(counts, 5)).toBe(0.5);
    expect(passAtK(20, 10, 5)).toBeGreaterThan(0.98);
    expect(() => meanPassAtK([], 1)).toThrow("Cannot compute pass@1 over no problems");
  });
});

function bits(value: number): number {
  let count = 0;
  for (; value; value &= value - 1) count++;
  return count;
}
