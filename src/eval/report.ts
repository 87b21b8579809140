/**
 * The report of a run: what `report.json` holds, and one HTML page of it that needs no network and no script.
 *
 * Everything outside `timing` depends on the command, the seed and the adapter alone: two runs of one command give the
 * same report but for `timing`.
 */
import type { PairCounts } from "../data/pairs.ts";
import { Markup, markup } from "./html.ts";
import type { Transition } from "./outcomes.ts";
import {
  exampleSection,
  findingSection,
  headline,
  outcomeSection,
  pairSection,
  runSection,
  tableSection,
  timingSection,
  trainingSection,
} from "./report_sections.ts";
import { reportStyle } from "./report_style.ts";
import type { Comparison, Evaluation } from "./summary.ts";

export interface RunReport {
  /** Of this format. */
  version: 2;
  /** The recipe by name, as `--recipe` knows it. */
  recipe: string;
  command: string;
  seed: number;
  /** As the driver names it. */
  adapter: string;
  model: { dir: string; parameters: number };
  data: {
    name: string;
    /** Problems trained on, and problems evaluated on before and after. */
    trainProblems: number;
    evalProblems: number;
    /** What the evaluated problems are: "held-out families", "the same problems". */
    evalOn: string;
  };
  /** The resolved settings of the run. */
  options: Record<string, unknown>;
  /** Of a run that evaluates: the base model, what was trained, and one against the other. */
  before?: Evaluation;
  after?: Evaluation;
  comparison?: Comparison;
  transition?: Transition;
  pairs?: { total: number; order: string; counts: PairCounts };
  /** Stages that trained something, in their order: steps (iterations, on-policy) and metric rows under TRL's names. */
  trainings: { stage: string; steps: number; metrics: MetricRow[] }[];
  /** What else stages found, as tables: accuracy of a reward model by stratum, monitors, repairs. */
  tables: ReportTable[];
  example?: PairExample;
  /** What a reader must know: limits, surprises. */
  notes: string[];
  timing: {
    /** ISO 8601. */
    startedAt: string;
    totalSeconds: number;
    stages: { name: string; seconds: number; detail: string }[];
    /** By stage: sampling, training. */
    tokensPerSecond: Record<string, number>;
  };
}

/** Texts stand as they are; numbers are shortened. */
export interface ReportTable {
  title: string;
  columns: string[];
  rows: (string | number | null)[][];
  note?: string;
}

export type MetricRow = { step: number } & Record<string, number>;

/** One pair with the traces of the same test: what the training saw. */
export interface PairExample {
  problemId: string;
  /** The task in words. */
  description: string;
  reason: string;
  /** The call, as text. */
  test: string;
  chosen: PairSide;
  rejected: PairSide;
}

export interface PairSide {
  code: string;
  verdict: string;
  testsPassed: number;
  testsTotal: number;
  /** In the method's text form. */
  trace: string;
}

/** The part that must be the same whenever the same command runs with the same seed on the same adapter. */
export function withoutTiming(report: RunReport): Omit<RunReport, "timing"> {
  const { timing: _, ...stable } = report;
  return stable;
}

/** The whole page. Everything from the run is escaped; the page may load and run nothing (its own CSP says so). */
export function reportHtml(report: RunReport): string {
  const page = markup`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>Etalon run: ${report.data.name}, seed ${report.seed}</title>
        <style>${new Markup(reportStyle)}</style>
      </head>
      <body>
        <main>
    <h1>Etalon run report</h1>
    <p class="sub">${report.model.dir} on ${report.data.name}, recipe <b>${report.recipe}</b>${
    report.pairs && markup`, preference order <b>${report.pairs.order}</b>`
  }, seed ${report.seed}</p>
    ${headline(report)}
    ${outcomeSection(report)}
    ${report.trainings.map(trainingSection)}
    ${report.tables.map(findingSection)}
    ${pairSection(report)}
    ${exampleSection(report)}
    ${tableSection(report)}
    ${timingSection(report)}
    ${runSection(report)}
        </main>
      </body>
    </html>
  `;
  return page.text;
}
