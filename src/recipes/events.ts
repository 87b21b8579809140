/** What recipes yield. The command line prints them, the page draws them, tests compare them. */

export interface StepEvent {
  type: "step";
  /** Optimizer steps done, and in all. */
  step: number;
  steps: number;
  /** Under TRL's names; the same for the same seed and adapter. */
  metrics: Record<string, number>;
  /** Depend on the machine. */
  tokensPerSecond: number;
  secondsLeft: number;
}

export interface CheckpointEvent {
  type: "checkpoint";
  step: number;
  path: string;
}

export interface DoneEvent {
  type: "done" | "stopped";
  step: number;
}

export type TrainingEvent = StepEvent | CheckpointEvent | DoneEvent;

/** Rates and time left from wall-clock time since the start of this run, which may have resumed at `first`. */
export function progressMeter(
  first: { step: number; tokens: number },
  steps: number,
): (step: number, tokens: number) => { tokensPerSecond: number; secondsLeft: number } {
  const start = performance.now();
  return (step, tokens) => {
    const seconds = Math.max(1e-9, (performance.now() - start) / 1000);
    return {
      tokensPerSecond: (tokens - first.tokens) / seconds,
      secondsLeft: seconds / Math.max(1, step - first.step) * (steps - step),
    };
  };
}
