import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, createReader, type Gpu, openGpu, persistent, Plan, type Weights, write } from "../../src/plan/mod.ts";
import { gae } from "../../src/loss/advantages.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import type { Llama } from "../../src/model/llama.ts";
import { createValueHead } from "../../src/model/value_head.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "../../src/recipes/batches.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createPpoStep, type PpoStepOptions, type Rollout } from "../../src/recipes/ppo_step.ts";
import { createRolloutScorer } from "../../src/recipes/rollout_scorer.ts";
import { batchInputs, score, writeBatch } from "../../src/recipes/scorer.ts";
import { expectClose, random } from "../kernels/check_op.ts";
import { PAD, sequences, TINY, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const OPTIONS: PpoStepOptions = {
  microBatch: 7,
  padId: PAD,
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  aggregation: "dapo",
  reference: true,
  valueClip: 0.2,
  valueFactor: 0.1,
  adamw: ADAMW,
  recompute: "none",
};

function filledHead(C = TINY.C, seed = 3): Weights {
  const head = createValueHead(gpu, C);
  const draw = random(seed);
  write(gpu, head.tensors.get("value_head.weight")!, Float32Array.from({ length: C }, () => draw() - 0.5));
  return head;
}

/** Seven rollouts under the model as it is, with made-up rewards behind them. */
async function rolloutsOf(model: Llama, head: Weights, options = OPTIONS): Promise<Rollout[]> {
  const all = sequences(7, 3);
  const draw = random(53);
  const scorer = createRolloutScorer(model, head, options);
  const scores = await scorer.score(all);
  scorer.destroy();
  return all.map((sequence, i) => {
    const { logprobs, values } = scores[i];
    const numbers = (spread: number) => logprobs.map(() => (draw() * 2 - 1) * spread);
    const reference = numbers(0.3).map((shift, t) => logprobs[t] + shift);
    return {
      sequence,
      oldLogprobs: logprobs,
      oldValues: values,
      reference,
      advantages: numbers(1),
      returns: numbers(2),
    };
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const tokensOf = (rollouts: readonly Rollout[], name: Exclude<keyof Rollout, "sequence">) =>
  rollouts.flatMap((rollout) => Array.from(rollout[name]!));

async function oneStep(change: Partial<PpoStepOptions> = {}, reorder = (rollouts: Rollout[]) => rollouts) {
  const model = tinyLlama(gpu), head = filledHead();
  const rollouts = reorder(await rolloutsOf(model, head, { ...OPTIONS, ...change }));
  const engine = await createPpoStep(whole(model), head, { ...OPTIONS, ...change });
  await engine.accumulate(rollouts);
  await engine.optimizer.update(1, 1e-3);
  const metrics = await engine.metrics(1);
  engine.destroy();
  return { metrics, rollouts };
}

describe("the first pass over rollouts", () => {
  test("ratios are 1 to the bit, nothing is clipped, and the loss is -mean(A) plus the value error", async () => {
    const { metrics, rollouts } = await oneStep();
    const [advantages, values, returns] = (["advantages", "oldValues", "returns"] as const).map((name) =>
      tokensOf(rollouts, name)
    );
    for (const name of ["policy/approxkl_avg", "policy/clipfrac_avg", "val/clipfrac_avg"]) {
      expect(metrics[name], name).toBe(0);
    }
    expect(metrics["val/ratio"]).toBeCloseTo(1, 6);
    expect(metrics["val/ratio_var"]).toBeCloseTo(0, 10);
    const errors = returns.map((value, i) => value - values[i]);
    const valueLoss = mean(errors.map((error) => error ** 2)) / 2;
    expect(metrics["loss/policy_avg"]).toBeCloseTo(-mean(advantages), 6);
    expect(metrics["loss/value_avg"]).toBeCloseTo(valueLoss, 5);
    expect(metrics.loss).toBeCloseTo(-mean(advantages) + 0.1 * valueLoss, 5);
    const variance = (of: number[]) => mean(of.map((value) => value ** 2)) - mean(of) ** 2;
    expect(metrics["val/explained_variance"]).toBeCloseTo(1 - variance(errors) / variance(returns), 5);
    expect(metrics["val/mean"]).toBeCloseTo(mean(values), 5);
    const logRatios = tokensOf(rollouts, "oldLogprobs").map((lp, i) => lp - tokensOf(rollouts, "reference")[i]);
    expect(metrics["policy/reference_k1"]).toBeCloseTo(mean(logRatios), 5);
    expect(metrics["policy/reference_k3"]).toBeCloseTo(mean(logRatios.map((l) => Math.exp(-l) - 1 + l)), 5);
  });

  test("the gradient is the policy gradient: that of -A log-probability, token by token", async () => {
    const model = tinyLlama(gpu), head = filledHead();
    const rollouts = await rolloutsOf(model, head);
    const engine = await createPpoStep(whole(model), head, { ...OPTIONS, valueFactor: 0 });
    const tokens = await engine.accumulate(rollouts);
    const pages = model.weights.pages.map(({ gradients }) => gradients!);
    const reader = createReader(gpu, [...pages, head.pages[0].gradients!]);
    const got = await reader.read();
    expect(got.at(-1)!.every((value) => value === 0), "the head gets nothing").toBe(true);

    const all = rollouts.map(({ sequence }) => sequence);
    const T = bucketOf(Math.max(...all.map(positionsOf)));
    const inputs = batchInputs(model, all.length, T);
    const weights = persistent(gpu, "weights", [all.length, T]);
    const plan = new Plan("reinforce", gpu);
    plan.backward(sftLoss(plan, score(plan, model, inputs, "none").logprob, weights), model.one);
    const executable = await compile(gpu, plan);
    const arrays = batchArrays(all, all.length, T, PAD);
    writeBatch(model, inputs, arrays);
    const signal = new Float32Array(all.length * T);
    rollouts.forEach(({ sequence, advantages }, b) => {
      for (let k = 0; k < advantages.length; k++) {
        signal[b * T + sequence.promptLength - 1 + k] = -advantages[k] / tokens;
      }
    });
    write(gpu, weights, signal);
    for (const page of pages) write(gpu, page, new Float32Array(page.shape[0]));
    await executable.run();
    const want = await createReader(gpu, pages).read();
    want.forEach((page, i) => {
      const largest = Math.max(...Array.from(page, Math.abs));
      expect(largest).toBeGreaterThan(1e-4);
      expectClose(got[i], page, 1e-6 * largest, 1e-4, `page ${i}`);
    });
    engine.destroy();
  });
});

describe("a PPO step", () => {
  test("the split into micro-batches and the order of rollouts change rounding only, recomputation nothing", async () => {
    const { metrics: plain } = await oneStep();
    const { metrics: split } = await oneStep({ microBatch: 3 }, (rollouts) => rollouts.toReversed());
    expect(Object.keys(split)).toEqual(Object.keys(plain));
    for (const [name, value] of Object.entries(plain)) expect(split[name], name).toBeCloseTo(value, 4);
    expect((await oneStep({ recompute: "block" })).metrics).toEqual(plain);
  });

  test("later epochs on the same rollouts: ratios leave 1, tokens get clipped, and sums outlive a restart", async () => {
    const model = tinyLlama(gpu), head = filledHead();
    const rollouts = await rolloutsOf(model, head);
    const engine = await createPpoStep(whole(model), head, { ...OPTIONS, microBatch: 3 });
    for (let epoch = 1; epoch <= 4; epoch++) {
      await engine.accumulate(rollouts);
      await engine.optimizer.update(epoch, 0.01);
    }
    const sums = await engine.sums();
    const over = await engine.metrics(4);
    expect(over["policy/clipfrac_avg"]).toBeGreaterThan(0.05);
    expect(over["policy/approxkl_avg"]).toBeGreaterThan(0.001);
    expect(over["val/ratio_var"]).toBeGreaterThan(0.001);
    expect(over["loss/policy_avg"]).toBeLessThan(-mean(tokensOf(rollouts, "advantages"))); // better than at ratio 1
    expect((await engine.metrics(1)).loss).toBe(0);
    engine.restoreSums(sums);
    expect(await engine.metrics(4)).toEqual(over);
    engine.destroy();
  });

  test("a rollout whose numbers are not one per completion token is refused", async () => {
    const model = tinyLlama(gpu), head = filledHead();
    const [rollout] = await rolloutsOf(model, head);
    const engine = await createPpoStep(whole(model), head, OPTIONS);
    const short = { ...rollout, returns: Array.from(rollout.returns!).slice(1) };
    const tokens = rollout.advantages.length;
    await expect(engine.accumulate([rollout, short])).rejects.toThrow(
      `Cannot train on a rollout: returns has ${tokens - 1} numbers for ${tokens} completion tokens`,
    );
    engine.destroy();
  });
});

test("under a constant policy the values become the chance of a reward", async () => {
  const model = tinyLlama(gpu), head = createValueHead(gpu, TINY.C);
  const sequence: Sequence = { tokens: [1, 5, 9, 2], promptLength: 2 };
  const scorer = createRolloutScorer(model, head, OPTIONS);
  expect((await scorer.score([sequence]))[0].values).toEqual([0, 0]); // a head of zeros
  const engine = await createPpoStep(whole(model), head, { ...OPTIONS, microBatch: 4, valueClip: 10, valueFactor: 1 });
  const zeros = [0, 0];
  for (let step = 1; step <= 40; step++) {
    const rollouts = [1, 0, 1, 1].map((reward): Rollout => ({
      sequence,
      oldLogprobs: zeros,
      oldValues: zeros,
      reference: zeros,
      advantages: zeros,
      returns: gae([0, reward], zeros, 1, 1).returns, // the reward at the end is the return of every token
    }));
    await engine.accumulate(rollouts);
    await engine.optimizer.update(step, 0.02 * (1 - step / 41));
  }
  engine.destroy();
  expectClose((await scorer.score([sequence]))[0].values!, [0.75, 0.75], 0.02, 0, "values");
});
