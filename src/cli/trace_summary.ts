/** Counts over a set of judged candidates, for the live line and for the table at the end. */
import type { Verdict } from "../mod.ts";
import { duration } from "./progress.ts";

export interface Tally {
  total: number;
  done: number;
  /** Of `done`, those that an earlier run left. */
  resumed: number;
  verdicts: Map<Verdict, number>;
  /** Samples drawn and passed; a row that stands for several identical samples counts as often. */
  problems: Map<string, { n: number; c: number }>;
}

export interface Tallied {
  problem_id: string;
  count: number;
  verdict: Verdict;
  passed: boolean;
  infra: boolean;
}

export function newTally(total: number): Tally {
  return { total, done: 0, resumed: 0, verdicts: new Map(), problems: new Map() };
}

export function addRow(tally: Tally, { problem_id, count, verdict, passed, infra }: Tallied): void {
  tally.done++;
  tally.verdicts.set(verdict, (tally.verdicts.get(verdict) ?? 0) + 1);
  if (infra) return; // our own failure says nothing about the program
  const { n, c } = tally.problems.get(problem_id) ?? { n: 0, c: 0 };
  tally.problems.set(problem_id, { n: n + count, c: c + (passed ? count : 0) });
}

const byCount = ({ verdicts }: Tally) => [...verdicts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));

/** `1200/12129 candidates  61/s  3 min 01 s left  pass 512, wrong_answer 300` */
export function liveText(tally: Tally, seconds: number): string {
  const { total, done, resumed } = tally;
  const rate = (done - resumed) / Math.max(seconds, 1e-3);
  const left = rate > 0 && done < total ? `  ${duration((total - done) / rate)} left` : "";
  const counts = byCount(tally).map(([verdict, count]) => `${verdict} ${count}`).join(", ");
  return `${done}/${total} candidates  ${rate.toFixed(rate < 10 ? 1 : 0)}/s${left}  ${counts}`;
}

/** The table at the end. */
export function summaryText(tally: Tally, seconds: number): string {
  const { total, done, resumed, problems } = tally;
  const rows = byCount(tally).map(([verdict, count]) =>
    `  ${verdict.padEnd(18)} ${String(count).padStart(8)}  ${(100 * count / done).toFixed(1).padStart(5)} %`
  );
  const fresh = done - resumed;
  const pace = fresh > 0 ? `: ${fresh} in ${duration(seconds)}, ${(fresh / seconds).toFixed(1)}/s` : "";
  const lines = [`${done} of ${total} candidates judged${pace}`, ...rows];
  if (problems.size > 0) {
    const sum = [...problems.values()].reduce((total, { n, c }) => total + c / n, 0);
    const count = `${problems.size} problem${problems.size === 1 ? "" : "s"}`;
    lines.push(`  pass@1 ${(100 * sum / problems.size).toFixed(2)} %, mean over ${count}`);
  }
  return lines.join("\n");
}
