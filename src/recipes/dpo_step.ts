/** One optimizer step on preference pairs, by any loss of the DPO family: pairs in micro-batches, gradients accumulated, metrics kept on the GPU. */
import { compile, createReader, type Executable, persistent, Plan, write } from "../plan/mod.ts";
import { accumulateInto, add, PREFERENCE_METRICS, tokenLogprob } from "../../kernels/mod.ts";
import {
  pairNumbers,
  preferenceHyper,
  preferenceLoss,
  type PreferenceOptions,
  type PreferenceTensors,
  requireOptions,
  requirePair,
  SORTED,
} from "../loss/preference.ts";
import { tokenMetrics } from "../loss/sft.ts";
import { attendWithin, forward, headWeight } from "../model/llama.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { type AdamWConfig, createOptimizer } from "../optim/adamw.ts";
import { type BatchArrays, batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { fittingRows, packedArrays, packedShape, packPairs, rowCounts } from "./packing.ts";
import { type BatchInputs, batchInputs, destroyInputs, writeBatch } from "./scorer.ts";
import type { Policy } from "./policy.ts";
import type { StepEngine } from "./training_loop.ts";

export interface PreferencePair {
  chosen: Sequence;
  rejected: Sequence;
  /** Weighted sums of completion log-probabilities under the frozen reference; 0 where the loss needs none. */
  referenceChosen: number;
  referenceRejected: number;
  /** Of every completion token, EOS included; all 1 by default. The reference sums are taken with the same weights. */
  chosenWeights?: ArrayLike<number>;
  rejectedWeights?: ArrayLike<number>;
  /** By how much the winner is to lead, in units of the rewards; default 0. */
  margin?: number;
  /** The chance that this label is wrong; default that of the step. */
  labelSmoothing?: number;
}

interface Compiled {
  inputs: BatchInputs;
  given: Omit<PreferenceTensors, "mask" | "wpo">;
  metricWeight: BatchInputs["mask"];
  executable: Executable;
}

export interface DpoStepOptions extends Saving, PreferenceOptions {
  /** Pairs that run at a time, each sequence in a row of its own; packed, as many positions. */
  microBatch: number;
  padId: number;
  /** Weight of the SFT term on winners: the mean over all their completion tokens, whatever the tokens' own weights. */
  alpha: number;
  adamw: AdamWConfig;
  /** Several sequences share a row: see `packedShape`. */
  pack?: boolean;
  /**
   * Positions of the longest sequence there will be: its plan is compiled at once, and those of shorter buckets, which are
   * recorded when they first occur, live in its memory.
   */
  longest?: number;
}

const completionTokens = ({ tokens, promptLength }: Sequence) => tokens.length - promptLength;
const total = (numbers: ArrayLike<number>) => Array.from(numbers).reduce((sum, each) => sum + each, 0);

/**
 * Weights of the completion tokens of both sequences: what the pair brings, times `ldAlpha` beyond the length of the shorter
 * completion. The reference sums of the pair must be taken with the same.
 */
export function tokenWeights(
  pair: Pick<PreferencePair, "chosen" | "rejected" | "chosenWeights" | "rejectedWeights">,
  ldAlpha = 1,
): { chosen: Float32Array; rejected: Float32Array } {
  const shared = Math.min(completionTokens(pair.chosen), completionTokens(pair.rejected));
  const of = (name: "chosen" | "rejected") => {
    const count = completionTokens(pair[name]);
    const own = pair[`${name}Weights`];
    if (own && own.length !== count) {
      throw new Error(`Cannot weigh tokens: ${name}Weights has ${own.length} numbers for ${count} completion tokens`);
    }
    return Float32Array.from({ length: count }, (_, i) => (own?.[i] ?? 1) * (i < shared ? 1 : ldAlpha));
  };
  return { chosen: of("chosen"), rejected: of("rejected") };
}

/** The mask of a batch with the weights of its tokens; `weights` by the numbers of sequences. */
function placed(
  { mask }: BatchArrays,
  sequenceAt: (position: number) => number,
  weights: readonly (ArrayLike<number> | undefined)[],
): Float32Array {
  const next = new Map<number, number>();
  return mask.map((m, i) => {
    if (m === 0) return 0;
    const sequence = sequenceAt(i), at = next.get(sequence) ?? 0;
    next.set(sequence, at + 1);
    return weights[sequence]?.[at] ?? 0;
  });
}

/** Of Q places those behind the end are empty. */
const padded = <T>(items: readonly T[], Q: number) => Array.from({ length: Q }, (_, i): T | undefined => items[i]);

/** Pairs of one pass over the GPU. */
interface PairBatch {
  T: number;
  /** In the order of their numbers. */
  pairs: readonly PreferencePair[];
  arrays: BatchArrays;
  /** The sequence that a position belongs to: below Q that of a winner, of pair p the sequences p and Q + p. */
  sequenceAt: (position: number) => number;
}

/** Trains what the policy says: all weights, or adapters alone. */
export async function createDpoStep(
  { model, trained }: Pick<Policy, "model" | "trained">,
  options: DpoStepOptions,
): Promise<StepEngine<PreferencePair>> {
  const { gpu } = model;
  const { maxPositions } = model.config;
  const { microBatch: P, padId, alpha, pack = false, loss: kind = "sigmoid", ldAlpha } = options;
  requireOptions(options);
  // Numbers for pairs cost nothing, so that packed rows are never full of pairs before they are full of tokens.
  const Q = pack ? 8 * P : P;
  const plans = new Map<string, Compiled>();
  const lossSum = persistent(gpu, "dpo.loss", [1]);
  const pairSums = persistent(gpu, "dpo.sums", [PREFERENCE_METRICS.length]);
  const tokenSums = persistent(gpu, "dpo.tokens", [3]);
  const numbers = preferenceHyper(options);
  const hyper = persistent(gpu, "dpo.hyper", [numbers.length]);
  write(gpu, hyper, numbers);
  const optimizer = await createOptimizer(gpu, trained.weights, options.adamw);
  const reader = createReader(gpu, [lossSum, pairSums, tokenSums, optimizer.norm]);

  async function planFor(rows: number, T: number): Promise<Compiled> {
    const name = `dpo.${rows}x${T}`;
    const known = plans.get(name);
    if (known) return known;
    const inputs = batchInputs(model, rows, T, pack);
    const given = {
      reference: persistent(gpu, "reference", [2 * Q]),
      pairs: persistent(gpu, "pairs", [Q, 5]),
      sftWeight: persistent(gpu, "sft.weight", [rows, T]),
      hyper,
    };
    const metricWeight = persistent(gpu, "metric.weight", [rows, T]);
    const plan = new Plan(name, gpu);
    const { mask, segments, ids, positions, targets } = inputs;
    const h = forward(plan, model, ids, positions, attendWithin(model.config, rows, T, segments), options.recompute);
    const scored = tokenLogprob(plan, h, headWeight(model), targets);
    const wpo = options.wpo
      ? { aux: scored.aux, doubled: tokenLogprob(plan, add(plan, h, h), headWeight(model), targets).aux }
      : undefined;
    const { loss, metrics } = preferenceLoss(plan, scored.logprob, { ...given, mask, segments, wpo }, options);
    accumulateInto(plan, loss, lossSum);
    accumulateInto(plan, metrics, pairSums);
    accumulateInto(plan, tokenMetrics(plan, scored, metricWeight), tokenSums);
    plan.backward(loss, model.one);
    saveMemory(plan, options);
    const compiled = { inputs, given, metricWeight, executable: await compile(gpu, plan) };
    plans.set(name, compiled);
    return compiled;
  }

  const longestOf = ({ chosen, rejected }: PreferencePair) => Math.max(positionsOf(chosen), positionsOf(rejected));

  /** Rows [0, P) are winners, [P, 2P) losers; a short batch leaves empty rows with weight 0 in both halves. */
  function* bucketed(all: readonly PreferencePair[]): Generator<PairBatch> {
    const ordered = [...all].sort((a, b) => longestOf(a) - longestOf(b));
    for (let start = 0; start < ordered.length; start += P) {
      const pairs = ordered.slice(start, start + P);
      const T = bucketOf(longestOf(pairs[pairs.length - 1]), maxPositions);
      const empty: Sequence = { tokens: [padId], promptLength: 1 };
      const fill = Array.from({ length: P - pairs.length }, () => empty);
      const rows = [...pairs.map(({ chosen }) => chosen), ...fill, ...pairs.map(({ rejected }) => rejected), ...fill];
      yield { T, pairs, arrays: batchArrays(rows, 2 * P, T, padId), sequenceAt: (i) => Math.floor(i / T) };
    }
  }

  /** Segments [0, Q) are winners, [Q, 2Q) losers. */
  function* packed(all: readonly PreferencePair[]): Generator<PairBatch> {
    const lengths = all.map(({ chosen, rejected }) => [positionsOf(chosen), positionsOf(rejected)] as const);
    const { B, T } = packedShape([...lengths.flat(), options.longest ?? 1], 2 * P, maxPositions);
    for (const batch of packPairs(lengths, B, T, Q)) {
      const pairs = batch.pairs.map((i) => all[i]);
      const rows = batch.rows.map((row) =>
        row.map(([pair, side]) => ({
          sequence: side === 0 ? pairs[pair].chosen : pairs[pair].rejected,
          segment: side * Q + pair,
        }))
      );
      const used = rows.filter((row) => row.length > 0).length; // first-fit: the empty ones are the last
      const arrays = packedArrays(rows.slice(0, used), fittingRows(used, B), T, padId, 2 * Q);
      yield { T, pairs, arrays, sequenceAt: (i) => arrays.segments[i] };
    }
  }

  if (options.longest !== undefined && pack) {
    const { B, T } = packedShape([options.longest], 2 * P, maxPositions);
    for (const rows of rowCounts(B)) await planFor(rows, T);
  } else if (options.longest !== undefined) await planFor(2 * P, bucketOf(options.longest, maxPositions));
  return {
    optimizer,
    async accumulate(all) {
      const winnerTokens = all.reduce((sum, { chosen }) => sum + completionTokens(chosen), 0);
      const allTokens = all.reduce((sum, { rejected }) => sum + completionTokens(rejected), winnerTokens);
      const weightOf = new Map(all.map((pair) => [pair, tokenWeights(pair, ldAlpha)]));
      for (const { T, pairs, arrays, sequenceAt } of pack ? packed(all) : bucketed(all)) {
        if (SORTED.has(kind) && pairs.length < 2) {
          throw new Error(
            `Cannot train with loss ${kind}: a micro-batch has 1 pair of ${all.length}, it sorts at least 2`,
          );
        }
        const { inputs, given, metricWeight, executable } = await planFor(arrays.ids.length / T, T);
        const weights = pairs.map((pair) => weightOf.get(pair)!);
        const mask = placed(arrays, sequenceAt, [
          ...padded(weights.map(({ chosen }) => chosen), Q),
          ...padded(weights.map(({ rejected }) => rejected), Q),
        ]);
        writeBatch(model, inputs, { ...arrays, mask });
        const reference = new Float32Array(2 * Q);
        pairs.forEach((pair, p) => {
          reference[p] = pair.referenceChosen;
          reference[Q + p] = pair.referenceRejected;
        });
        write(gpu, given.reference, reference);
        const rows = pairs.map((pair, p) => {
          const { margin = 0, labelSmoothing = options.labelSmoothing } = pair;
          requirePair(kind, margin, labelSmoothing, `pair ${all.indexOf(pair) + 1} of ${all.length}`);
          const [chosenTokens, rejectedTokens] = [weights[p].chosen, weights[p].rejected].map(total);
          return { weight: 1 / all.length, chosenTokens, rejectedTokens, margin, labelSmoothing };
        });
        write(gpu, given.pairs, pairNumbers(rows, Q));
        write(gpu, given.sftWeight, arrays.mask.map((m, i) => sequenceAt(i) < Q ? -alpha * m / winnerTokens : 0));
        write(gpu, metricWeight, arrays.mask.map((m) => m / allTokens));
        await executable.enqueue();
      }
      return allTokens;
    },
    async metrics(steps) {
      const [loss, pairMeans, tokenMeans, norm] = await reader.read();
      for (const sums of [lossSum, pairSums, tokenSums]) write(gpu, sums, new Float32Array(sums.shape[0]));
      return {
        loss: loss[0] / steps,
        ...Object.fromEntries(PREFERENCE_METRICS.map((name, i) => [name, pairMeans[i] / steps])),
        entropy: tokenMeans[1] / steps,
        mean_token_accuracy: tokenMeans[2] / steps,
        grad_norm: norm[0],
      };
    },
    async sums() {
      return (await reader.read()).slice(0, 3).map((sum) => Array.from(sum));
    },
    restoreSums(sums) {
      [lossSum, pairSums, tokenSums].forEach((tensor, i) => write(gpu, tensor, Float32Array.from(sums[i])));
    },
    destroy() {
      for (const { inputs, given, metricWeight, executable } of plans.values()) {
        executable.destroy();
        destroyInputs({ ...inputs, ...given, metricWeight });
      }
      reader.destroy();
      optimizer.destroy();
      destroyInputs({ lossSum, pairSums, tokenSums, hyper });
    },
  };
}
