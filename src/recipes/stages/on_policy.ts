/** PPO and GRPO: the policy learns from what its own programs score, by verdicts, an order of traces, or a reward model. */
import { type Monitor as Watch, monitorRow, newMonitor, watch } from "../../eval/monitor.ts";
import type { ReportTable } from "../../eval/report.ts";
import { toJsonl } from "../../files/jsonl.ts";
import { denseCredit } from "../dense.ts";
import { destroyWeights } from "../../model/weights.ts";
import { trainGrpo } from "../grpo.ts";
import { neuralReward } from "../neural_reward.ts";
import type { Monitor, OnPolicyEvent, OnPolicyGiven } from "../on_policy.ts";
import { trainPpo } from "../ppo.ts";
import { loadReward } from "../reward_model.ts";
import { type Reward, rewardOf } from "../rewards.ts";
import { Stopped } from "../rollout.ts";
import type { Run, RunEvent, Stage, StageResult } from "../run.ts";
import type { RunConfig } from "../run_config.ts";
import { rewardTokenizer } from "./reward_model.ts";
import { hackTable, referenceSteps } from "./hacks.ts";
import { saveTrained } from "./trained.ts";

type Trainer = (run: Run, given: OnPolicyGiven, signal?: AbortSignal) => AsyncGenerator<OnPolicyEvent>;

const iterations = ({ reward, dense, lora, monitor }: RunConfig) => ({ reward, dense, lora, monitor });

export const ppo: Stage = {
  name: "ppo",
  needs: [],
  settings: (config) => ({ ppo: config.ppo, ...iterations(config) }),
  run: (run, signal) =>
    learn(
      run,
      "ppo",
      (run, given, signal) => trainPpo({ ...run.config.ppo, seed: run.config.seed }, given, signal),
      signal,
    ),
};

/** PPO on the scores of the reward model that stage rm has trained. */
export const ppoOnRewardModel: Stage = { ...ppo, needs: ["rm"] };

export const grpo: Stage = {
  name: "grpo",
  needs: [],
  settings: (config) => ({ grpo: config.grpo, ...iterations(config) }),
  run: (run, signal) =>
    learn(
      run,
      "grpo",
      (run, given, signal) => trainGrpo({ ...run.config.grpo, seed: run.config.seed }, given, signal),
      signal,
    ),
};

async function* learn(
  run: Run,
  stage: "ppo" | "grpo",
  trainer: Trainer,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, StageResult> {
  const { config, host, pool, store, tokenizer, trainProblems: problems } = run;
  const { name, fill, clamp, order } = config.reward;
  const { kind, kappa, like } = config.dense;
  const detail = `${config[stage].iterations} iterations, reward ${name}${kind === "none" ? "" : `, credit ${kind}`}`;
  yield { type: "stage", name: stage, detail, seconds: null };
  const policy = await run.policy();
  const score = name === "rm" ? await rewardModel(run) : undefined;
  try {
    const reward = rewardOf(name, { fill, clamp, order, score, seed: config.seed });
    const monitor = config.monitor.on ? await hackMonitor(run) : undefined;
    const given: OnPolicyGiven = {
      ...{ host, pool, policy, tokenizer, problems, reward, monitor },
      checkpoints: `${run.folder(stage)}/checkpoints`,
      dense: kind === "none" ? undefined : denseCredit(kind, { pool, tokenizer, seed: config.seed, kappa, like }),
    };
    let tokensPerSecond: number | undefined;
    let halted: { step: number; reason: string } | null = null;
    for await (const event of trainer(run, given, signal)) {
      if (event.type === "stopped") throw new Stopped();
      if (event.type === "rollout") {
        // For people: what was sampled in the newest iteration, and what it scored.
        const rows = event.experiences.map(({ problem, sample, trace }, i) => ({
          iteration: event.iteration,
          problem: problem.id,
          code: sample.completion,
          verdict: sample.result.verdict,
          score: event.scores[i],
          trace,
        }));
        await host.write(
          `${run.folder(stage)}/samples/${String(event.iteration).padStart(5, "0")}.jsonl`,
          toJsonl(rows),
        );
        continue;
      }
      yield { stage, ...event };
      if (event.type === "halted") halted = event;
      if (event.type !== "step") continue;
      await store.addMetrics(stage, event.step, event.metrics);
      tokensPerSecond = event.tokensPerSecond;
    }
    await saveTrained(run, stage, policy);
    return {
      detail: halted === null ? detail : `${detail}; stopped by the monitor`,
      steps: halted?.step ?? config[stage].iterations,
      tokensPerSecond,
      tables: [await monitorTable(run, stage)],
      notes: halted === null ? [] : [`${stage} was stopped by the hack monitor: ${halted.reason}.`],
    };
  } finally {
    score?.free();
  }
}

async function rewardModel(run: Run): Promise<Reward & { free(): void }> {
  const { gpu, host } = run;
  const folder = `${run.folder("rm")}/model`;
  if (!await host.exists(folder)) throw new Error(`Cannot reward by rm: there is no ${folder}; stage rm comes first`);
  const model = await loadReward(host, gpu, folder);
  const reward = neuralReward({ model, tokenizer: await rewardTokenizer(run), clamp: false }); // rewardOf clamps
  return Object.assign(reward, {
    free() {
      reward.destroy();
      destroyWeights(model.network.trained.weights);
    },
  });
}

/** Watches every iteration; what it carries goes into checkpoints. */
async function hackMonitor({ pool, trainProblems }: Run): Promise<Monitor> {
  const steps = await referenceSteps(pool, trainProblems);
  let state = newMonitor();
  const monitor: Monitor = async (batch) => {
    const row = await monitorRow(pool, batch, steps);
    const watched = watch(state, row);
    state = watched.state;
    const metrics = Object.entries(row).filter((entry): entry is [string, number] => entry[1] !== null);
    return { stop: watched.stop, metrics: Object.fromEntries(metrics) };
  };
  return Object.assign(monitor, {
    carried: () => state,
    restore: (known?: unknown) => void (state = (known as Watch | undefined) ?? newMonitor()),
  });
}

/** What the monitor saw at the start and at the end. */
async function monitorTable({ store }: Run, stage: string): Promise<ReportTable> {
  const rows = await store.metrics(stage);
  const note =
    "Shares of the programs of an iteration; steps against the reference solution's. A run stops when steps, idle loops or programs out of " +
    "budget stay above three times what they were.";
  return hackTable(`in ${stage}`, ["first iteration", "last iteration"], rows[0] ?? {}, rows.at(-1) ?? {}, note);
}
