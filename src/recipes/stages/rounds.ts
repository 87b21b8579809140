/** Iterative ETA-DPO: rounds of sampling, tracing, pairing and training. */
import { createGenerator } from "../../model/generate.ts";
import { finishedRounds, type RoundSummary, trainRounds } from "../rounds.ts";
import { Stopped } from "../rollout.ts";
import type { ReportTable } from "../../eval/report.ts";
import type { Stage } from "../run.ts";
import { saveTrained } from "./trained.ts";

export const rounds: Stage = {
  name: "rounds",
  needs: [],
  settings: (
    {
      rounds,
      dpo,
      lora,
      pairs: { mask: _a, maskLike: _b, minimalPairs: _d, ...pairs },
      sample: { sampleBatch: _c, ...sample },
    },
  ) => ({
    ...{ rounds, dpo, lora, pairs, sample },
  }),
  async *run(run, signal) {
    const { config, host, pool, store, tokenizer, trainProblems: problems } = run;
    const { mask, maskLike: _a, minimalPairs, ...pairs } = config.pairs;
    if (minimalPairs) throw new Error("Cannot train in rounds with minimal pairs: they are of the dpo stage");
    if (mask !== "full") {
      throw new Error(`Cannot train in rounds with mask ${mask}: only whole losers are pushed down there`);
    }
    const { sampleBatch, ...sample } = config.sample;
    const settings = { ...config.dpo, ...pairs, ...sample, ...config.rounds, seed: config.seed };
    const policy = await run.policy();
    const generator = await createGenerator(policy.model, sampleBatch, run.longest);
    const given = {
      host,
      store,
      policy,
      pool,
      generator,
      tokenizer,
      problems,
      dir: run.folder("rounds"),
      modelId: run.modelId,
    };
    let tokensPerSecond: number | undefined;
    try {
      for await (const { round, ...event } of trainRounds(settings, given, signal)) {
        const name = `round ${round}`;
        if (event.type === "progress") yield { ...event, stage: name };
        else if (event.type === "sampled") {
          const detail = `${event.samples} programs, ${event.passed} pass`;
          yield { type: "stage", name, detail, seconds: null };
        } else if (event.type === "paired") {
          yield { type: "stage", name, detail: `${event.pairs} pairs`, seconds: null };
        } else if (event.type !== "round") {
          yield { stage: name, ...event };
          if (event.type === "stopped") throw new Stopped();
          if (event.type !== "step") continue;
          await store.addMetrics("rounds", (round - 1) * settings.steps + event.step, event.metrics);
          tokensPerSecond = event.tokensPerSecond;
        }
      }
    } finally {
      generator.destroy();
    }
    await saveTrained(run, "rounds", policy);
    return {
      detail: `${settings.rounds} rounds of ${settings.steps} steps`,
      steps: settings.rounds * settings.steps,
      tokensPerSecond,
      tables: [roundTable(await finishedRounds(host, run.folder("rounds")))],
    };
  },
};

function roundTable(summaries: readonly RoundSummary[]): ReportTable {
  return {
    title: "Rounds",
    columns: ["round", "programs", "pass", "pairs", "steps"],
    rows: summaries.map(({ round, samples, passed, pairs, steps }) => [round, samples, passed, pairs, steps]),
    note: "Programs of a round are sampled from the weights that the round before left.",
  };
}
