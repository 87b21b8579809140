/** What a person reads of a run: its progress and its summary. */
import type { RunEvent, RunReport } from "../mod.ts";
import { memoryLine, packingLine } from "./memory.ts";
import { duration, type Progress } from "./progress.ts";

export function show(event: RunEvent, progress: Progress): void {
  if (event.type === "stage") {
    const time = event.seconds === null ? "" : `  ${duration(event.seconds)}`;
    if (event.seconds === null) progress.live(`${event.name}: ${event.detail}`);
    else progress.log(`${event.name}: ${event.detail}${time}`);
  } else if (event.type === "memory") progress.log(memoryLine(event.prediction));
  else if (event.type === "packing") progress.log(packingLine(event));
  else if (event.type === "work") progress.live(`${event.stage}: ${event.done}/${event.total} ${event.what}`);
  else if (event.type === "progress") {
    const { done, total, resumed, tokens, seconds } = event;
    const fresh = done - resumed;
    const left = fresh > 0 && done < total ? `  ${duration(seconds / fresh * (total - done))} left` : "";
    progress.live(
      `${event.stage}: ${done}/${total} programs  ${(tokens / Math.max(seconds, 1e-3)).toFixed(0)} tokens/s${left}`,
    );
  } else if (event.type === "step") {
    progress.live(
      `${event.stage}: step ${event.step}/${event.steps}  ${figures(event.metrics)}  ` +
        `${event.tokensPerSecond.toFixed(0)} tokens/s  ${duration(event.secondsLeft)} left`,
    );
  } else if (event.type === "halted") progress.log(`${event.stage}: stopped by the monitor: ${event.reason}`);
}

/** The few numbers that tell how a training goes, those that its metrics have. */
const FIGURES: [metric: string, label: string, digits: number][] = [
  ["loss", "loss", 4],
  ["rewards/margins", "margin", 3],
  ["rewards/accuracies", "accuracy", 2],
  ["accuracy", "accuracy", 2],
  ["mean_token_accuracy", "token accuracy", 2],
  ["env/pass_rate", "pass", 3],
  ["objective/scores", "score", 3],
  ["objective/kl", "KL", 3],
];

function figures(metrics: Record<string, number>): string {
  return FIGURES.filter(([name]) => name in metrics).slice(0, 4)
    .map(([name, label, digits]) => `${label} ${metrics[name].toFixed(digits)}`).join("  ");
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

export function finish(report: RunReport, dir: string, json: boolean, progress: Progress): void {
  const { before, after, comparison, pairs, timing } = report;
  const lines = [""];
  if (before) {
    lines.push(
      `${before.problems} problems (${report.data.evalOn}), ${before.samplesPerProblem} samples each, seed ${report.seed}:`,
    );
  }
  if (before && after && comparison) {
    for (const k of Object.keys(before.passAt)) {
      const { value, low, high } = comparison.passAt[k];
      lines.push(
        `  pass@${k.padEnd(3)} ${percent(before.passAt[k].value).padStart(7)} -> ` +
          `${percent(after.passAt[k].value).padStart(7)}   change ${signed(value)} [${signed(low)}, ${signed(high)}]`,
      );
    }
    lines.push(`  before: ${mix(before)}`, `  after:  ${mix(after)}`);
  } else if (before) {
    for (const [k, { value }] of Object.entries(before.passAt)) lines.push(`  pass@${k.padEnd(3)} ${percent(value)}`);
    lines.push(`  ${mix(before)}`);
  }
  for (const table of report.tables) lines.push("", ...tableLines(table));
  lines.push(
    `  ${pairs ? `${pairs.total} pairs; ` : ""}${duration(timing.totalSeconds)} on ${report.adapter}`,
    `  ${dir}/report.html`,
  );
  progress.log(lines.join("\n"));
  if (!json) return;
  const side = (evaluation?: Evaluation) =>
    evaluation && {
      ...Object.fromEntries(Object.entries(evaluation.passAt).map(([k, { value }]) => [`pass@${k}`, value])),
      outcomes: evaluation.outcomes,
    };
  console.log(JSON.stringify({
    dir,
    recipe: report.recipe,
    adapter: report.adapter,
    seed: report.seed,
    data: report.data,
    before: side(before),
    after: side(after),
    change: comparison?.passAt,
    pairs: pairs?.total ?? null,
    tables: report.tables,
    seconds: timing.totalSeconds,
    stages: timing.stages,
    tokensPerSecond: timing.tokensPerSecond,
  }));
}

type Evaluation = NonNullable<RunReport["before"]>;

function mix({ outcomes }: Evaluation): string {
  const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  return Object.entries(outcomes).filter(([, count]) => count > 0)
    .map(([kind, count]) => `${kind} ${percent(count / total)}`).join(", ");
}

/** Columns as wide as their widest cell; numbers at the right. */
function tableLines({ title, columns, rows, note }: RunReport["tables"][number]): string[] {
  const text = (cell: string | number | null) =>
    cell === null ? "-" : typeof cell === "number" ? String(Number(cell.toPrecision(4))) : cell;
  const cells = [columns, ...rows.map((row) => row.map(text))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const line = (row: readonly string[], r: number) =>
    "  " +
    row.map((cell, i) =>
      r > 0 && typeof rows[r - 1][i] === "number" ? cell.padStart(widths[i]) : cell.padEnd(widths[i])
    )
      .join("  ").trimEnd();
  return [`  ${title}`, ...cells.map(line), ...note ? [`  ${note}`] : []];
}

function signed(change: number): string {
  return `${change >= 0 ? "+" : "-"}${(100 * Math.abs(change)).toFixed(1)}`;
}
