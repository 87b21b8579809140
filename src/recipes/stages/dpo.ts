/** ETA-DPO, and every other loss of its family, on the pairs of the run. */
import type { Sample } from "../../data/pairs.ts";
import { positionsOf } from "../batches.ts";
import { loserWeights } from "../credit_masks.ts";
import { type Counterfactual, counterfactualRepairs, repairPairs } from "../counterfactual.ts";
import { type DpoPair, trainDpo } from "../dpo.ts";
import { paddingShares } from "../packing.ts";
import type { PairRow } from "../preferences.ts";
import { Stopped } from "../rollout.ts";
import { possibleLengths, type Run, type RunEvent, type Stage } from "../run.ts";
import { promptTokens, tokenizeRow } from "../sequences.ts";
import { PAIR_SET } from "./pairs.ts";
import { TRAIN_SET } from "./sample.ts";
import { leaveAsItIs, logged, saveTrained } from "./trained.ts";

export const dpo: Stage = {
  name: "dpo",
  needs: ["pairs"],
  settings: ({ dpo, lora, pairs: { mask, maskLike, minimalPairs } }) => ({ dpo, lora, mask, maskLike, minimalPairs }),
  workload(facts) {
    const { config: { dpo, lora, seed }, shape } = facts;
    return lora.rank > 0
      ? null
      : { recipe: "dpo", config: { ...dpo, seed }, model: shape, lengths: possibleLengths(facts) };
  },
  async *run(run, signal) {
    const { config, host, store, tokenizer } = run;
    const rows = await store.pairs(PAIR_SET);
    if (rows.length === 0) {
      return await leaveAsItIs(
        run,
        "dpo",
        "No two samples of one problem could be told apart, so there was nothing to train on.",
      );
    }
    const settings = { ...config.dpo, seed: config.seed };
    yield {
      type: "stage",
      name: "dpo",
      detail: `${settings.steps} steps of ${settings.batchSize} pairs`,
      seconds: null,
    };
    const samples = new Map(
      (await store.samples(TRAIN_SET)).map((sample) => [`${sample.problemId}#${sample.index}`, sample]),
    );
    const weights = yield* maskedLosers(run, rows, samples, signal);
    const sampled = rows.map((row, i): DpoPair => {
      const prompt = promptTokens(tokenizer, row.prompt);
      const of = (index: number) => ({
        tokens: [...prompt, ...samples.get(`${row.problemId}#${index}`)!.tokens],
        promptLength: prompt.length,
      });
      return {
        chosen: of(row.chosen),
        rejected: of(row.rejected),
        ...weights ? { rejectedWeights: weights[i] } : {},
        ...row.labelSmoothing === undefined ? {} : { labelSmoothing: row.labelSmoothing },
      };
    });
    const minimal = config.pairs.minimalPairs ? yield* minimalPairs(run, [...samples.values()], signal) : [];
    const pairs = [...sampled, ...minimal];
    yield* packing(run, pairs.flatMap(({ chosen, rejected }) => [positionsOf(chosen), positionsOf(rejected)]));
    const policy = await run.policy();
    const checkpoints = `${run.folder("dpo")}/checkpoints`;
    const given = { host, policy, pairs, padId: tokenizer.padId, checkpoints, modelId: run.modelId };
    const tokensPerSecond = yield* logged(run, "dpo", trainDpo(settings, given, signal));
    await saveTrained(run, "dpo", policy);
    return {
      detail: `${settings.steps} steps of ${settings.batchSize} pairs, ${settings.loss} loss` +
        (config.pairs.minimalPairs ? `, ${minimal.length} pairs of one repair` : ""),
      steps: settings.steps,
      tokensPerSecond,
    };
  },
};

/** Losers whose programs are run at a time. */
const AT_ONCE = 16;

/** Token weights of every loser, or null where the whole of each counts. */
async function* maskedLosers(
  { config, pool, tokenizer, trainProblems }: Run,
  rows: readonly PairRow[],
  samples: ReadonlyMap<string, Sample>,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, number[][] | null> {
  const { mask, maskLike } = config.pairs;
  if (mask === "full") return null;
  const problems = new Map(trainProblems.map((problem) => [problem.id, problem]));
  const weights: number[][] = [];
  for (let start = 0; start < rows.length; start += AT_ONCE) {
    if (signal?.aborted) throw new Stopped();
    yield { type: "work", stage: "dpo", done: start, total: rows.length, what: "losers masked" };
    const masked = rows.slice(start, start + AT_ONCE).map((row) => {
      const [winner, loser] = [row.chosen, row.rejected].map((index) => samples.get(`${row.problemId}#${index}`)!);
      const problem = problems.get(row.problemId)!;
      return loserWeights(mask, {
        pool,
        tokenizer,
        problem,
        winner,
        loser,
        seed: config.seed,
        like: maskLike,
      });
    });
    weights.push(...await Promise.all(masked));
  }
  return weights;
}

/** Failing samples against themselves with one hunk of a passing sibling, where that repairs them. */
async function* minimalPairs(
  { pool, tokenizer, trainProblems }: Run,
  samples: readonly Sample[],
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, DpoPair[]> {
  const found: Counterfactual[] = [];
  for (const [i, problem] of trainProblems.entries()) {
    if (signal?.aborted) throw new Stopped();
    yield { type: "work", stage: "dpo", done: i, total: trainProblems.length, what: "problems searched for repairs" };
    found.push(...await counterfactualRepairs(pool, [problem], samples));
  }
  const tokensOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample.tokens]));
  return repairPairs(trainProblems, samples, found).map(({ problemId, prompt, chosenText, rejected }) => {
    const head = promptTokens(tokenizer, prompt);
    return {
      chosen: tokenizeRow(tokenizer, { prompt, completion: chosenText }),
      rejected: { tokens: [...head, ...tokensOf.get(`${problemId}#${rejected}`)!], promptLength: head.length },
    };
  });
}

/** How much of the positions would be padding, where short sequences share rows. */
function* packing({ config, shape }: Run, lengths: readonly number[]): Generator<RunEvent> {
  const { batchSize, microBatch, pack } = config.dpo;
  if (!pack) return;
  const rows = { batchSize: 2 * batchSize, microBatch: 2 * microBatch, longest: shape.maxPositions };
  yield { type: "packing", ...paddingShares(lengths, rows) };
}
