/** What a person reads of a run: its progress and its summary. */
import type { PipelineEvent, RunReport } from "../mod.ts";
import { memoryLine, packingLine } from "./memory.ts";
import { duration, type Progress } from "./progress.ts";

export function show(event: PipelineEvent, progress: Progress): void {
  if (event.type === "stage") {
    const time = event.seconds === null ? "" : `  ${duration(event.seconds)}`;
    if (event.seconds === null) progress.live(`${event.name}: ${event.detail}`);
    else progress.log(`${event.name}: ${event.detail}${time}`);
  } else if (event.type === "memory") progress.log(memoryLine(event.prediction));
  else if (event.type === "packing") progress.log(packingLine(event));
  else if (event.type === "progress") {
    const { done, total, resumed, tokens, seconds } = event;
    const fresh = done - resumed;
    const left = fresh > 0 && done < total ? `  ${duration(seconds / fresh * (total - done))} left` : "";
    progress.live(
      `${event.stage}: ${done}/${total} programs  ${(tokens / Math.max(seconds, 1e-3)).toFixed(0)} tokens/s${left}`,
    );
  } else if (event.type === "step") {
    const { loss } = event.metrics;
    progress.live(
      `train: step ${event.step}/${event.steps}  loss ${loss.toFixed(4)}  ` +
        `margin ${event.metrics["rewards/margins"].toFixed(3)}  accuracy ${
          event.metrics["rewards/accuracies"].toFixed(2)
        }  ` +
        `${event.tokensPerSecond.toFixed(0)} tokens/s  ${duration(event.secondsLeft)} left`,
    );
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

export function finish(report: RunReport, dir: string, json: boolean, progress: Progress): void {
  const { before, after, comparison } = report;
  const lines = Object.keys(before.passAt).map((k) => {
    const { value, low, high } = comparison.passAt[k];
    return `  pass@${k.padEnd(3)} ${percent(before.passAt[k].value).padStart(7)} -> ` +
      `${percent(after.passAt[k].value).padStart(7)}   change ${signed(value)} [${signed(low)}, ${signed(high)}]`;
  });
  const mix = (evaluation: typeof before) => {
    const total = Object.values(evaluation.outcomes).reduce((sum, count) => sum + count, 0);
    return Object.entries(evaluation.outcomes).filter(([, count]) => count > 0)
      .map(([kind, count]) => `${kind} ${percent(count / total)}`).join(", ");
  };
  progress.log(
    [
      "",
      `${before.problems} problems (${report.data.evalOn}), ${before.samplesPerProblem} samples each, seed ${report.seed}:`,
      ...lines,
      `  before: ${mix(before)}`,
      `  after:  ${mix(after)}`,
      `  ${report.pairs ? `${report.pairs.total} pairs; ` : ""}${
        duration(report.timing.totalSeconds)
      } on ${report.adapter}`,
      `  ${dir}/report.html`,
    ].join("\n"),
  );
  if (!json) return;
  const values = (evaluation: typeof before) =>
    Object.fromEntries(Object.entries(evaluation.passAt).map(([k, { value }]) => [`pass@${k}`, value]));
  console.log(JSON.stringify({
    dir,
    adapter: report.adapter,
    seed: report.seed,
    data: report.data,
    before: { ...values(before), outcomes: before.outcomes },
    after: { ...values(after), outcomes: after.outcomes },
    change: comparison.passAt,
    recipe: report.recipe,
    pairs: report.pairs?.total ?? null,
    seconds: report.timing.totalSeconds,
    stages: report.timing.stages,
    tokensPerSecond: report.timing.tokensPerSecond,
  }));
}

function signed(change: number): string {
  return `${change >= 0 ? "+" : "-"}${(100 * Math.abs(change)).toFixed(1)}`;
}
