/** How many tokens to decode between two readbacks. It changes when results come, never what they are. */

/** Columns of the token buffer, so the most that one readback brings. */
export const MOST_STEPS = 64;

/**
 * A readback costs `readMs`, a step `stepMs`, and a sequence that ends between two readbacks leaves its place empty for half
 * the steps on average. With K steps the loss a step is readMs / (K stepMs) + K / (2 length), least at the root below.
 */
export function stepsBetweenReads(readMs: number, stepMs: number, meanLength: number): number {
  const best = Math.sqrt(2 * readMs * meanLength / Math.max(stepMs, 1e-3));
  return Math.max(1, Math.min(MOST_STEPS, Math.round(best)));
}
