/** What a bench run leaves: suites of rows, each row named numbers with their unit as the key. Plain JSON, so runs compare. */
import { show, table } from "./units.ts";

export interface Row {
  name: string;
  /** Keyed by unit, e.g. `ms`, `GFLOP/s`, `tokens/s`. */
  values: Record<string, number>;
}

export interface Suite {
  name: string;
  /** One line: shapes, what was timed, how. */
  workload: string;
  rows: Row[];
}

export interface Report {
  adapter: string;
  command: string;
  date: string;
  runtime: string;
  cores: number;
  /** Mean number of running processes in the minute before the run, which the run itself is no part of. */
  loadBefore: number;
  note: string;
  suites: Suite[];
}

/** Other work on the machine makes every figure of a software adapter too low, so a report says so itself. */
export function loadNote(load: number, cores: number): string {
  return load > cores / 4
    ? `the machine was busy before the run began (load ${load.toFixed(1)} on ${cores} cores): figures are pessimistic`
    : `the machine was quiet before the run began (load ${load.toFixed(1)} on ${cores} cores)`;
}

/** The file of a report: figures with four digits, which is more than timing holds. */
export function formatReport(report: Report): string {
  const round = (_: string, value: unknown) => typeof value === "number" ? Number(value.toPrecision(4)) : value;
  return JSON.stringify(report, round, 2) + "\n";
}

/** Reads a stored report. Errors name the file and what is wrong with it. */
export function parseReport(text: string, name: string): Report {
  let report: Report;
  try {
    report = JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot compare with ${name}: not JSON (${(error as Error).message})`);
  }
  for (const field of ["adapter", "suites"] as const) {
    if (!report?.[field]) throw new Error(`Cannot compare with ${name}: field "${field}" is missing`);
  }
  return report;
}

/** A suite as a table; with `before`, each number that is in both is followed by its ratio now / before. */
export function formatSuite(suite: Suite, before?: Report): string {
  const columns = [...new Set(suite.rows.flatMap((row) => Object.keys(row.values)))];
  const older = before?.suites.find(({ name }) => name === suite.name);
  const lines = suite.rows.map((row) => {
    const old = older?.rows.find(({ name }) => name === row.name)?.values;
    const cells = columns.map((column) => {
      const value = row.values[column];
      if (value === undefined) return "";
      const ratio = value / (old?.[column] ?? NaN); // a kernel that counts no FLOPs has no ratio: 0 / 0
      return show(value) + (Number.isFinite(ratio) ? ` (x${ratio.toFixed(2)})` : "");
    });
    return [row.name, ...cells];
  });
  return `${suite.name}: ${suite.workload}\n${table([["", ...columns], ...lines])}`;
}
