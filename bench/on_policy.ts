/** `bench on-policy`: how much of the interpreters' time an iteration of PPO hides behind the GPU's, on the micro model. */
import type { Gpu } from "../src/plan/mod.ts";
import { microProblems } from "../src/data/micro/micro.ts";
import { programJob } from "../src/data/problem.ts";
import { loadTokenizer } from "../src/data/tokenizer.ts";
import { denoHost } from "../src/host/deno.ts";
import { createSampler, drawsOf } from "../src/recipes/on_policy_sampler.ts";
import { loadPolicy } from "../src/recipes/policy.ts";
import { PPO } from "../src/recipes/ppo.ts";
import { rewardOf } from "../src/recipes/rewards.ts";
import { createRolloutScorer } from "../src/recipes/rollout_scorer.ts";
import { createPool } from "../src/trace/pool.ts";
import type { Row, Suite } from "./report.ts";
import { median } from "./units.ts";

/** One interpreter, all programs traced. The first round is not counted: plans and WebAssembly are compiled in it. */
export async function benchOnPolicy(gpu: Gpu, quick: boolean): Promise<Suite> {
  const config = { ...PPO, prompts: quick ? 8 : 16, samples: 8, maxNewTokens: 64, scheduler: "epochs" as const };
  const rounds = quick ? 1 : 5;
  const host = denoHost();
  const pool = createPool(() => host.spawnArena(), { size: 1, spares: 0 });
  try {
    const problems = await microProblems(pool, { seed: 1, count: config.prompts * (rounds + 1), split: "train" });
    const tokenizer = await loadTokenizer(host, "models/micro");
    const policy = await loadPolicy(host, gpu, "models/micro", { seed: 1 });
    const reward = rewardOf("order");
    const sampler = await createSampler(config, { host, pool, policy, tokenizer, problems, reward, checkpoints: "" });
    const scorer = createRolloutScorer(policy.model, null, { microBatch: config.microBatch, padId: tokenizer.padId });
    const seen: Record<"write" | "score" | "judge" | "wait" | "hidden", number[]> = {
      ...{ write: [], score: [], judge: [], wait: [], hidden: [] },
    };
    for (let iteration = 0; iteration <= rounds; iteration++) {
      const standing = { iteration, updates: 0, tokens: 0, passRates: {}, klCoefficient: 0 };
      const draws = drawsOf(config, problems, standing);
      const sampled = (await sampler.sample(draws, async (sequences) => {
        for (let model = 0; model < 2; model++) await scorer.score(sequences); // policy and reference
      }))!;
      const start = performance.now();
      await Promise.all(
        sampled.experiences.map(({ problem, sample }) =>
          pool.run({ ...programJob(problem, sample.completion, "deciding"), streams: true })
        ),
      );
      const alone = (performance.now() - start) / 1000;
      if (iteration === 0) continue;
      seen.write.push(sampled.seconds.generate);
      seen.score.push(sampled.seconds.score);
      seen.judge.push(alone);
      seen.wait.push(sampled.seconds.idle);
      seen.hidden.push(100 * Math.max(0, 1 - sampled.seconds.idle / alone));
    }
    sampler.destroy();
    scorer.destroy();
    const row = (name: string, values: number[]): Row => ({ name, values: { s: median(values) } });
    return {
      name: "on-policy",
      workload:
        `${config.prompts} prompts x ${config.samples} samples of the micro model, one interpreter, median of ${rounds}`,
      rows: [
        row("the model writes", seen.write),
        row("scored by policy and reference", seen.score),
        row("all programs traced, by itself", seen.judge),
        row("waiting for traces alone", seen.wait),
        { name: "tracing hidden behind the GPU", values: { "%": median(seen.hidden) } },
      ],
    };
  } finally {
    pool.close();
  }
}
