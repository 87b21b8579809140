import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { type Gpu, openGpu, type Weights, write } from "../../src/plan/mod.ts";
import { gae, groupAdvantages, klRewards, whiten } from "../../src/loss/advantages.ts";
import { parseConfig } from "../../src/model/config.ts";
import { createLlama, getWeights, type Llama, setWeights } from "../../src/model/llama.ts";
import { createValueHead } from "../../src/model/value_head.ts";
import { joinWeights } from "../../src/model/weights.ts";
import { readSafetensors } from "../../src/files/safetensors.ts";
import type { Sequence } from "../../src/recipes/batches.ts";
import { whole } from "../../src/recipes/policy.ts";
import { createPpoStep, type Rollout } from "../../src/recipes/ppo_step.ts";
import { createRolloutScorer } from "../../src/recipes/rollout_scorer.ts";
import { expectClose } from "../kernels/check_op.ts";

// test/golden/ppo_torch.py made these files with torch autograd in float64: ten steps of PPO and of GRPO on one batch of rollouts.
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const read = (path: string) => readFileSync(new URL(`../golden/${path}`, import.meta.url));
const golden = JSON.parse(read("ppo_torch/golden.json").toString());
const tensorsOf = (path: string) => readSafetensors(read(path), path).tensors;
const initial = tensorsOf("llama_torch_tied/model.safetensors");

interface Batch {
  ids: number[][];
  lengths: number[];
  promptLengths: number[];
}
const sequencesOf = (batch: Batch): Sequence[] =>
  batch.ids.map((row, b) => ({ tokens: row.slice(0, batch.lengths[b]), promptLength: batch.promptLengths[b] }));

function load(): { model: Llama; head: Weights } {
  const model = createLlama(gpu, parseConfig(read("llama_torch_tied/config.json").toString(), "config.json"), true);
  setWeights(model, initial, "model.safetensors");
  const head = createValueHead(gpu, model.config.C);
  write(gpu, head.tensors.get("value_head.weight")!, Float32Array.from(golden.valueHead));
  return { model, head };
}

const relative = (got: number, want: number) => Math.abs(got - want) / Math.max(1e-3, Math.abs(want));

/** Ten steps on the given rollouts, compared row by row, and the weights behind them. */
async function compareSteps(
  name: "ppo" | "grpo",
  model: Llama,
  head: Weights | null,
  rollouts: Rollout[],
  microBatch: number,
) {
  const { options: o, steps } = golden[name];
  const engine = await createPpoStep(whole(model), head, {
    microBatch,
    padId: golden.padId,
    clipLow: o.clipLow,
    clipHigh: o.clipHigh,
    dualClip: 0,
    aggregation: name === "ppo" ? "dapo" : "grpo",
    reference: true,
    temperature: o.temperature,
    valueClip: o.valueClip,
    valueFactor: o.valueFactor,
    entropyCoefficient: o.entropyCoefficient,
    ...(name === "grpo" ? { klCoefficient: o.klCoefficient, klLoss: "k3" } : {}),
    adamw: { beta1: o.betas[0], beta2: o.betas[1], eps: o.eps, weightDecay: o.weightDecay, maxGradNorm: o.maxGradNorm },
    recompute: "none",
  });
  for (const [i, want] of steps.entries()) {
    await engine.accumulate(rollouts);
    await engine.optimizer.update(i + 1, o.lr);
    const got = await engine.metrics(1);
    const where = `step ${i + 1}`;
    const pairs = {
      loss: "loss",
      policyLoss: "loss/policy_avg",
      entropy: "policy/entropy_avg",
      approxkl: "policy/approxkl_avg",
      ...(name === "ppo" ? { valueLoss: "loss/value_avg" } : { klLoss: "loss/kl_avg" }),
    };
    for (const [key, metric] of Object.entries(pairs)) {
      expect(Math.abs(got[metric] - want[key]), `${metric} of ${where}: ${got[metric]}`).toBeLessThan(1e-4);
    }
    expect(got["policy/clipfrac_avg"], where).toBeCloseTo(want.clipfrac, 6);
    expect(relative(got.grad_norm, want.gradNorm), `gradient norm of ${where}`).toBeLessThan(1e-3);
    if (i === 0 || i === steps.length - 1) await compareMoves(model, head, want.moved, where);
  }
  engine.destroy();
  const final = tensorsOf(`ppo_torch/${name}.safetensors`);
  const trained = { gpu, weights: head ? joinWeights(model.weights, head) : model.weights };
  for (const [key, { data }] of await getWeights(trained)) {
    expectClose(data, final.get(key)!.data, 1e-5, 1e-3, `${key} after ten steps`);
  }
}

/** How far every weight is from its start: a weight that hardly moves agrees with torch even if it moves the wrong way. */
async function compareMoves(model: Llama, head: Weights | null, moved: Record<string, number>, where: string) {
  const trained = { gpu, weights: head ? joinWeights(model.weights, head) : model.weights };
  for (const [name, { data }] of await getWeights(trained)) {
    const start = initial.get(name)?.data ?? golden.valueHead;
    const distance = Math.sqrt(data.reduce((sum, w, i) => sum + (w - start[i]) ** 2, 0));
    expect(relative(distance, moved[name]), `how far ${name} is from its start at ${where}`).toBeLessThan(5e-3);
  }
}

const rowsClose = (got: readonly ArrayLike<number>[], want: number[][], within: number, what: string) =>
  got.forEach((row, b) => expectClose(row, want[b], within, within, `${what} of sequence ${b}`));

describe("agreement with torch", () => {
  test("PPO from scores to weights: log-probabilities, values, rewards, GAE, whitening, ten steps", async () => {
    const { ppo } = golden;
    const { options: o } = ppo;
    const { model, head } = load();
    const sequences = sequencesOf(ppo);
    const scorer = createRolloutScorer(model, head, { microBatch: 2, padId: golden.padId, temperature: o.temperature });
    const scored = await scorer.score(sequences);
    scorer.destroy();
    rowsClose(scored.map(({ logprobs }) => logprobs), ppo.old, 1e-5, "log-probabilities");
    rowsClose(scored.map(({ values }) => values!), ppo.values, 1e-5, "values");
    const estimates = scored.map(({ logprobs, values }, b) =>
      gae(klRewards(logprobs, ppo.reference[b], o.klCoefficient, ppo.scores[b]), values!, o.gamma, o.lambda)
    );
    const advantages = whiten(estimates.map((each) => each.advantages));
    rowsClose(advantages, ppo.advantages, 2e-5, "advantages");
    rowsClose(estimates.map(({ returns }) => returns), ppo.returns, 2e-5, "returns");
    const rollouts = sequences.map((sequence, b): Rollout => ({
      sequence,
      oldLogprobs: scored[b].logprobs,
      oldValues: scored[b].values,
      reference: ppo.reference[b],
      advantages: advantages[b],
      returns: estimates[b].returns,
    }));
    await compareSteps("ppo", model, head, rollouts, 3);
  });

  test("GRPO with k3 in the loss and a mean of means, ten steps", async () => {
    const { grpo } = golden;
    const { model } = load();
    const sequences = sequencesOf(grpo);
    const scorer = createRolloutScorer(model, null, { microBatch: 4, padId: golden.padId });
    const scored = await scorer.score(sequences);
    scorer.destroy();
    rowsClose(scored.map(({ logprobs }) => logprobs), grpo.old, 1e-5, "log-probabilities");
    const size = grpo.options.groupSize;
    const scores: number[] = grpo.scores;
    const worth = [0, 1].flatMap((g) => groupAdvantages(scores.slice(g * size, (g + 1) * size), { kind: "trl" }));
    const rollouts = sequences.map((sequence, b): Rollout => ({
      sequence,
      oldLogprobs: scored[b].logprobs,
      reference: grpo.reference[b],
      advantages: scored[b].logprobs.map(() => worth[b]),
    }));
    rowsClose(rollouts.map(({ advantages }) => advantages), grpo.advantages, 1e-9, "advantages");
    await compareSteps("grpo", model, null, rollouts, 4);
  });
});
