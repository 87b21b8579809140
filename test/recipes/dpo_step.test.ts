import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type Gpu, openGpu } from "../../src/plan/mod.ts";
import { PREFERENCE_LOSSES } from "../../src/loss/preference.ts";
import { getWeights } from "../../src/model/weights.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { createDpoStep, type DpoStepOptions, type PreferencePair, tokenWeights } from "../../src/recipes/dpo_step.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { sequenceLogprobs } from "../../src/recipes/scorer.ts";
import { expectClose } from "../kernels/check_op.ts";
import { PAD, pairs, tinyAdapted, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const OPTIONS: DpoStepOptions = {
  microBatch: 7,
  padId: PAD,
  beta: 0.5,
  alpha: 0,
  labelSmoothing: 0,
  adamw: ADAMW,
  recompute: "none",
};

/** Seven pairs whose reference is somewhat off, so that margins are not 0. */
const data = (chosen = -30, rejected = -22): PreferencePair[] =>
  pairs(7, 3).map((pair, i) => ({ ...pair, referenceChosen: chosen - i, referenceRejected: rejected + i / 2 }));

/** Metrics and gradients of one step of a fresh model. */
async function step(
  all: readonly PreferencePair[],
  change: Partial<DpoStepOptions> = {},
  policy: Pick<Policy, "model" | "trained"> = whole(tinyLlama(gpu)),
) {
  const trainer = await createDpoStep(policy, { ...OPTIONS, ...change });
  await trainer.accumulate(all);
  const reader = createReader(gpu, policy.trained.weights.pages.map(({ gradients }) => gradients!));
  const gradients = (await reader.read()).map((page) => Float32Array.from(page));
  reader.destroy();
  await trainer.optimizer.update(1, 1e-3);
  const metrics = await trainer.metrics(1);
  trainer.destroy();
  return { metrics, gradients };
}

type Step = Awaited<ReturnType<typeof step>>;

function expectSame(got: Step, want: Step, names = Object.keys(want.metrics)) {
  for (const name of names) expect(got.metrics[name], name).toBeCloseTo(want.metrics[name], 4);
  want.gradients.forEach((page, i) => {
    const largest = page.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
    expect(largest).toBeGreaterThan(1e-3);
    expectClose(got.gradients[i], page, 1e-5 * largest, 1e-3, `gradients of page ${i}`);
  });
}

/** The first `count` completion tokens alone. */
const shortened = ({ tokens, promptLength }: Sequence, count: number): Sequence => ({
  tokens: tokens.slice(0, promptLength + count),
  promptLength,
});
const completionTokens = ({ tokens, promptLength }: Sequence) => tokens.length - promptLength;
const OF_PAIRS = ["loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected"];

describe("what changes nothing", () => {
  test("the split into micro-batches, their padding, and packing", async () => {
    for (const loss of ["sigmoid", "ipo", "orpo"] as const) {
      const change = { loss, alpha: 0.3, ldAlpha: 0.5 };
      const plain = await step(data(), change);
      expectSame(await step(data(), { ...change, microBatch: 3 }), plain);
      expectSame(await step(data(), { ...change, microBatch: 2, pack: true }), plain);
    }
  });

  test("the order of pairs, and what padding is filled with", async () => {
    const plain = await step(data());
    expectSame(await step(data().reverse()), plain);
    expect(await step(data(), { padId: 17 })).toEqual(plain);
  });

  test("what beta is, if log-ratios are as many times larger: token weights of 2 and half of beta", async () => {
    const doubled = data().map((pair) => ({
      ...pair,
      chosenWeights: Array(completionTokens(pair.chosen)).fill(2),
      rejectedWeights: Array(completionTokens(pair.rejected)).fill(2),
      referenceChosen: 2 * pair.referenceChosen,
      referenceRejected: 2 * pair.referenceRejected,
    }));
    const names = ["loss", "rewards/chosen", "rewards/margins", "grad_norm", "entropy"];
    expectSame(await step(doubled, { beta: 0.25 }), await step(data()), names);
  });
});

describe("token weights", () => {
  // A model is causal: tokens of weight 0 at the end are as good as not there.
  test("of 0 behind the second token give the losses of completions that end there", async () => {
    const first = ({ tokens, promptLength }: Sequence) => tokens.slice(promptLength).map((_, t) => Number(t < 2));
    const weighted = data(-10, -8).map((pair) => ({
      ...pair,
      chosenWeights: first(pair.chosen),
      rejectedWeights: first(pair.rejected),
    }));
    const cut = data(-10, -8).map((pair) => ({
      ...pair,
      chosen: shortened(pair.chosen, 2),
      rejected: shortened(pair.rejected, 2),
    }));
    for (const loss of ["sigmoid", "sigmoid-norm", "simpo"] as const) {
      expectSame(await step(weighted, { loss }), await step(cut, { loss }), OF_PAIRS);
    }
    expectSame(await step(weighted, { pack: true, microBatch: 2 }), await step(cut), OF_PAIRS);
  });

  test("of LD-DPO count what is longer than the other completion less", async () => {
    const [pair] = data();
    const [long, short] = [completionTokens(pair.chosen), completionTokens(pair.rejected)];
    expect(long).toBeGreaterThan(short);
    const { chosen, rejected } = tokenWeights({ ...pair, rejectedWeights: Array(short).fill(3) }, 0.25);
    expect([...chosen]).toEqual([...Array(short).fill(1), ...Array(long - short).fill(0.25)]);
    expect([...rejected]).toEqual(Array(short).fill(3));

    const cut = data(-20, -17).map((pair) => {
      const shared = Math.min(completionTokens(pair.chosen), completionTokens(pair.rejected));
      return { ...pair, chosen: shortened(pair.chosen, shared), rejected: shortened(pair.rejected, shared) };
    });
    expectSame(await step(data(-20, -17), { ldAlpha: 0 }), await step(cut), OF_PAIRS);
  });

  test("of a loser that are all 0 leave it alone: only the winner is pulled", async () => {
    const alone = data().map((pair) => ({
      ...pair,
      rejectedWeights: Array(completionTokens(pair.rejected)).fill(0),
      referenceRejected: 0,
    }));
    for (const loss of ["sigmoid", "sigmoid-norm"] as const) {
      const { metrics, gradients } = await step(alone, { loss });
      expect(metrics["logps/rejected"]).toBe(0);
      expect(metrics["rewards/rejected"]).toBe(0);
      // The same pairs with another loser: nothing of it is seen.
      const others = alone.map((pair, i) => ({ ...pair, rejected: alone[(i + 1) % 7].rejected }))
        .map((pair) => ({ ...pair, rejectedWeights: Array(completionTokens(pair.rejected)).fill(0) }));
      expectSame(await step(others, { loss }), { metrics, gradients }, OF_PAIRS);
    }
  });

  test("do not enter the SFT term: winners are held whole", async () => {
    const none = data().map((pair) => ({ ...pair, chosenWeights: Array(completionTokens(pair.chosen)).fill(0) }));
    const [without, held] = [await step(none), await step(none, { alpha: 0.5 })];
    const winners = data().map(({ chosen }) => chosen);
    const sums = await sequenceLogprobs(tinyLlama(gpu), winners, 4, PAD);
    const mean = sums.reduce((sum, each) => sum + each, 0) /
      winners.reduce((sum, each) => sum + completionTokens(each), 0);
    expect(held.metrics.loss - without.metrics.loss).toBeCloseTo(-0.5 * mean, 4);
  });
});

describe("pairs of their own", () => {
  test("a margin is taken off inside the sigmoid, and label smoothing is the pair's before the step's", async () => {
    const margins = [0.5, 0, 0.25, 0.1, 1, 0, 2];
    const smoothing = [0.1, 0, 0.3, 0.05, 0.5, 0.2, 0.4];
    const { metrics } = await step(
      data().map((pair, i) => ({ ...pair, margin: margins[i], labelSmoothing: smoothing[i] })),
      { labelSmoothing: 0.25 },
    );
    const sums = await sequenceLogprobs(
      tinyLlama(gpu),
      data().flatMap(({ chosen, rejected }) => [chosen, rejected]),
      4,
      PAD,
    );
    const ls = (x: number) => -Math.log1p(Math.exp(-x));
    const losses = data().map(({ referenceChosen, referenceRejected }, i) => {
      const z = 0.5 * (sums[2 * i] - referenceChosen - sums[2 * i + 1] + referenceRejected) - margins[i];
      return -(1 - smoothing[i]) * ls(z) - smoothing[i] * ls(-z);
    });
    expect(metrics.loss).toBeCloseTo(losses.reduce((sum, each) => sum + each, 0) / 7, 4);
  });

  test("WPO with a model that knows nothing weighs every pair 1, and one with opinions does not", async () => {
    const blank = tinyLlama(gpu);
    for (const { weights } of blank.weights.pages) {
      gpu.device.queue.writeBuffer(weights.storage.buffer!, 0, new Uint8Array(weights.storage.bytes));
    }
    const [plain, weighed] = [
      (await step(data(), {}, whole(blank))).metrics.loss,
      (await step(data(), { wpo: true }, whole(blank))).metrics.loss,
    ];
    // The step before has moved nothing: without weights there are no activations, and so no gradients.
    expect(weighed).toBeCloseTo(plain, 4);
    const taught = tinyLlama(gpu, 1, { C: 32 });
    const [before, after] = [await step(data(), {}, whole(taught)), await step(data(), { wpo: true }, whole(taught))];
    expect(Math.abs(after.metrics.loss - before.metrics.loss)).toBeGreaterThan(1e-3);
  });
});

test("every loss takes a step that lowers it", async () => {
  for (const loss of PREFERENCE_LOSSES) {
    const options = {
      ...OPTIONS,
      loss,
      labelSmoothing: loss === "exo" ? 1e-3 : 0,
      beta: 0.1,
      pack: true,
      microBatch: 4,
    };
    const trainer = await createDpoStep(whole(tinyLlama(gpu)), options);
    const losses: number[] = [];
    for (let i = 1; i <= 3; i++) {
      await trainer.accumulate(data());
      await trainer.optimizer.update(i, 3e-3);
      losses.push((await trainer.metrics(1)).loss);
    }
    trainer.destroy();
    expect(losses[2], loss).toBeLessThan(losses[0]);
  }
});

test("of a policy with adapters only these are trained", async () => {
  const policy = tinyAdapted(gpu);
  const before = await getWeights(policy.model);
  const trainer = await createDpoStep(policy, OPTIONS);
  const losses: number[] = [];
  for (let i = 1; i <= 4; i++) {
    await trainer.accumulate(data());
    await trainer.optimizer.update(i, 1e-2);
    losses.push((await trainer.metrics(1)).loss);
  }
  trainer.destroy();
  expect(losses[3]).toBeLessThan(losses[0]);
  expect(await getWeights(policy.model)).toEqual(before);
});

describe("what means nothing is refused", () => {
  const refused: [Partial<DpoStepOptions>, string][] = [
    [
      { loss: "hinge", labelSmoothing: 0.1 },
      "Cannot train with loss hinge: label smoothing is 0.1, and this loss knows none",
    ],
    [{ loss: "exo" }, "Cannot train with loss exo: label smoothing is 0, it must be above 0"],
    [{ loss: "robust", labelSmoothing: 0.5 }, "label smoothing is 0.5, it must be below 0.5"],
    [{ labelSmoothing: 0.6 }, "label smoothing is 0.6, it must lie in [0, 0.5]"],
    [{ beta: 0 }, "beta is 0, it must be above 0"],
    [{ loss: "simpo", divergence: "js" }, "Cannot train with loss simpo: it knows no divergence, and divergence is js"],
    [{ divergence: "alpha", divergenceAlpha: 1 }, "divergence alpha has no value at 1"],
    [{ loss: "aot", wpo: true }, "WPO weighs pairs, and sorting takes them apart"],
    [{ loss: "discopop", temperature: 0 }, "temperature is 0, it must lie in (0, 1]"],
    [{ ldAlpha: 2 }, "ldAlpha is 2, it must lie in [0, 1]"],
  ];
  test.each(refused)("options %o", async (change, message) => {
    await expect(createDpoStep(whole(tinyLlama(gpu)), { ...OPTIONS, ...change })).rejects.toThrow(message);
  });

  const pairsRefused: [Partial<DpoStepOptions>, Partial<PreferencePair>, string][] = [
    [
      { loss: "nca" },
      { margin: 0.5 },
      "Cannot train with loss nca: margin of pair 3 of 7 is 0.5, and this loss knows none",
    ],
    [{ loss: "ipo" }, { labelSmoothing: 0.1 }, "Cannot train with loss ipo: label smoothing of pair 3 of 7 is 0.1"],
    [{}, { chosenWeights: [1] }, "Cannot weigh tokens: chosenWeights has 1 numbers for"],
    [
      { loss: "aot", microBatch: 3 },
      {},
      "Cannot train with loss aot: a micro-batch has 1 pair of 7, it sorts at least 2",
    ],
  ];
  test.each(pairsRefused)("options %o with a pair of %o", async (change, own, message) => {
    const trainer = await createDpoStep(whole(tinyLlama(gpu)), { ...OPTIONS, ...change });
    const all = data().map((pair, i) => i === 2 ? { ...pair, ...own } : pair);
    await expect(trainer.accumulate(all)).rejects.toThrow(message);
    trainer.destroy();
  });
});
