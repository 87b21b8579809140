// The step of PPO where it serves GRPO and RLOO: no value head, aggregation, adapters, temperature, penalty and bonus in the loss.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type Gpu, openGpu, type Weights, write } from "../../src/plan/mod.ts";
import { AGGREGATIONS, aggregationWeights } from "../../src/loss/advantages.ts";
import { getWeights, type Llama } from "../../src/model/llama.ts";
import { createLora } from "../../src/model/lora.ts";
import { createValueHead } from "../../src/model/value_head.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { positionsOf, type Sequence } from "../../src/recipes/batches.ts";
import { adapted, type Policy, whole } from "../../src/recipes/policy.ts";
import { createPpoStep, type PpoStepOptions, type Rollout } from "../../src/recipes/ppo_step.ts";
import { createRolloutScorer, type TokenScores } from "../../src/recipes/rollout_scorer.ts";
import { expectClose, random } from "../kernels/check_op.ts";
import { PAD, sequences, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const OPTIONS: PpoStepOptions = {
  microBatch: 3,
  padId: PAD,
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  aggregation: "dapo",
  reference: false,
  adamw: ADAMW,
  recompute: "none",
};

async function scoresOf(
  model: Llama,
  head: Weights | null,
  all: readonly Sequence[],
  options: { microBatch: number; padId: number; temperature?: number } = OPTIONS,
): Promise<TokenScores[]> {
  const scorer = createRolloutScorer(model, head, options);
  const scores = await scorer.score(all);
  scorer.destroy();
  return scores;
}

/** Rollouts of a model as it is, each with one made-up advantage. */
async function rolloutsOf(
  model: Llama,
  count: number,
  options = OPTIONS,
  head: Weights | null = null,
): Promise<Rollout[]> {
  const all = sequences(count, 3), draw = random(8);
  const scores = await scoresOf(model, head, all, options);
  return all.map((sequence, i) => {
    const advantage = draw() * 2 - 1;
    const { logprobs, values } = scores[i];
    return {
      sequence,
      oldLogprobs: logprobs,
      reference: logprobs,
      advantages: logprobs.map(() => advantage),
      oldValues: values,
      returns: values?.map(() => advantage),
    };
  });
}

/** Loss, metrics and the gradient of every page, before the update. */
async function gradientOf(policy: Pick<Policy, "model" | "trained">, rollouts: readonly Rollout[], options = OPTIONS) {
  const engine = await createPpoStep(policy, null, options);
  await engine.accumulate(rollouts);
  const pages = await createReader(gpu, policy.trained.weights.pages.map(({ gradients }) => gradients!)).read();
  await engine.optimizer.update(1, 1e-3);
  const metrics = await engine.metrics(1);
  engine.destroy();
  return { metrics, pages: pages as Float32Array[] };
}

/** Gradients that differ by rounding only. */
function same(got: readonly Float32Array[], want: readonly Float32Array[]): void {
  want.forEach((page, k) => {
    const largest = Math.max(...Array.from(page, Math.abs));
    expect(largest).toBeGreaterThan(1e-4);
    expectClose(got[k], page, 1e-5 * largest, 1e-4, `page ${k}`);
  });
}

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0);
const tokens = (rollouts: readonly Rollout[]) => rollouts.map(({ oldLogprobs }) => oldLogprobs.length);

describe("ratios of the first epoch are 1 to the bit", () => {
  test("in minibatches of any company: neither neighbours nor the padded length change a row", async () => {
    const model = tinyLlama(gpu), head = createValueHead(gpu, model.config.C);
    const rollouts = await rolloutsOf(model, 12, OPTIONS, head);
    const lengths = rollouts.map(({ sequence }) => positionsOf(sequence));
    expect([Math.min(...lengths), Math.max(...lengths)].map((length) => length > 16)).toEqual([false, true]);
    for (const picked of [[0, 1, 2, 3], [11, 0, 7], [5], [4, 10, 9, 8, 7, 6, 5]]) {
      const engine = await createPpoStep(whole(model), head, OPTIONS);
      await engine.accumulate(picked.map((i) => rollouts[i]));
      const metrics = await engine.metrics(1);
      engine.destroy();
      for (const name of ["policy/approxkl_avg", "policy/clipfrac_avg"]) expect(metrics[name], name).toBe(0);
      expect(metrics["val/ratio"]).toBeCloseTo(1, 6);
      expect(Math.abs(metrics["val/ratio_var"])).toBeLessThan(1e-12);
      expect(metrics["val/clipfrac_avg"]).toBe(0);
    }
  });

  test("with adapters, at a temperature, recomputed: the scorer is the forward pass of the step", async () => {
    const base = tinyLlama(gpu);
    const lora = createLora(base, { rank: 4, alpha: 8, targets: ["self_attn.qkv", "mlp.down_proj"] }, true, 5);
    const draw = random(2);
    for (const { b } of lora.adapters.values()) {
      write(gpu, b, Float32Array.from({ length: b.shape[0] * b.shape[1] }, () => draw() * 0.2 - 0.1));
    }
    const policy = adapted(base, lora);
    const options = { ...OPTIONS, temperature: 0.7, recompute: "block" as const };
    const rollouts = await rolloutsOf(policy.model, 6, options);
    const plain = await scoresOf(policy.reference(), null, rollouts.map(({ sequence }) => sequence), options);
    expect(plain[0].logprobs).not.toEqual(rollouts[0].oldLogprobs);
    const before = await getWeights(base);
    const { metrics, pages } = await gradientOf(policy, rollouts, options);
    expect(metrics["policy/approxkl_avg"]).toBe(0);
    expect(Math.abs(metrics["val/ratio_var"])).toBeLessThan(1e-12);
    expect(metrics.loss).toBeCloseTo(
      -sum(rollouts.map(({ advantages }) => sum(advantages))) / sum(tokens(rollouts)),
      6,
    );
    expect(pages.every((page) => page.some((g) => g !== 0))).toBe(true);
    expect(await getWeights(base), "the frozen model").toEqual(before);
    const after = await scoresOf(policy.model, null, rollouts.map(({ sequence }) => sequence), options);
    expect(after[0].logprobs).not.toEqual(rollouts[0].oldLogprobs);
  });
});

describe("what a token counts for", () => {
  for (const aggregation of AGGREGATIONS) {
    test(`${aggregation}: loss and gradient are sums of tokens by its weights, however the step is split`, async () => {
      const options = { ...OPTIONS, aggregation, maxLength: 25, klCoefficient: 0.1, reference: true };
      const model = tinyLlama(gpu);
      const rollouts = (await rolloutsOf(model, 7)).toSorted((a, b) =>
        positionsOf(a.sequence) - positionsOf(b.sequence)
      );
      const weights = aggregationWeights(aggregation, tokens(rollouts), { maxLength: 25, localBatch: 3 });
      const { metrics, pages } = await gradientOf(whole(model), rollouts, options);
      const want = -sum(rollouts.map(({ advantages }, i) => weights[i] * sum(advantages)));
      expect(metrics.loss).toBeCloseTo(want, 5);
      expect(metrics["loss/kl_avg"]).toBe(0);
      // The same by sequences of one micro-batch each, whose weights are told by their advantages.
      const total = sum(tokens(rollouts));
      const plain = rollouts.map((rollout, i) => ({
        ...rollout,
        advantages: Array.from(rollout.advantages, (a) => a * weights[i] * total),
      }));
      const again = await gradientOf(whole(tinyLlama(gpu)), plain, { ...OPTIONS, microBatch: 1 });
      same(again.pages, pages);
    });
  }

  test("metrics are token means, whatever the aggregation", async () => {
    const model = tinyLlama(gpu);
    const rollouts = (await rolloutsOf(model, 7)).map((rollout) => ({
      ...rollout,
      oldLogprobs: Array.from(rollout.oldLogprobs, (lp, t) => lp - 0.1 * (t % 3)),
    }));
    const means = rollouts.map(({ oldLogprobs }) => sum(Array.from(oldLogprobs, (_, t) => 0.005 * (t % 3) ** 2)));
    for (const aggregation of AGGREGATIONS) {
      const { metrics } = await gradientOf(whole(tinyLlama(gpu)), rollouts, { ...OPTIONS, aggregation, maxLength: 99 });
      expect(metrics["policy/approxkl_avg"]).toBeCloseTo(sum(means) / sum(tokens(rollouts)), 5);
    }
  });

  test("not what stands behind the end: another pad token or a longer neighbour changes rounding at most", async () => {
    const rollouts = await rolloutsOf(tinyLlama(gpu), 3);
    const plain = await gradientOf(whole(tinyLlama(gpu)), rollouts);
    const padded = await gradientOf(whole(tinyLlama(gpu)), rollouts, { ...OPTIONS, padId: 17 });
    const { grad_norm: _, ...metrics } = plain.metrics;
    expect(padded.metrics).toMatchObject(metrics);
    same(padded.pages, plain.pages);
    // The neighbour has no advantage, so it moves nothing; but every weight is by the tokens of all.
    const all = [
      ...rollouts,
      ...(await rolloutsOf(tinyLlama(gpu), 5)).slice(4).map((each) => ({
        ...each,
        advantages: Array.from(each.advantages, () => 0),
      })),
    ];
    const share = sum(tokens(rollouts)) / sum(tokens(all));
    const longer = await gradientOf(whole(tinyLlama(gpu)), all, { ...OPTIONS, microBatch: 4 });
    same(longer.pages, plain.pages.map((page) => page.map((g) => g * share)));
  });
});

describe("penalty, bonus and temperature", () => {
  test("logits are divided by the temperature: a model whose final gain is divided by it says the same", async () => {
    const model = tinyLlama(gpu), cold = tinyLlama(gpu), all = sequences(4, 3);
    write(gpu, cold.weights.tensors.get("model.norm.weight")!, new Float32Array(cold.config.C).fill(1 / 0.7));
    const got = await scoresOf(model, null, all, { ...OPTIONS, temperature: 0.7 });
    const want = await scoresOf(cold, null, all);
    got.forEach(({ logprobs, entropies }, i) => {
      expectClose(logprobs, want[i].logprobs, 1e-5, 1e-5, "log-probabilities");
      expectClose(entropies, want[i].entropies, 1e-5, 1e-5, "entropies");
    });
    expect(sum((await scoresOf(model, null, all))[0].entropies)).toBeGreaterThan(sum(got[0].entropies));
  });

  test("the entropy bonus alone raises the entropy that the scorer reports, and a negative one lowers it", async () => {
    for (const sign of [1, -1]) {
      const model = tinyLlama(gpu, 4);
      write(gpu, model.weights.tensors.get("model.norm.weight")!, new Float32Array(model.config.C).fill(6)); // far from uniform
      const rollouts = (await rolloutsOf(model, 6)).map((each) => ({
        ...each,
        advantages: Array.from(each.oldLogprobs, () => 0),
      }));
      const entropy = async () => {
        const scores = await scoresOf(model, null, rollouts.map(({ sequence }) => sequence));
        return sum(scores.flatMap(({ entropies }) => entropies)) / sum(tokens(rollouts));
      };
      const before = await entropy();
      const engine = await createPpoStep(whole(model), null, { ...OPTIONS, entropyCoefficient: 0.01 * sign });
      for (let step = 1; step <= 4; step++) {
        await engine.accumulate(rollouts);
        await engine.optimizer.update(step, 0.003);
        const metrics = await engine.metrics(1);
        if (step === 1) {
          expect(metrics["policy/entropy_avg"]).toBeCloseTo(before, 4);
          expect(metrics.loss).toBeCloseTo(-0.01 * sign * before, 6);
        }
      }
      engine.destroy();
      expect(sign * (await entropy() - before)).toBeGreaterThan(0.01);
    }
  });

  test("a step has metrics of what it has: no critic, no reference", async () => {
    const model = tinyLlama(gpu);
    const rollouts = (await rolloutsOf(model, 4)).map(({ sequence, oldLogprobs, advantages }) => ({
      sequence,
      oldLogprobs,
      advantages,
    }));
    const { metrics } = await gradientOf(whole(model), rollouts);
    expect(Object.keys(metrics).sort()).toEqual([
      "grad_norm",
      "loss",
      "loss/policy_avg",
      "policy/approxkl_avg",
      "policy/clipfrac_avg",
      "policy/clipfrac_high",
      "policy/entropy_avg",
      "val/ratio",
      "val/ratio_var",
    ]);
    await expect(createPpoStep(whole(model), null, { ...OPTIONS, klCoefficient: 0.1 })).rejects.toThrow(
      "Cannot train with klCoefficient 0.1: rollouts come without a reference",
    );
    await expect(createPpoStep(whole(model), null, { ...OPTIONS, aggregation: "dr-grpo" })).rejects.toThrow(
      "Cannot aggregate by dr-grpo: maxLength is undefined",
    );
    const engine = await createPpoStep(whole(model), null, { ...OPTIONS, reference: true });
    await expect(engine.accumulate(rollouts)).rejects.toThrow("reference has 0 numbers");
    engine.destroy();
  });

  test("gspo and cispo through the whole step: finite, and in the first epoch the gradient of the clipped surrogate", async () => {
    const rollouts = await rolloutsOf(tinyLlama(gpu), 4);
    const plain = await gradientOf(whole(tinyLlama(gpu)), rollouts);
    for (const surrogate of ["gspo", "cispo"] as const) {
      const { pages } = await gradientOf(whole(tinyLlama(gpu)), rollouts, { ...OPTIONS, surrogate });
      pages.forEach((page, k) => expect(page, `${surrogate}, page ${k}`).toEqual(plain.pages[k]));
    }
  });
});
