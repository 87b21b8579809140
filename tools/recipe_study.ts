/**
 * Every recipe once, end to end, with the same model, problems and draws: pass@1 before and after on held-out families, the curves,
 * and what the checks for reward hacking saw. One seed tells recipes that work from recipes that do not, and no more.
 *
 *   deno run -A tools/recipe_study.ts                                   # writes bench/results/recipes.json, prints a table
 *   deno run -A tools/recipe_study.ts --recipes grpo,rloo --problems 16 # some of them
 *
 * Run folders stay under --out; a recipe whose run is finished there is not run again.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { RECIPES } from "../src/mod.ts";
import type { RunReport } from "../src/mod.ts";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "runs/study" },
    recipes: { type: "string", default: Object.keys(RECIPES).filter((name) => name !== "rm").join(",") },
    problems: { type: "string", default: "48" },
    "eval-problems": { type: "string", default: "48" },
    steps: { type: "string", default: "40" },
    iterations: { type: "string", default: "16" },
    prompts: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    results: { type: "string", default: "bench/results/recipes.json" },
  },
});

/** Steps and iterations by the trainer; what a recipe does not have is not set. */
const LENGTHS: Record<string, string[]> = {
  ppo: [`ppo.iterations=${values.iterations}`, `ppo.prompts=${values.prompts}`],
  grpo: [`grpo.iterations=${values.iterations}`, `grpo.prompts=${values.prompts}`],
  rounds: [`dpo.steps=${Math.ceil(Number(values.steps) / 3)}`],
  ...Object.fromEntries(["sft", "rft", "kto", "dpo"].map((name) => [name, [`${name}.steps=${values.steps}`]])),
};
/** Metrics whose curves are kept. */
const CURVES = [
  "loss",
  "rewards/margins",
  "rewards/accuracies",
  "rewards/chosen_falling",
  "accuracy",
  "kl",
  "objective/kl",
  "objective/scores",
  "env/pass_rate",
  "policy/entropy_avg",
  "val/explained_variance",
  "frac_reward_zero_std",
  "monitor/steps_ratio",
  "monitor/noop_loops",
  "monitor/fuel_share",
];

interface Row {
  recipe: string;
  passAt1: { before: number; after?: number; change?: [value: number, low: number, high: number] } | null;
  outcomes: { before?: Record<string, number>; after?: Record<string, number> };
  /** Mean completion tokens and median line events, before and after: padding would show here. */
  tokens: (number | undefined)[];
  steps: (number | undefined)[];
  tables: RunReport["tables"];
  curves: Record<string, [step: number, value: number][]>;
  seconds: number;
}

async function runRecipe(recipe: string): Promise<Row> {
  const dir = `${values.out}/${recipe}-seed${values.seed}`;
  const { trains } = RECIPES[recipe as keyof typeof RECIPES];
  const settings = (LENGTHS[trains ?? ""] ?? []).flatMap((each) => ["--set", each]);
  if (!existsSync(`${dir}/report.json`)) {
    const words = ["train", "--recipe", recipe, "--seed", values.seed, "--problems", values.problems];
    const sizes = ["--eval-problems", values["eval-problems"], "--out", dir];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "src/cli/main.ts", ...words, ...sizes, ...settings],
      stdout: "null",
      stderr: "inherit",
    });
    const { code } = await child.output();
    if (code !== 0) throw new Error(`Cannot go on with the study: ${recipe} ended with exit code ${code}`);
  }
  const report = JSON.parse(await Deno.readTextFile(`${dir}/report.json`)) as RunReport;
  const { before, after, comparison } = report;
  const change = comparison?.passAt["1"];
  const curves: Row["curves"] = {};
  for (const { stage, metrics } of report.trainings) {
    for (const name of CURVES) {
      const points = metrics.filter((row) => name in row).map((row): [number, number] => [row.step, short(row[name])]);
      if (points.length > 0) curves[`${stage}: ${name}`] = points;
    }
  }
  return {
    recipe,
    passAt1: before
      ? {
        before: short(before.passAt["1"].value),
        after: after && short(after.passAt["1"].value),
        change: change && [short(change.value), short(change.low), short(change.high)],
      }
      : null,
    outcomes: { before: before?.outcomes, after: after?.outcomes },
    tokens: [before, after].map((each) => each && short(each.completions.meanTokens)),
    steps: [before, after].map((each) => each?.steps?.median),
    tables: report.tables,
    curves,
    seconds: Math.round(report.timing.totalSeconds),
  };
}

const short = (x: number) => Number(x.toPrecision(4));

const rows: Row[] = [];
let adapter = "";
for (const recipe of values.recipes.split(",")) {
  if (!(recipe in RECIPES)) throw new Error(`Cannot study ${recipe}: recipes are ${Object.keys(RECIPES).join(", ")}`);
  console.error(`--- ${recipe}`);
  rows.push(await runRecipe(recipe));
  adapter = JSON.parse(await Deno.readTextFile(`${values.out}/${recipe}-seed${values.seed}/report.json`)).adapter;
  const { out: _, results, recipes: __, ...sizes } = values;
  const command = `deno run -A tools/recipe_study.ts ${Deno.args.join(" ")}`.trim();
  await Deno.writeTextFile(results, JSON.stringify({ command, adapter, sizes, rows }, null, 1) + "\n");
}
const points = (share?: number) => share === undefined ? "" : (100 * share).toFixed(1);
console.log("| recipe | pass@1 before | after | change in points | tokens a program | line events, median | time |");
console.log("|---|---|---|---|---|---|---|");
for (const { recipe, passAt1, tokens, steps, seconds } of rows) {
  const change = passAt1?.change
    ? `${points(passAt1.change[0])} [${points(passAt1.change[1])}, ${points(passAt1.change[2])}]`
    : "";
  const pair = (values: (number | undefined)[]) => values.filter((value) => value !== undefined).join(" to ");
  console.log(
    `| ${recipe} | ${points(passAt1?.before)} | ${points(passAt1?.after)} | ${change} | ${pair(tokens)} | ${
      pair(steps)
    } | ${seconds} s |`,
  );
}
