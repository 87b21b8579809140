/**
 * pass@k: the chance that at least one of k samples passes, estimated without bias from n >= k samples of which c
 * passed: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code").
 * Not 1 - (1 - c/n)^k, which is too low, nor 1 - C(n-k, n) / C(n, k), which is always 1.
 */

/** Estimate for one problem, in [0, 1]. Fewer samples than k is an error: no unbiased estimate exists then. */
export function passAtK(n: number, c: number, k: number): number {
  if (!(Number.isInteger(n) && Number.isInteger(c) && Number.isInteger(k) && k >= 1 && c >= 0 && c <= n)) {
    throw new Error(`Cannot compute pass@${k}: n = ${n} samples, c = ${c} passed; all must be whole and 0 <= c <= n`);
  }
  if (n < k) throw new Error(`Cannot compute pass@${k} from n = ${n} samples: at least ${k} are needed`);
  if (n - c < k) return 1;
  // The quotient of binomials as a product: no factorial that overflows, no difference of large numbers.
  let allFail = 1;
  for (let i = n - c + 1; i <= n; i++) allFail *= 1 - k / i;
  return 1 - allFail;
}

/** Samples of one problem: drawn and passed. */
export interface PassCount {
  n: number;
  c: number;
}

/** Mean over problems. Error for an empty list, and for a problem with fewer samples than k. */
export function meanPassAtK(counts: readonly PassCount[], k: number): number {
  if (counts.length === 0) throw new Error(`Cannot compute pass@${k} over no problems`);
  return counts.reduce((sum, { n, c }) => sum + passAtK(n, c, k), 0) / counts.length;
}
