/**
 * Do traces accuse the right line? `deno run -A bench/credit.ts [--per 3] [--micro 80] [--json FILE]`
 *
 * Failing programs with a passing sibling of the same problem: real model outputs on HumanEval and MBPP (shared/data), and samples of
 * models/micro. The truth is an experiment: hunks of the sibling are put in one at a time, and the lines of those with which more tests
 * pass (of the ones that repair the program: the lines that had to be exchanged) are the causal ones (src/trace/counterfactual.ts). A mask is right with the share of its top lines that are causal: where several
 * lines tie for the top, with their mean, so that a mask is not rewarded for the order in which lines stand.
 */
import { Command } from "commander";
import { parseCandidates } from "../src/data/candidates.ts";
import { loadProblems } from "../src/data/datasets.ts";
import { microProblems } from "../src/data/micro/micro.ts";
import type { Sample } from "../src/data/pairs.ts";
import { type Problem, programJob, programText } from "../src/data/problem.ts";
import { loadTokenizer } from "../src/data/tokenizer.ts";
import { meanInterval } from "../src/eval/statistics.ts";
import { denoHost } from "../src/host/deno.ts";
import { createGenerator } from "../src/model/generate.ts";
import { shuffled, uniformStream } from "../src/model/philox.ts";
import { openGpu } from "../src/plan/mod.ts";
import { loadModel } from "../src/recipes/checkpoint.ts";
import { cachedJudge, repairSample, siblingPairs } from "../src/recipes/counterfactual.ts";
import { ACCUSERS, statementCredit, traceFailure } from "../src/recipes/failure.ts";
import { sampleTraced } from "../src/recipes/rollout.ts";
import { codeTokens, editDistance } from "../src/trace/code_tokens.ts";
import { shareOf } from "../src/trace/counterfactual.ts";
import { differingLines, splitLines } from "../src/trace/line_diff.ts";
import { createPool, type Pool } from "../src/trace/pool.ts";

/** `div in diff`: of the lines that differ from the sibling, those the mask accuses most; what is it worth beside `diff` alone? */
const MASKS = [...ACCUSERS, "diff", "div in diff", "slice in diff", "random-line"] as const;

/** One failing program, measured. */
interface Row {
  set: string;
  problem: string;
  /** The outcome of the first failing test, or the stage it did not get past. */
  outcome: string;
  /** Lines of code behind the prompt, and how many of them are causal. */
  lines: number;
  causal: number;
  hunks: number;
  /** Hunks of a smallest repair; null: none was found. */
  minimal: number | null;
  /** How many hunks repair it alone. */
  single: number;
  /** Hunks after which more tests pass, though not all. */
  helping: number;
  /** Lines exchanged in the smallest repair found. */
  exchanged: number | null;
  trials: number;
  /** Share of the top lines that are causal; null: the mask selects nothing. */
  right: Record<typeof MASKS[number], number | null>;
}

async function measure(pool: Pool, set: string, problem: Problem, loser: Sample, winner: Sample, group: Sample[]) {
  const program = programText(problem, loser.completion);
  const found = await repairSample(cachedJudge(pool, problem, group), problem, loser, winner);
  const failure = await traceFailure(pool, problem, loser, winner);
  const own = splitLines(program);
  const first = problem.codeMode === "completion" ? splitLines(problem.prompt).length - 1 : 0;
  const code = own.flatMap((line, i) => i >= first && /^\s*[^\s#]/.test(line) ? [i + 1] : []);
  const causal = new Set(found.lines.map(([line]) => line));
  const topShare = (weights: Map<number, number>): number | null => {
    const most = Math.max(0, ...weights.values());
    if (most === 0) return null;
    const top = code.filter((line) => weights.get(line) === most);
    return top.length === 0 ? 0 : top.filter((line) => causal.has(line)).length / top.length;
  };
  const right = {} as Row["right"];
  const other = splitLines(programText(problem, winner.completion));
  const differing = differingLines(own, other);
  for (const accuser of ACCUSERS) {
    const credit = await statementCredit(accuser, pool, failure);
    const weights = new Map<number, number>();
    failure.table.statements.forEach(({ lines }, statement) =>
      lines.forEach((line) => weights.set(line, Math.max(weights.get(line) ?? 0, credit[statement])))
    );
    right[accuser] = topShare(weights);
    if (accuser === "div" || accuser === "slice") {
      right[`${accuser} in diff`] = topShare(new Map(differing.map((line) => [line, weights.get(line) ?? 0])));
    }
  }
  right.diff = topShare(new Map(differing.map((line) => [line, 1])));
  right["random-line"] = topShare(new Map(code.map((line) => [line, 1])));
  const { gains, minimal, exchanged, hunks, trials } = found.repair;
  const alone = gains.filter((gain) => gain !== null && gain + shareOf(loser.result) > 1 - 1e-9).length;
  const { result } = loser;
  const row: Row = {
    set,
    problem: problem.id,
    outcome: result.stage === "run" ? result.tests.find((test) => test.outcome !== "PASS")!.outcome : result.stage,
    lines: code.length,
    causal: code.filter((line) => causal.has(line)).length,
    hunks: hunks.length,
    minimal: minimal?.length ?? null,
    single: alone,
    helping: gains.filter((gain) => gain !== null && gain > 0).length - alone,
    exchanged: exchanged?.length ?? null,
    trials,
    right,
  };
  return row;
}

/** Failing and passing candidates of every problem; of each problem `per` failing ones, drawn by seed. */
async function realRows(pool: Pool, data: string, per: number, done: (row: Row) => void): Promise<void> {
  const host = denoHost();
  const rows = (await Promise.all(["humaneval", "mbpp"].map((name) => loadProblems(host, `${data}${name}.jsonl`))))
    .flat();
  const problems = new Map(rows.map((problem) => [problem.id, problem]));
  const file = await host.gunzip(await host.readBytes(`${data}candidates.jsonl.gz`));
  const candidates = parseCandidates(new TextDecoder().decode(file), "candidates.jsonl.gz")
    .filter(({ problemId, codeMode }) => problems.has(problemId) && codeMode !== "stdio-program");
  const groups = Map.groupBy(candidates, ({ problemId, codeMode }) => `${problemId} ${codeMode}`);
  await Promise.all([...groups.values()].map(async (group, number) => {
    const { problemId, codeMode } = group[0];
    const problem: Problem = { ...problems.get(problemId)!, codeMode: codeMode as Problem["codeMode"] };
    const passing = group.filter(({ measured }) => measured === "pass");
    const failing = group.filter(({ measured }) => !["pass", "timeout", "killed"].includes(measured ?? "killed"));
    if (passing.length === 0) return;
    const sample = async (code: string, index: number): Promise<Sample> => {
      const result = await pool.run(programJob(problem, code, "none"));
      return { problemId, index, completion: code, tokens: [], finished: true, result };
    };
    const drawn = shuffled(failing, uniformStream(1, number)).slice(0, per);
    for (const [index, { code }] of drawn.entries()) {
      const tokens = codeTokens(code);
      const nearest = passing.map((other) => ({ other, distance: editDistance(tokens, codeTokens(other.code)) }))
        .sort((a, b) => a.distance - b.distance)[0].other;
      const [loser, winner] = [await sample(code, 2 * index), await sample(nearest.code, 2 * index + 1)];
      if (loser.result.passed || !winner.result.passed || loser.result.infra) continue;
      done(await measure(pool, problem.dataset, problem, loser, winner, [loser, winner]));
    }
  }));
}

/** Samples of models/micro on its training families; every distinct failing one of a problem, `per` at most. */
async function microRows(pool: Pool, count: number, per: number, done: (row: Row) => void): Promise<number> {
  const host = denoHost();
  const gpu = await openGpu();
  const model = await loadModel(host, gpu, "models/micro", false);
  const tokenizer = await loadTokenizer(host, "models/micro");
  const problems = await microProblems(pool, { seed: 1, count, split: "train" });
  const longest = Math.max(...problems.map(({ prompt }) => tokenizer.encode(prompt).length + 1));
  const generator = await createGenerator(model, 32, longest + 160);
  const sampling = { temperature: 1, topP: 1, topK: 0, seed: 1, maxNewTokens: 160, traced: false };
  const draws = problems.flatMap((problem, p) =>
    Array.from({ length: 8 }, (_, index) => ({ problem, index, stream: 8 * p + index }))
  );
  const samples: Sample[] = [];
  for await (const batch of sampleTraced({ pool, generator, tokenizer }, draws, sampling)) samples.push(...batch);
  generator.destroy();
  await Promise.all(problems.map(async (problem) => {
    const group = samples.filter(({ problemId }) => problemId === problem.id);
    for (const { loser, winner } of siblingPairs(group).slice(0, per)) {
      done(await measure(pool, "micro", problem, loser, winner, group));
    }
  }));
  return samples.length;
}

const percent = (value: number) => (100 * value).toFixed(1);

function summary(rows: readonly Row[]) {
  const interval = (values: readonly number[], groups: readonly string[]) => {
    if (values.length === 0) return null;
    const { value, low, high } = meanInterval(values, { seed: 1, groups });
    return [value, low, high].map((share) => Number(share.toFixed(4)));
  };
  const share = (some: readonly Row[], of: (row: Row) => boolean) =>
    interval(some.map((row) => of(row) ? 1 : 0), some.map(({ problem }) => problem));
  // Where most lines are causal there is nothing to find: a program that ran, and at most half of its lines to blame.
  const telling = ({ causal, lines, outcome }: Row) => causal > 0 && 2 * causal <= lines && /[A-Z]/.test(outcome);
  const above = (some: readonly Row[], mask: typeof MASKS[number], control: typeof MASKS[number]) =>
    interval(some.map(({ right }) => right[mask]! - right[control]!), some.map(({ problem }) => problem));
  const strata: Record<string, Row[]> = {};
  for (const set of new Set(rows.map((row) => row.set))) {
    const own = rows.filter((row) => row.set === set);
    strata[set] = own;
    strata[`${set}, telling`] = own.filter(telling);
  }
  strata["all, telling"] = rows.filter(telling);
  for (const outcome of ["WRONG", "EXC"]) {
    strata[`all, telling, ${outcome}`] = rows.filter((row) => row.outcome === outcome && telling(row));
  }
  return Object.entries(strata).map(([name, some]) => {
    const known = some.filter(({ causal }) => causal > 0);
    return {
      name,
      programs: some.length,
      problems: new Set(some.map(({ problem }) => problem)).size,
      medianHunks: some.map(({ hunks }) => hunks).sort((a, b) => a - b)[some.length >> 1] ?? 0,
      oneHunkRepairs: share(some, ({ minimal }) => minimal === 1),
      oneOfSeveralRepairs: share(some.filter(({ hunks }) => hunks > 1), ({ minimal }) => minimal === 1),
      oneLineRepairs: share(some, ({ exchanged }) => exchanged === 1),
      oneHunkHelps: share(some, ({ single, helping }) => single + helping > 0),
      anySetRepairs: share(some, ({ minimal }) => minimal !== null),
      causalShare: interval(known.map(({ causal, lines }) => causal / lines), known.map(({ problem }) => problem)),
      programsRunPerSample: Number((some.reduce((sum, { trials }) => sum + trials, 0) / some.length).toFixed(2)),
      masks: Object.fromEntries(MASKS.map((mask) => {
        const decided = known.filter(({ right }) => right[mask] !== null);
        const groups = decided.map(({ problem }) => problem);
        return [mask, {
          decides: known.length === 0 ? 0 : Number((decided.length / known.length).toFixed(4)),
          precisionAt1: interval(decided.map(({ right }) => right[mask]!), groups),
          // On the same programs, so that a mask that speaks only on the easy ones gains nothing by it.
          aboveRandomLine: above(decided, mask, "random-line"),
          aboveDiff: above(decided.filter(({ right }) => right.diff !== null), mask, "diff"),
        }];
      })),
    };
  });
}

/** JSON with a program a line. */
function report(command: string, found: unknown, rows: readonly Row[]): string {
  const short = (_: string, value: unknown) => typeof value === "number" ? Number(value.toFixed(4)) : value;
  const lines = rows.map((row) => JSON.stringify(row, short)).join(",\n");
  return `{"command": ${JSON.stringify(command)},\n"summary": ${
    JSON.stringify(found, null, 1)
  },\n"rows": [\n${lines}\n]}\n`;
}

await new Command("credit").description("Precision of trace masks against lines whose exchange repairs the program")
  .option("--per <n>", "failing programs of a problem", "3")
  .option("--micro <n>", "micro problems to sample, 8 programs each; 0: none", "80")
  .option("--data <dir>", "problems and candidates", new URL("../../shared/data/", import.meta.url).pathname)
  .option("--workers <n>", "Python interpreters", "2")
  .option("--json <file>", "write rows and summary")
  .action(async ({ per, micro, data, workers, json }: Record<string, string>) => {
    const host = denoHost();
    const pool = createPool(() => host.spawnArena(), { size: Number(workers) });
    const rows: Row[] = [];
    const done = (row: Row) => {
      rows.push(row);
      if (rows.length % 25 === 0) console.error(`${rows.length} programs`);
    };
    if (await host.exists(`${data}candidates.jsonl.gz`)) await realRows(pool, data, Number(per), done);
    if (Number(micro) > 0) await microRows(pool, Number(micro), Number(per), done);
    pool.close();
    const order = (row: Row) => `${row.problem} ${JSON.stringify(row)}`;
    rows.sort((a, b) => order(a) < order(b) ? -1 : 1); // not that in which interpreters were done
    const found = summary(rows);
    for (
      const { name, programs, problems, oneHunkRepairs, oneOfSeveralRepairs, oneLineRepairs, causalShare, masks }
        of found
    ) {
      const shown = (triple: number[] | null) =>
        triple ? `${percent(triple[0])} [${triple.slice(1).map(percent)}]` : "-";
      console.log(
        `\n${name}: ${programs} programs of ${problems} problems; one hunk repairs ${shown(oneHunkRepairs)} %, ` +
          `of several ${shown(oneOfSeveralRepairs)} %, one line ${shown(oneLineRepairs)} %; ` +
          `${shown(causalShare)} % of lines causal`,
      );
      for (const [mask, { decides, precisionAt1, aboveRandomLine, aboveDiff }] of Object.entries(masks)) {
        console.log(
          `  ${mask.padEnd(13)} decides ${percent(decides)} %, right ${shown(precisionAt1)} %, ` +
            `above a random line ${shown(aboveRandomLine)}, above diff ${shown(aboveDiff)}`,
        );
      }
    }
    const command = ["deno run -A bench/credit.ts", `--per ${per} --micro ${micro}`].join(" ");
    if (json) await host.write(json, report(command, found, rows));
    Deno.exit(0);
  })
  .parseAsync(Deno.args, { from: "user" });
