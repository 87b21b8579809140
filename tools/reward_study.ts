/**
 * What a reward model learns from prompt, code, trace and outcome: samples micro problems from a model, pairs them under `eta` with
 * all pairs of failures, splits by problem, trains a small encoder on each kind of input, and measures it on held-out problems.
 *
 *   deno run -A tools/reward_study.ts --out runs/reward                      # writes runs/reward/reward.json
 *   deno run -A tools/reward_study.ts --problems 400 --steps 600 --seeds 1,2
 *
 * Samples and checkpoints stay in --out; the same command goes on from there. `bench/results/reward.json` is a copy of one run.
 */
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { microProblems } from "../src/data/micro/micro.ts";
import { makePairs, type Pair, type Sample } from "../src/data/pairs.ts";
import type { Problem } from "../src/data/problem.ts";
import { loadTokenizer, type Tokenizer } from "../src/data/tokenizer.ts";
import { outcomeMix } from "../src/eval/outcomes.ts";
import { parseJsonl, toJsonl } from "../src/files/jsonl.ts";
import { denoHost } from "../src/host/deno.ts";
import type { Host } from "../src/host/host.ts";
import { createGenerator } from "../src/model/generate.ts";
import { shuffled, uniformStream } from "../src/model/philox.ts";
import { type Gpu, openGpu } from "../src/plan/mod.ts";
import { loadModel } from "../src/recipes/checkpoint.ts";
import { type RewardLayout, rewardParts, rewardTokens } from "../src/recipes/reward_input.ts";
import { REWARD, type RewardConfig, saveReward, startRewardNetwork, trainReward } from "../src/recipes/reward_model.ts";
import { type LabelledPair, ownTest, rewardPairs, sameTest, type Shown, STRATA } from "../src/recipes/reward_pairs.ts";
import { accuracyOf, normalisation, rewardReport, type ScoredPair, scorePairs } from "../src/recipes/reward_report.ts";
import { createRewardScorer } from "../src/recipes/reward_step.ts";
import { addAgreement, sampleTraced } from "../src/recipes/rollout.ts";
import { createPool, type Pool } from "../src/trace/pool.ts";

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "runs/reward" },
    model: { type: "string", default: "models/micro" },
    problems: { type: "string", default: "160" },
    samples: { type: "string", default: "8" },
    steps: { type: "string", default: "250" },
    seeds: { type: "string", default: "1" },
    width: { type: "string", default: "64" },
    layers: { type: "string", default: "2" },
    arms: { type: "string", default: "trace and outcome,trace,code,trace of one test" },
  },
});
const number = (name: "problems" | "samples" | "steps" | "width" | "layers") => Number(values[name]);

/**
 * What each arm reads. All have the same room for code and prompt. `own`: the trace of the test that decided about the program alone;
 * `same`: both of a pair on one test.
 */
const budgets = { prompt: 96, code: 64, trace: 128 };
const LAYOUTS: Record<string, RewardLayout & { test: "own" | "same" }> = {
  "trace and outcome": { budgets, includeOutcome: true, test: "own" },
  "trace": { budgets, includeOutcome: false, test: "own" },
  "trace of one test": { budgets, includeOutcome: false, test: "same" },
  "code": { budgets: { ...budgets, trace: 0 }, includeOutcome: false, test: "own" },
};
const MAX_PAIRS = 16;

async function sampled(
  host: Host,
  gpu: Gpu,
  pool: Pool,
  tokenizer: Tokenizer,
): Promise<{ problems: Problem[]; samples: Sample[] }> {
  const path = `${values.out}/samples.jsonl`;
  const problems = await microProblems(pool, { seed: 7, count: number("problems"), split: "train" });
  if (await host.exists(path)) {
    return { problems, samples: parseJsonl(await host.readText(path), path) as Sample[] };
  }
  const model = await loadModel(host, gpu, values.model, false);
  const generator = await createGenerator(model, 64, 256);
  const count = number("samples");
  const draws = problems.flatMap((problem, p) =>
    Array.from({ length: count }, (_, index) => ({ problem, index, stream: p * count + index }))
  );
  const options = { temperature: 1, topP: 1, topK: 0, seed: 7, maxNewTokens: 64, traced: true };
  const judged: Sample[] = [];
  for await (const batch of sampleTraced({ pool, generator, tokenizer }, draws, options)) {
    judged.push(...batch);
    console.error(`sampled ${judged.length} of ${draws.length}`);
  }
  generator.destroy();
  const samples = await addAgreement(pool, problems, judged, true);
  await host.write(path, toJsonl(samples));
  return { problems, samples };
}

interface Data {
  problems: Problem[];
  samples: Sample[];
  pairs: Pair[];
  /** By problem: train, validation or held. */
  split: Map<string, string>;
  /** Runs the programs again, each of a pair on one test. */
  same: () => Promise<Shown>;
}

async function arm(
  host: Host,
  gpu: Gpu,
  tokenizer: Tokenizer,
  name: string,
  seed: number,
  data: Data,
) {
  if (!LAYOUTS[name]) throw new Error(`Cannot run arm ${name}: there are ${Object.keys(LAYOUTS).join(", ")}`);
  const { test, ...layout } = LAYOUTS[name];
  const dir = `${values.out}/${name.replaceAll(" ", "-")}-${seed}`;
  if (await host.exists(`${dir}/result.json`)) return JSON.parse(await host.readText(`${dir}/result.json`));
  const config: RewardConfig = {
    ...REWARD,
    ...layout,
    seed,
    steps: number("steps"),
    width: number("width"),
    layers: number("layers"),
    logEvery: 20,
    checkpointEvery: 50,
  };
  const shown = test === "same" ? await data.same() : ownTest;
  const labelled = rewardPairs(tokenizer, data.problems, data.samples, data.pairs, layout, shown);
  const of = (part: string): LabelledPair[] => labelled.filter(({ problemId }) => data.split.get(problemId) === part);
  const network = await startRewardNetwork(host, gpu, config, tokenizer);
  let last: Record<string, number> = {};
  for await (
    const event of trainReward(config, {
      host,
      network,
      pairs: of("train"),
      special: tokenizer,
      checkpoints: `${dir}/checkpoints`,
    })
  ) {
    if (event.type !== "step") continue;
    last = event.metrics;
    console.error(
      `${name} ${seed} step ${event.step}: loss ${last.loss.toFixed(4)} accuracy ${last.accuracy.toFixed(3)}`,
    );
  }
  const scorer = createRewardScorer(network, 16, tokenizer.padId);
  const scored = async (part: string) => await scorePairs(scorer, of(part), tokenizer, layout);
  const report = rewardReport(await scored("held"), await scored("validation"));
  const training = accuracyOf(await scored("train"));
  const problemOf = new Map(data.problems.map((problem) => [problem.id, problem]));
  const own = data.samples.filter(({ problemId, result }) => data.split.get(problemId) === "train" && !result.infra);
  const parts = own.slice(0, 256).map((sample) =>
    rewardTokens(rewardParts(tokenizer, problemOf.get(sample.problemId)!, sample, layout), tokenizer, layout)
  );
  const scale = normalisation(await scorer.score(parts));
  scorer.destroy();
  await saveReward(host, { network, layout, ...scale, temperature: report.temperature }, dir, values.model);
  const { parameters } = network.trained.weights;
  for (const { weights, gradients } of network.trained.weights.pages) {
    weights.storage.buffer?.destroy();
    gradients?.storage.buffer?.destroy();
  }
  const result = { arm: name, seed, parameters, loss: last.loss, training, ...report };
  await host.write(`${dir}/result.json`, JSON.stringify(result) + "\n");
  return result;
}

/** What it is worth to prefer the longer of two, or the shorter: a baseline without a model. A tie is no preference. */
function byLength(pairs: readonly LabelledPair[], part: "code" | "trace", sign: 1 | -1) {
  const scored = pairs.map(({ stratum, chosen, rejected }): ScoredPair => ({
    stratum,
    chosen: sign * chosen[part].length,
    rejected: sign * rejected[part].length,
  }));
  const strata = STRATA.map((name) => [name, accuracyOf(scored.filter(({ stratum }) => stratum === name))]);
  return {
    baseline: `${sign === 1 ? "longer" : "shorter"} ${part}`,
    all: accuracyOf(scored),
    strata: Object.fromEntries(strata),
  };
}

mkdirSync(values.out, { recursive: true });
const host = denoHost();
const gpu = await openGpu();
const tokenizer = await loadTokenizer(host, values.model);
const pool = createPool(() => host.spawnArena(), { size: 2, spares: 0 });
const { problems, samples } = await sampled(host, gpu, pool, tokenizer);
const { pairs, counts } = makePairs(samples, "eta", { failFail: "always", maxPairsPerPrompt: MAX_PAIRS });
const arms = values.arms.split(",");
const same = () => sameTest(pool, problems, samples, pairs);
const order = shuffled(problems, uniformStream(7, 1));
const held = Math.round(order.length / 4);
const split = new Map(order.map(({ id }, i) => [id, i < held ? "held" : i < 1.5 * held ? "validation" : "train"]));
const labelled = rewardPairs(tokenizer, problems, samples, pairs, LAYOUTS["trace and outcome"]);
const heldPairs = labelled.filter(({ problemId }) => split.get(problemId) === "held");
const baselines = (["code", "trace"] as const).flatMap((part) =>
  ([1, -1] as const).map((sign) => byLength(heldPairs, part, sign))
);
const results = [];
for (const seed of values.seeds.split(",").map(Number)) {
  for (const name of arms) {
    results.push(await arm(host, gpu, tokenizer, name, seed, { problems, samples, split, pairs, same }));
    const study = {
      command: `deno run -A tools/reward_study.ts ${Deno.args.join(" ")}`.trim(),
      adapter: gpu.traits.family,
      model: values.model,
      problems: problems.length,
      samples: samples.length,
      outcomes: outcomeMix(samples),
      pairs: Object.fromEntries(
        ["train", "validation", "held"].map((part) => {
          const mine = labelled.filter(({ problemId }) => split.get(problemId) === part);
          return [part, Object.fromEntries(STRATA.map((s) => [s, mine.filter(({ stratum }) => stratum === s).length]))];
        }),
      ),
      byReason: counts.byReason,
      budgets,
      baselines,
      results,
    };
    await host.write(`${values.out}/reward.json`, JSON.stringify(study, null, 1) + "\n");
  }
}
pool.close();
gpu.close();
