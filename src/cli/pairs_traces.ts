/** What pairs need beyond verdicts, kept beside the results: agreement with siblings, and traces of single tests. */
import {
  createPool,
  description,
  groupAgreement,
  makePairs,
  type Order,
  type OrderName,
  type Pair,
  type PairOptions,
  pairRow,
  programJob,
  type ProgramResult,
  type Sample,
  shortResult,
  type TestTrace,
  traceText,
  trlRow,
} from "../mod.ts";
import { denoHost } from "../host/deno.ts";
import { inOrder } from "./in_order.ts";
import type { Judged } from "./pairs_judge.ts";
import type { Progress } from "./progress.ts";
import { openResults } from "./trace_output.ts";

type ExtraRow =
  | { kind: "trace"; sample: string; test: number; trace: TestTrace }
  | { kind: "reference"; problem: string; result: ProgramResult };

export interface Extras {
  /** The samples with their agreement, in the order given; null if interrupted. */
  agreed(judged: readonly Judged[], reference: boolean): Promise<Sample[] | null>;
  /** Traces of samples on tests; null if interrupted. */
  traces(wanted: { judged: Judged; test: number }[], progress: Progress): Promise<Map<string, TestTrace> | null>;
  close(): void;
}

const nameOf = ({ problemId, index }: Sample) => `${problemId}#${index}`;

export async function openExtras(
  given: { candidates: string; problems: string[]; results: string; workers: number },
  signal: AbortSignal,
): Promise<Extras> {
  const path = `${given.results}.extra`;
  const traces = new Map<string, TestTrace>();
  const references = new Map<string, ProgramResult>();
  // What the results are of is in the record of those; a file beside them is of the same.
  const results = await openResults(path, { use: "pairs, beside the results" }, (row) => keep(row as ExtraRow));
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: given.workers });

  function keep(row: ExtraRow): void {
    if (row.kind === "trace") traces.set(`${row.sample} ${row.test}`, row.trace);
    else references.set(row.problem, row.result);
  }

  async function run<T>(items: readonly T[], work: (item: T) => Promise<ExtraRow>, see: (done: number) => void) {
    const rows = async function* () {
      for (const [index, item] of items.entries()) yield { index, item };
    };
    let done = 0;
    const end = await inOrder(rows(), ({ item }) => work(item), 0, 2 * given.workers, signal, (row) => {
      keep(row);
      see(++done);
      return results.add(JSON.stringify(row));
    });
    return end === "done";
  }

  return {
    async agreed(judged, reference) {
      const groups = Map.groupBy(judged, ({ sample }) => sample.problemId);
      if (reference) {
        const silent = [...groups.values()].filter((group) => group.every(({ sample }) => !sample.result.passed));
        const missing = silent.map(([{ problem }]) => problem)
          .filter(({ id, canonicalSolution }) => canonicalSolution !== null && !references.has(id));
        const whole = await run([...new Set(missing)], async (problem) => {
          const job = { ...programJob(problem, problem.canonicalSolution!, "none"), streams: true };
          return { kind: "reference", problem: problem.id, result: shortResult(await pool.run(job)) };
        }, () => {});
        if (!whole) return null;
      }
      const agreements = new Map<string, number[] | null>();
      for (const group of groups.values()) {
        const known = reference ? references.get(group[0].problem.id) : undefined;
        const stand = known ? { code: group[0].problem.canonicalSolution!, result: known } : undefined;
        const answers = group.map(({ sample: { completion, result } }) => ({ code: completion, result }));
        groupAgreement(answers, stand).forEach((value, i) => agreements.set(nameOf(group[i].sample), value));
      }
      return judged.map(({ sample }) => ({ ...sample, agreement: agreements.get(nameOf(sample)) }));
    },
    async traces(wanted, progress) {
      const missing = wanted.filter(({ judged, test }) => !traces.has(`${nameOf(judged.sample)} ${test}`));
      const whole = await run(missing, async ({ judged: { sample, problem, candidate }, test }) => {
        const result = await pool.run({ ...candidate.job, trace: test });
        const text = traceText(description(problem), candidate.job.program, result);
        const trace = { test: result.tests[test]?.source ?? "loading the program", text };
        return { kind: "trace", sample: nameOf(sample), test, trace };
      }, (done) => progress.live(`${done}/${missing.length} traces`));
      return whole ? traces : null;
    },
    close() {
      results.close();
      pool.close();
    },
  };
}

/** The pairs under an order as rows in TRL's form; null if interrupted. */
export async function tracedRows(
  extras: Extras,
  judged: readonly Judged[],
  samples: readonly Sample[],
  order: OrderName | Order,
  policy: PairOptions,
  progress: Progress,
): Promise<unknown[] | null> {
  const { pairs } = makePairs(samples, order, policy);
  const of = new Map(judged.map((one) => [nameOf(one.sample), one]));
  const sides = ({ problemId, chosen, rejected }: Pair) =>
    [chosen, rejected].map((index) => of.get(`${problemId}#${index}`)!);
  // Which traces the rows ask for is found by asking for them.
  const wanted = new Map<string, { judged: Judged; test: number }>();
  const rows = (traced: (sample: Sample, test: number) => Promise<TestTrace>) =>
    Promise.all(pairs.map((pair) => {
      const [chosen, rejected] = sides(pair);
      return pairRow(pair, chosen.problem.prompt, chosen.sample, rejected.sample, traced);
    }));
  await rows((sample, test) => {
    wanted.set(`${nameOf(sample)} ${test}`, { judged: of.get(nameOf(sample))!, test });
    return Promise.resolve({ test: "", text: "" });
  });
  const traces = await extras.traces([...wanted.values()], progress);
  if (traces === null) return null;
  const name = typeof order === "string" ? order : order.name;
  const found = await rows((sample, test) => Promise.resolve(traces.get(`${nameOf(sample)} ${test}`)!));
  return found.map((row) => trlRow(row, name));
}
