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

/** Rates and time left from wall-clock time since the start of this run (a resumed run starts anew). */
export function progressMeter(firstStep: number, steps: number): (step: number, tokens: number) => {
  tokensPerSecond: number;
  secondsLeft: number;
} {
  const start = performance.now();
  let all = 0;
  return (step, tokens) => {
    all += tokens;
    const seconds = Math.max(1e-9, (performance.now() - start) / 1000);
    return { tokensPerSecond: all / seconds, secondsLeft: seconds / Math.max(1, step - firstStep) * (steps - step) };
  };
}
