/** ETA-RM: trains a reward model on the run's pairs and measures it on problems that it has not seen. */
import { loadTokenizer, type Tokenizer } from "../../data/tokenizer.ts";
import type { ReportTable } from "../../eval/report.ts";
import { shuffled, uniformStream } from "../../model/philox.ts";
import { destroyWeights } from "../../model/weights.ts";
import { rewardParts, rewardTokens } from "../reward_input.ts";
import { saveReward, startRewardNetwork, trainReward } from "../reward_model.ts";
import { ownTest, rewardPairs, sameTest, STRATA } from "../reward_pairs.ts";
import { normalisation, type RewardReport, rewardReport, scorePairs } from "../reward_report.ts";
import { createRewardScorer } from "../reward_step.ts";
import type { Run, Stage } from "../run.ts";
import { PAIR_SET } from "./pairs.ts";
import { TRAIN_SET } from "./sample.ts";
import { logged } from "./trained.ts";

/** Samples of the base that set the scale of scores (Huang et al. 2024 take as many). */
const SCALE_SAMPLES = 256;
/** Shares of the problems whose pairs measure the model, and give its temperature. */
const HELD = 0.25;
const VALIDATION = 0.125;
const SPLIT_STREAM = 3000;
const SCALE_STREAM = 3001;

/** A reward model from scratch reads the policy's tokens, one from a folder those of its own vocabulary. */
export async function rewardTokenizer({ config, host, tokenizer }: Run): Promise<Tokenizer> {
  return config.rm.from === "" ? tokenizer : await loadTokenizer(host, config.rm.from);
}

export const rm: Stage = {
  name: "rm",
  needs: ["pairs"],
  settings: ({ rm }) => rm,
  async *run(run, signal) {
    const { config, gpu, host, pool, store, trainProblems } = run;
    const tokenizer = await rewardTokenizer(run);
    const { from, test, ...settings } = { ...config.rm, seed: config.seed };
    const [samples, rows] = [await store.samples(TRAIN_SET), await store.pairs(PAIR_SET)];
    yield { type: "stage", name: "rm", detail: `${settings.steps} steps on ${rows.length} pairs`, seconds: null };
    const shown = test === "same" ? await sameTest(pool, trainProblems, samples, rows) : ownTest;
    const labelled = rewardPairs(tokenizer, trainProblems, samples, rows, settings, shown);
    const order = shuffled(
      [...new Set(rows.map(({ problemId }) => problemId))],
      uniformStream(config.seed, SPLIT_STREAM),
    );
    const partOf = new Map(order.map((id, i) => {
      const share = (i + 0.5) / order.length;
      return [id, share < HELD ? "held" : share < HELD + VALIDATION ? "validation" : "train"] as const;
    }));
    const part = (name: "train" | "validation" | "held") =>
      labelled.filter(({ problemId }) => partOf.get(problemId) === name);
    const [train, held] = [part("train"), part("held")];
    if (train.length === 0 || held.length === 0) {
      throw new Error(
        `Cannot train a reward model: ${rows.length} pairs of ${order.length} problems leave ${train.length} to train on ` +
          `and ${held.length} to measure on; sample more problems`,
      );
    }
    run.unload();
    const network = await startRewardNetwork(host, gpu, settings, tokenizer, from === "" ? undefined : from);
    const checkpoints = `${run.folder("rm")}/checkpoints`;
    const given = { host, network, pairs: train, special: tokenizer, checkpoints };
    const tokensPerSecond = yield* logged(run, "rm", trainReward(settings, given, signal));

    const scorer = createRewardScorer(network, settings.microBatch, tokenizer.padId);
    const scored = (name: "validation" | "held") => scorePairs(scorer, part(name), tokenizer, settings);
    const report = rewardReport(await scored("held"), await scored("validation"));
    const problems = new Map(trainProblems.map((problem) => [problem.id, problem]));
    const measured = shuffled(samples.filter(({ result }) => !result.infra), uniformStream(config.seed, SCALE_STREAM));
    const judged = measured.slice(0, SCALE_SAMPLES);
    const inputs = judged.map((sample) =>
      rewardTokens(rewardParts(tokenizer, problems.get(sample.problemId)!, sample, settings), tokenizer, settings)
    );
    const { gain, bias } = normalisation(await scorer.score(inputs));
    scorer.destroy();
    const { budgets, includeOutcome } = settings;
    const model = { network, layout: { budgets, includeOutcome }, gain, bias, temperature: report.temperature };
    await saveReward(host, model, `${run.folder("rm")}/model`, from === "" ? run.modelDir : from);
    destroyWeights(network.trained.weights);
    return {
      detail: `${settings.steps} steps, ${percent(report.all.accuracy)} of ${held.length} held-out pairs right`,
      steps: settings.steps,
      tokensPerSecond,
      tables: tables(report, includeOutcome),
      data: report,
    };
  },
};

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function tables(report: RewardReport, includeOutcome: boolean): ReportTable[] {
  const row = (name: string, { pairs, accuracy, low, high }: RewardReport["all"]) => [
    name,
    pairs,
    pairs === 0 ? null : percent(accuracy),
    pairs === 0 ? null : `${percent(low)} to ${percent(high)}`,
  ];
  const { calibration, calibrated, temperature } = report;
  return [{
    title: "Reward model on pairs of problems it has not seen",
    columns: ["pairs", "number", "right", "95 % interval"],
    rows: [row("all", report.all), ...STRATA.map((name) => row(name, report.strata[name]))],
    note: (includeOutcome
      ? "The input holds the outcome, which decides pass/fail pairs. "
      : "The outcome is not in the input. ") +
      "Only pairs of two failing programs show what else was learnt.",
  }, {
    title: "Calibration of the reward model",
    columns: ["", "expected error", "loss"],
    rows: [
      ["as trained", calibration.error, calibration.loss],
      [`divided by ${temperature.toFixed(2)}`, calibrated.error, calibrated.loss],
    ],
    note: "Of the chance sigmoid(r_w - r_l); the temperature is fitted on other pairs.",
  }];
}
