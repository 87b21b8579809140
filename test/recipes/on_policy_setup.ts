// What tests of on-policy recipes share: a model that writes nonsense, a few problems, real interpreters, and ways to break off.
import type { Gpu } from "../../src/plan/mod.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import type { Problem } from "../../src/data/problem.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { IterationEvent, OnPolicyConfig, OnPolicyEvent, OnPolicyGiven } from "../../src/recipes/on_policy.ts";
import { type Policy, whole } from "../../src/recipes/policy.ts";
import { type Reward, rewardOf } from "../../src/recipes/rewards.ts";
import type { Pool } from "../../src/trace/pool.ts";
import { checkpointHashes, tinyLlama } from "./tiny.ts";

export const problems = ["add", "sub", "neg"].map((name): Problem => ({
  id: `p/${name}`,
  dataset: "p",
  split: "train",
  prompt: `def ${name}(a, b):\n`,
  entryPoint: name,
  canonicalSolution: null,
  tests: [`assert ${name}(1, 2) == 3`],
  testKind: "assert-list",
  codeMode: "completion",
}));

export const tokenizer = await loadTokenizer(denoHost(), "models/micro");

/** Small enough for a second: two problems, four samples each, of at most eight tokens. */
export const SMALL: Partial<OnPolicyConfig> = {
  iterations: 3,
  prompts: 2,
  samples: 4,
  maxNewTokens: 8,
  sampleBatch: 4,
  microBatch: 4,
  learningRate: 3e-3,
  schedule: "constant",
  checkpointEvery: 1,
};

/** The share of even tokens: something that a model of any size can learn within a few iterations. */
export const evenShare: Reward = (batch) =>
  Promise.resolve(batch.map(({ sample: { tokens } }) => tokens.filter((id) => id % 2 === 0).length / tokens.length));

/** A reward that carries something from iteration to iteration, and is not 0 for programs that fail. */
export const graded = () => rewardOf("rm", { score: Object.assign(evenShare, { reads: "verdicts" }), fill: "auto" });

/** The same model again for every run, as a fresh load would give it. */
export function givenFor(gpu: Gpu, pool: Pool, change: Partial<OnPolicyGiven> = {}, policy?: Policy): OnPolicyGiven {
  return {
    host: memoryHost(),
    pool,
    policy: policy ?? whole(tinyLlama(gpu, 6, { V: 1024 })),
    tokenizer,
    problems,
    reward: graded(),
    checkpoints: "run/checkpoints",
    ...change,
  };
}

export interface Ran {
  events: OnPolicyEvent[];
  /** Metrics by iteration; those of an iteration that was done twice, once. */
  metrics: Map<number, Record<string, number>>;
}

/** All events of a run, until it ends or `leave` breaks off without notice. */
export async function drain(
  run: AsyncGenerator<OnPolicyEvent>,
  leave: (event: OnPolicyEvent) => boolean = () => false,
): Promise<Ran> {
  const events: OnPolicyEvent[] = [];
  const metrics: Ran["metrics"] = new Map();
  for await (const event of run) {
    events.push(event);
    if (event.type === "step") metrics.set(event.step, (event as IterationEvent).metrics);
    if (leave(event)) break;
  }
  return { events, metrics };
}

/** Work of the GPU from 1 on: `at` is told the number of every submit, and may throw. Undone by the returned function. */
export function onSubmit(gpu: Gpu, at: (submit: number) => void): () => void {
  const { queue } = gpu.device;
  const own = queue as unknown as Record<string, unknown>;
  const submit = queue.submit.bind(queue);
  let submits = 0;
  own.submit = (buffers: Iterable<GPUCommandBuffer>) => {
    at(++submits);
    submit(buffers);
  };
  return () => void delete own.submit;
}

export type Train = (given: OnPolicyGiven, signal?: AbortSignal) => AsyncGenerator<OnPolicyEvent>;

/** A run from start to end, with everything that one of the same seed must share with it. */
export async function uninterrupted(gpu: Gpu, pool: Pool, train: Train, iterations: number) {
  const given = givenFor(gpu, pool);
  let submits = 0;
  const undo = onSubmit(gpu, (count) => submits = count);
  const { metrics } = await drain(train(given));
  undo();
  return { metrics, submits, hashes: await checkpointHashes(given.host, given.checkpoints, iterations) };
}

/** Runs until work `submit` of the GPU, which ends it one way or the other, then goes on from what is on disk. */
export async function interrupted(
  gpu: Gpu,
  pool: Pool,
  train: Train,
  iterations: number,
  how: "crash" | "stop",
  submit: number,
): Promise<{ metrics: Ran["metrics"]; hashes: string[]; ended: string }> {
  const first = givenFor(gpu, pool);
  const stop = new AbortController();
  const undo = onSubmit(gpu, (count) => {
    if (count !== submit) return;
    if (how === "stop") stop.abort();
    else throw new Error("out of power");
  });
  const metrics: Ran["metrics"] = new Map();
  let ended = "";
  try {
    for await (const event of train(first, stop.signal)) {
      if (event.type === "step") metrics.set(event.step, event.metrics);
      ended = event.type;
    }
  } catch (error) {
    ended = (error as Error).message;
  }
  undo();
  gpu.pending.length = 0; // another process would not have it
  const { metrics: rest } = await drain(train(givenFor(gpu, pool, { host: first.host })));
  return {
    metrics: new Map([...metrics, ...rest]),
    hashes: await checkpointHashes(first.host, first.checkpoints, iterations),
    ended,
  };
}
