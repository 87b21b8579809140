/** Draws a set of samples into the run's store, with progress. */
import type { Problem } from "../../data/problem.ts";
import type { StoredSample } from "../../store/store.ts";
import { rollout } from "../rollout.ts";
import type { Run, RunEvent } from "../run.ts";

export interface Drawn {
  samples: StoredSample[];
  /** Null where all of them were there already. */
  tokensPerSecond?: number;
}

/** @param trained the stage whose model draws; null for the base */
export async function* drawSet(
  run: Run,
  trained: string | null,
  set: string,
  problems: readonly Problem[],
  how: { streamBase: number; traced: boolean },
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, Drawn> {
  const { sampleBatch: _, stops, samples: count, ...sampling } = run.config.sample;
  yield { type: "stage", name: set, detail: `${problems.length} problems x ${count} samples`, seconds: null };
  const { pool, store, tokenizer } = run;
  const given = { pool, store, tokenizer, ...await run.sampler(trained) };
  const options = {
    ...sampling,
    ...how,
    set,
    samples: count,
    seed: run.config.seed,
    modelId: trained === null ? run.modelId : (await run.record(trained))!.key,
    ...stops.length > 0 ? { stops } : {},
  };
  let tokensPerSecond: number | undefined;
  const events = rollout(given, problems, options, signal);
  for (let item = await events.next();; item = await events.next()) {
    if (item.done) return { samples: item.value, tokensPerSecond };
    yield { type: "progress", stage: set, ...item.value };
    if (item.value.tokens > 0) tokensPerSecond = item.value.tokens / item.value.seconds;
  }
}
