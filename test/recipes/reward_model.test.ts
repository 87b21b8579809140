import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { readSafetensors, writeSafetensors } from "../../src/files/safetensors.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { formatConfig } from "../../src/model/config.ts";
import { getWeights } from "../../src/model/weights.ts";
import type { RewardHead } from "../../src/model/reward_head.ts";
import { createRewardNetwork, type RewardNetwork } from "../../src/recipes/reward_network.ts";
import { rewardTokens } from "../../src/recipes/reward_input.ts";
import {
  loadReward,
  REWARD,
  type RewardConfig,
  type RewardPair,
  rewardShape,
  saveReward,
  startRewardNetwork,
  trainReward,
} from "../../src/recipes/reward_model.ts";
import { createRewardScorer, createRewardStep } from "../../src/recipes/reward_step.ts";
import { ADAMW } from "../../src/optim/adamw.ts";
import { random } from "../kernels/check_op.ts";
import { checkpointHashes, metricsOf, tinyLlama } from "./tiny.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const SPECIAL = { bosId: 1, eosId: 2, padId: 0, vocabSize: 40 };
const CONFIG: RewardConfig = {
  ...REWARD,
  budgets: { prompt: 4, code: 8, trace: 14 },
  width: 16,
  layers: 1,
  heads: 2,
  steps: 8,
  batchSize: 5,
  microBatch: 2,
  learningRate: 0.003,
  warmup: 2,
  logEvery: 3,
  checkpointEvery: 4, // not on logging steps
};

/** Pairs of one prompt; the better code has more of token 7, at any place. */
function pairs(count: number, seed: number): RewardPair[] {
  const next = random(seed);
  const words = (length: number) => Array.from({ length }, () => 8 + Math.floor(next() * 32));
  const length = (most: number) => 2 + Math.floor(next() * (most - 1));
  return Array.from({ length: count }, (_, i) => {
    const prompt = words(3);
    const side = (marked: number) => {
      const code = words(length(8));
      for (let k = 0; k < marked; k++) code[Math.floor(next() * code.length)] = 7;
      return { prompt, code, trace: words(length(14)) };
    };
    return { chosen: side(2), rejected: side(0), margin: [1, 0.5, 0.1][i % 3] };
  });
}

const network = (config: RewardConfig = CONFIG): Promise<RewardNetwork> =>
  startRewardNetwork(memoryHost(), gpu, config, SPECIAL);
const given = async (config = CONFIG, host = memoryHost(), data = pairs(7, 3)) => ({
  host,
  network: await network(config),
  pairs: data,
  special: SPECIAL,
  checkpoints: "run/checkpoints",
});
const tokensOf = (data: readonly RewardPair[], config = CONFIG) =>
  data.flatMap(({ chosen, rejected }) => [chosen, rejected].map((side) => rewardTokens(side, SPECIAL, config)));

const BODIES: [architecture: RewardConfig["architecture"], head: RewardHead][] = [
  ["encoder", "cls"],
  ["encoder", "mean"],
  ["decoder", "last"],
];

describe.each(BODIES)("a reward model of kind %s with head %s", (architecture, head) => {
  test("learns sixteen pairs by heart, and centring keeps its rewards around 0", async () => {
    const config = { ...CONFIG, architecture, head, steps: 60, batchSize: 16, microBatch: 16, learningRate: 0.01 };
    const all = await given({ ...config, logEvery: 60 }, memoryHost(), pairs(16, 5));
    const logged = await metricsOf(trainReward({ ...config, logEvery: 60 }, all));
    const scorer = createRewardScorer(all.network, 8, SPECIAL.padId);
    const scores = await scorer.score(tokensOf(all.pairs));
    scorer.destroy();
    const right = all.pairs.filter((_, i) => scores[2 * i] > scores[2 * i + 1]).length;
    expect(right).toBe(16);
    expect(Math.abs(logged[1].metrics.mean_reward)).toBeLessThan(1);
    expect(logged[1].metrics.loss).toBeLessThan(logged[0].metrics.loss / 2);
  });

  test("scores a sequence alike in any batch, at any place and with any padding", async () => {
    const model = await network({ ...CONFIG, architecture, head });
    const rows = tokensOf(pairs(5, 8));
    const [small, large] = [createRewardScorer(model, 2, SPECIAL.padId), createRewardScorer(model, 10, 33)];
    const there = await small.score(rows);
    const back = await large.score([...rows].reverse());
    expect(new Set(there).size).toBe(rows.length);
    rows.forEach((_, i) => expect(back[rows.length - 1 - i]).toBeCloseTo(there[i], 5));
    small.destroy();
    large.destroy();
  });
});

describe("a reward model, continued", () => {
  let whole: Awaited<ReturnType<typeof metricsOf>>;
  let files: string[];
  beforeAll(async () => {
    const all = await given();
    whole = await metricsOf(trainReward(CONFIG, all));
    files = await checkpointHashes(all.host, all.checkpoints, CONFIG.steps);
  });

  test("a crash behind a checkpoint between logging steps: metrics, weights and moments to the bit", async () => {
    const first = await given();
    const before = await metricsOf(trainReward(CONFIG, first), (event) => event.type === "step" && event.step === 6);
    const other = await given({ ...CONFIG, seed: 99 }, first.host);
    const after = await metricsOf(trainReward(CONFIG, other));
    expect(after.map(({ step }) => step)).toEqual([6, 8]); // from step 4 on
    expect([...before.slice(0, 2), ...after]).toEqual(whole);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("a stop and a new process: the same", async () => {
    const stop = new AbortController();
    stop.abort();
    const first = await given();
    const before = await metricsOf(trainReward(CONFIG, first, stop.signal));
    const after = await metricsOf(trainReward(CONFIG, await given({ ...CONFIG, seed: 99 }, first.host)));
    expect([...before, ...after]).toEqual(whole);
    expect(await checkpointHashes(first.host, first.checkpoints, CONFIG.steps)).toEqual(files);
  });

  test("the metrics are TRL's", () => {
    const names = ["accuracy", "margin", "min_reward", "mean_reward", "max_reward", "num_tokens", "grad_norm"];
    expect(Object.keys(whole[0].metrics)).toEqual(expect.arrayContaining(["loss", ...names, "learning_rate", "epoch"]));
    for (const { metrics } of whole) {
      expect(metrics.min_reward).toBeLessThanOrEqual(metrics.mean_reward);
      expect(metrics.mean_reward).toBeLessThanOrEqual(metrics.max_reward);
    }
  });
});

test("micro-batches of any size give the same loss, metrics of pairs and gradient", async () => {
  const items = pairs(7, 3).map(({ chosen, rejected, margin }) => ({
    chosen: rewardTokens(chosen, SPECIAL, CONFIG),
    rejected: rewardTokens(rejected, SPECIAL, CONFIG),
    margin,
  }));
  const runs = [];
  for (const microBatch of [7, 2]) {
    const options = { microBatch, padId: 0, center: 0.01, adamw: ADAMW, recompute: "none" as const };
    const step = await createRewardStep(await network(), options);
    await step.accumulate(items);
    await step.optimizer.update(1, 1e-3);
    runs.push(await step.metrics(1));
    step.destroy();
  }
  const [whole, split] = runs;
  for (const name of ["loss", "accuracy", "margin", "mean_reward", "grad_norm"]) {
    expect(split[name], name).toBeCloseTo(whole[name], 5);
  }
});

test("margins count only where they are asked for", async () => {
  const loss = async (margins: boolean, data: RewardPair[]) => {
    const config = { ...CONFIG, margins, steps: 1, batchSize: 7 };
    return (await metricsOf(trainReward(config, await given(config, memoryHost(), data))))[0].metrics.loss;
  };
  const [data, bare] = [pairs(7, 3), pairs(7, 3).map((pair) => ({ ...pair, margin: 0 }))];
  expect(await loss(true, data)).toBeGreaterThan(await loss(false, data));
  expect(await loss(false, data)).toBe(await loss(true, bare));
});

describe("a folder", () => {
  test("of a reward model scores as the one that was saved, and names what is wrong with it", async () => {
    const host = memoryHost({ "tokenizer/tokenizer.json": "{}" });
    for (const [architecture, head] of BODIES) {
      const saved = await network({ ...CONFIG, architecture, head });
      const { budgets } = CONFIG;
      const model = {
        network: saved,
        layout: { budgets, includeOutcome: false },
        gain: 1.5,
        bias: -0.25,
        temperature: 2,
      };
      await saveReward(host, model, "rm", "tokenizer");
      const { network: loaded, ...rest } = await loadReward(host, gpu, "rm");
      expect(rest).toEqual({ layout: model.layout, gain: 1.5, bias: -0.25, temperature: 2 });
      expect([loaded.headKind, loaded.body.architecture, loaded.longest]).toEqual([head, architecture, saved.longest]);
      const scores = [];
      for (const each of [saved, loaded]) {
        const scorer = createRewardScorer(each, 4, SPECIAL.padId);
        scores.push(await scorer.score(tokensOf(pairs(3, 1))));
        scorer.destroy();
      }
      expect(scores[1]).toEqual(scores[0]);
    }
    expect(await host.exists("rm/tokenizer.json")).toBe(true);
    const file = JSON.parse(await host.readText("rm/reward.json"));
    await host.write("rm/reward.json", JSON.stringify({ ...file, gain: "large" }));
    await expect(loadReward(host, gpu, "rm")).rejects.toThrow(
      "Cannot load rm/reward.json: gain is large, not a number",
    );
    await host.write("rm/reward.json", JSON.stringify({ ...file, head: "mean" }));
    await expect(loadReward(host, gpu, "rm")).resolves.toBeDefined(); // both kinds of decoder heads are one row
    const bytes = readSafetensors(await host.readBytes("rm/model.safetensors"), "m").tensors;
    bytes.delete("score.weight");
    await host.write("rm/model.safetensors", writeSafetensors(bytes));
    await expect(loadReward(host, gpu, "rm")).rejects.toThrow('rm/model.safetensors: tensor "score.weight" is missing');
  });

  test("of the policy starts a decoder: its body as it is, its head from the seed", async () => {
    const policy = tinyLlama(gpu, 4);
    const host = memoryHost({ "policy/config.json": formatConfig(policy.config) });
    const weights = await getWeights(policy);
    await host.write("policy/model.safetensors", writeSafetensors(weights));
    const config: RewardConfig = { ...CONFIG, architecture: "decoder", head: "last" };
    const start = (seed: number) => startRewardNetwork(host, gpu, { ...config, seed }, SPECIAL, "policy");
    const [one, two] = [await getWeights((await start(1)).trained), await getWeights((await start(2)).trained)];
    for (const [name, { data }] of weights) expect(one.get(name)!.data, name).toEqual(data);
    expect(one.get("score.weight")!.data).not.toEqual(two.get("score.weight")!.data);
    expect(one.get("score.bias")!.data).toEqual(Float32Array.of(0));
    // Tokens of another vocabulary would be read as whatever stands at their numbers.
    const other = { ...SPECIAL, vocabSize: policy.config.V + 1 };
    await expect(startRewardNetwork(host, gpu, config, other, "policy")).rejects.toThrow(
      `Cannot train a reward model from policy: the tokenizer has ${policy.config.V + 1} tokens, its config.json`,
    );
  });

  test("with too few positions for the budgets is refused", async () => {
    const shape = rewardShape({ ...CONFIG, budgets: { prompt: 4, code: 4, trace: 4 } }, SPECIAL);
    const small = createRewardNetwork(gpu, shape, "mean", true);
    const host = memoryHost();
    await saveReward(
      host,
      { network: small, layout: CONFIG, gain: 1, bias: 0, temperature: 1 },
      "small",
      "nowhere",
    );
    await expect(startRewardNetwork(host, gpu, CONFIG, SPECIAL, "small")).rejects.toThrow(
      "Cannot train a reward model from small: it has room for 16 tokens, the budgets need 30",
    );
  });
});

describe("what cannot be is refused", () => {
  test("no pairs", async () => {
    await expect(metricsOf(trainReward(CONFIG, await given(CONFIG, memoryHost(), [])))).rejects.toThrow(
      "Cannot train a reward model: no preference pairs",
    );
  });
  test("the first token of a decoder, which has seen nothing", async () => {
    await expect(network({ ...CONFIG, architecture: "decoder", head: "cls" })).rejects.toThrow(
      "Cannot create a reward model: head cls on a model of kind decoder",
    );
  });
  test("heads that are no multiple of 4", async () => {
    await expect(network({ ...CONFIG, width: 18 })).rejects.toThrow("width 18 over 2 heads gives heads of 9");
  });
  test("a part beyond its budget", () => {
    const parts = { prompt: [5, 5], code: [6], trace: Array(15).fill(9) };
    expect(() => rewardTokens(parts, SPECIAL, CONFIG)).toThrow("trace has 15 tokens, its budget is 14");
  });
});
