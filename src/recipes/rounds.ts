/**
 * Iterative DPO: rounds of sampling, tracing, pairing and training, each from the weights of the one before, so that every round
 * learns from what its own policy writes (Xu et al. 2023, "Some Things Are More Cringe Than Others", Algorithm 2; Dong et al.
 * 2024, "RLHF Workflow").
 *
 *   for r = 1 ... R:   D_r = pairs of samples of theta_(r-1),   theta_r = argmin L_DPO(theta; D_r, ref)
 *   ref = theta_(r-1)  ("round": each round may move as far again)   or  theta_0  ("base": all rounds together stay near it)
 *
 * Differences to these papers: 1. traces decide preferences, no reward model does; 2. a round learns from its own pairs alone;
 * 3. each has a fresh optimizer and its own schedule, as if it were a run of its own: with one round this is plain DPO, to the bit;
 * 4. a round in which nothing could be told apart leaves the weights as they are and is counted.
 *
 * Samples and pairs of round r are set `round-r` of the run's store. Its files are under `round-r/`: pairs.jsonl, training.jsonl
 * (what DPO learns from), checkpoints/ while it trains, at its end weights.safetensors and, last, round.json.
 */
import { defaultPairOptions, type PairOptions, type Sample } from "../data/pairs.ts";
import { isSolved } from "../eval/outcomes.ts";
import type { Problem } from "../data/problem.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { toJsonl } from "../files/jsonl.ts";
import { writeSafetensors } from "../files/safetensors.ts";
import { sha256 } from "../files/sha256.ts";
import type { Host } from "../host/host.ts";
import type { Generator, SamplingOptions } from "../model/generate.ts";
import { philox } from "../model/philox.ts";
import { getWeights } from "../model/weights.ts";
import type { RunStore, StoredSample } from "../store/store.ts";
import type { Order, OrderName } from "../trace/heuristics.ts";
import type { Pool } from "../trace/pool.ts";
import { loadWeights } from "./checkpoint.ts";
import { DPO, type DpoConfig, type DpoPair, trainDpo } from "./dpo.ts";
import type { TrainingEvent } from "./events.ts";
import type { Policy } from "./policy.ts";
import { type PairRow, tracedPairs } from "./preferences.ts";
import { sampleSequences } from "./rft.ts";
import { addAgreement, rollout, type RolloutProgress, Stopped } from "./rollout.ts";

type Seedless<T> = Omit<T, "seed">;

export interface RoundsConfig extends DpoConfig, Seedless<SamplingOptions>, Seedless<PairOptions> {
  rounds: number;
  /** What a round's policy is held to: the weights it started from, or those of the first round's start. */
  reference: "round" | "base";
  /** Samples per problem and round. */
  samples: number;
  /** Texts that end a completion; none: those of the problems' code mode. */
  stops: readonly string[];
  order: OrderName | Order;
  /** Where no sample passes, let the reference solution stand in for a passing sibling (order eta). */
  referenceSibling: boolean;
}

export const ROUNDS: RoundsConfig = {
  ...defaultPairOptions,
  ...DPO,
  rounds: 3,
  reference: "round",
  steps: 20,
  samples: 8,
  temperature: 1,
  topP: 1,
  topK: 0,
  maxNewTokens: 64,
  stops: [],
  order: "eta",
  referenceSibling: false,
};

export interface RoundsGiven {
  host: Host;
  store: RunStore;
  policy: Policy;
  pool: Pool;
  /** Over `policy.model`, so that it samples from the weights as they are. */
  generator: Generator;
  tokenizer: Tokenizer;
  problems: readonly Problem[];
  /** The folder of all rounds. */
  dir: string;
  /** Names the weights at the start of the first round, e.g. a hash of their file. */
  modelId: string;
  /** What is done differently in this run, see RoundStages. */
  stages?: Partial<RoundStages>;
}

/** The parts of a round that a run may do its own way. The results depend on their arguments and the weights alone. */
export interface RoundStages {
  /**
   * Samples of the policy as it is, judged; `modelId` names its weights. It goes on with what it left, and throws Stopped when
   * `signal` is aborted.
   */
  sample(round: number, modelId: string, signal?: AbortSignal): AsyncGenerator<RolloutProgress, StoredSample[]>;
  /** Pairs to learn from, with weights and margins if the run has them, and rows for the store and for people. */
  pair(samples: readonly StoredSample[], round: number): Promise<{ pairs: DpoPair[]; rows: readonly PairRow[] }>;
}

/** What a finished round has left, as in its round.json. */
export interface RoundSummary {
  round: number;
  samples: number;
  /** Finished samples that pass all tests. */
  passed: number;
  pairs: number;
  /** Optimizer steps; 0 without pairs. */
  steps: number;
  /** Hash of weights.safetensors. */
  weights: string;
}

export type RoundEvent =
  & { round: number }
  & (
    | ({ type: "progress" } & RolloutProgress)
    | { type: "sampled"; samples: number; passed: number }
    | { type: "paired"; pairs: number }
    | TrainingEvent
    | { type: "round"; summary: RoundSummary }
  );

/**
 * Goes on behind the last finished round in `dir`, and there behind the last checkpoint; it equals an uninterrupted run bit for
 * bit. When `signal` is aborted, the last event is `stopped`.
 */
export async function* trainRounds(
  config: RoundsConfig,
  given: RoundsGiven,
  signal?: AbortSignal,
): AsyncGenerator<RoundEvent> {
  const { host, policy, tokenizer, dir } = given;
  const stages: RoundStages = { ...defaultStages(config, given), ...given.stages };
  const base = config.reference === "base" ? policy.reference() : null; // a copy, where it is one, before weights move
  let modelId = given.modelId;
  const finished = await finishedRounds(host, dir);
  if (finished.length > 0) {
    await loadWeights(host, policy.trained, `${folderOf(dir, finished.length)}/weights.safetensors`);
    modelId = finished[finished.length - 1].weights;
  }
  for (let round = finished.length + 1; round <= config.rounds; round++) {
    const folder = folderOf(dir, round);
    if (signal?.aborted) return yield { type: "stopped", round, step: 0 };
    let samples: StoredSample[];
    try {
      const run = stages.sample(round, modelId, signal);
      let item = await run.next();
      for (; !item.done; item = await run.next()) yield { type: "progress", round, ...item.value };
      samples = item.value;
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      return yield { type: "stopped", round, step: 0 };
    }
    const passed = samples.filter(isSolved).length;
    yield { type: "sampled", round, samples: samples.length, passed };

    const pairs = await pairsOf(given, round, () => stages.pair(samples, round));
    yield { type: "paired", round, pairs: pairs.length };

    if (pairs.length > 0) {
      const training = {
        ...{ host, policy, pairs, padId: tokenizer.padId, checkpoints: `${folder}/checkpoints` },
        modelId: base ? given.modelId : modelId,
        reference: base ?? policy.model,
      };
      for await (const event of trainDpo({ ...config, seed: roundSeed(config.seed, round) }, training, signal)) {
        yield { round, ...event };
        if (event.type === "stopped") return;
      }
    }
    const weights = writeSafetensors(await getWeights(policy.trained));
    modelId = await sha256(weights);
    await host.write(`${folder}/weights.safetensors`, weights);
    const steps = pairs.length > 0 ? config.steps : 0;
    const summary = { round, samples: samples.length, passed, pairs: pairs.length, steps, weights: modelId };
    await host.write(`${folder}/round.json`, JSON.stringify(summary) + "\n");
    await host.remove(`${folder}/checkpoints`); // nothing goes on from them
    yield { type: "round", round, summary };
  }
}

const setOf = (round: number) => `round-${round}`;
const folderOf = (dir: string, round: number) => `${dir}/${setOf(round)}`;

/** Summaries of the rounds that are done, from the first on. */
export async function finishedRounds(host: Host, dir: string): Promise<RoundSummary[]> {
  const summaries: RoundSummary[] = [];
  for (let round = 1;; round++) {
    const path = `${folderOf(dir, round)}/round.json`;
    if (!await host.exists(path)) return summaries;
    summaries.push(JSON.parse(await host.readText(path)));
  }
}

/** The seed of a round's pairs and training: the first round's is the run's own, so that one round is a plain run. */
export function roundSeed(seed: number, round: number): number {
  return round === 1 ? seed : philox([round, 0, 0, 2], [seed, 0])[0];
}

/** The pairs that training.jsonl holds; else they are made and written, behind the rows. */
async function pairsOf(
  { host, store, dir }: RoundsGiven,
  round: number,
  make: () => ReturnType<RoundStages["pair"]>,
): Promise<DpoPair[]> {
  const folder = folderOf(dir, round);
  const path = `${folder}/training.jsonl`;
  if (await host.exists(path)) {
    return (await host.readText(path)).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }
  const { pairs, rows } = await make();
  const plain = pairs.map(asJson);
  await store.addPairs(setOf(round), rows);
  await host.write(`${folder}/pairs.jsonl`, toJsonl(rows));
  await host.write(path, toJsonl(plain));
  return plain;
}

/** A pair whose weights are lists, which JSON gives back as they were. */
function asJson(pair: DpoPair): DpoPair {
  const { chosenWeights, rejectedWeights } = pair;
  return {
    ...pair,
    ...(chosenWeights && { chosenWeights: Array.from(chosenWeights) }),
    ...(rejectedWeights && { rejectedWeights: Array.from(rejectedWeights) }),
  };
}

function defaultStages(config: RoundsConfig, given: RoundsGiven): RoundStages {
  const { store, pool, generator, problems, tokenizer } = given;
  return {
    sample(round, modelId, signal) {
      const { temperature, topP, topK, maxNewTokens, seed, samples, stops } = config;
      const sampling = { temperature, topP, topK, maxNewTokens, seed, samples, ...stops.length > 0 ? { stops } : {} };
      // Streams of their own: round 1 has those of a plain run's training samples, evaluations use what lies below.
      const options = { ...sampling, streamBase: round * STREAMS, traced: true, set: setOf(round), modelId };
      return rollout({ store, pool, generator, tokenizer }, problems, options, signal);
    },
    async pair(raw, round) {
      const samples = await addAgreement(pool, problems, raw, config.referenceSibling);
      await store.addSamples(setOf(round), samples);
      const options = { ...config, seed: roundSeed(config.seed, round) };
      const { rows } = await tracedPairs(pool, problems, samples, config.order, options);
      return { rows, pairs: learnable(tokenizer, problems, samples, rows) };
    },
  };
}

/** Streams of random numbers that a round may use. */
const STREAMS = 1 << 24;

/** Rows as DPO learns from them: sampled tokens behind their prompts, and the label smoothing that a row brings. */
export function learnable(
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  samples: readonly Sample[],
  rows: readonly PairRow[],
): DpoPair[] {
  const sampleOf = new Map(samples.map((sample) => [`${sample.problemId}#${sample.index}`, sample]));
  const [chosen, rejected] = (["chosen", "rejected"] as const).map((side) =>
    sampleSequences(tokenizer, problems, rows.map((row) => sampleOf.get(`${row.problemId}#${row[side]}`)!))
  );
  return rows.map(({ labelSmoothing }, i) => ({
    chosen: chosen[i],
    rejected: rejected[i],
    ...labelSmoothing === undefined ? {} : { labelSmoothing },
  }));
}
