/** Learning-rate schedules: step (from 1) -> factor of the peak. */
export type Schedule = "constant" | "linear" | "cosine";

/**
 * Linear warm-up over `warmup` steps, then the peak at the next one and constant, linear towards zero, or cosine towards a tenth of
 * the peak, which a step behind the last would reach: no step of a run learns nothing.
 */
export function learningRate(peak: number, schedule: Schedule, step: number, steps: number, warmup: number): number {
  if (step <= warmup) return peak * step / warmup;
  const progress = (step - warmup - 1) / Math.max(1, steps - warmup);
  if (schedule === "linear") return peak * (1 - progress);
  if (schedule === "cosine") return peak * (0.1 + 0.45 * (1 + Math.cos(Math.PI * progress)));
  return peak;
}
