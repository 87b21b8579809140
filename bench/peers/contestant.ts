/** What a contestant's module exports, and the loop that times it. Runs in a Deno process and in a page alike. */
import { countGpu } from "./count_gpu.ts";
import { type Batch, batchOf, type GptShape, type PeerRun, type ShapeName, shapes } from "./workload.ts";

export interface Contestant {
  /** Name, version and backend, e.g. `jax-js 0.1.25 webgpu`. */
  name: string;
  /** One training step as workload.ts defines it; gives the loss before the update. `index` counts from 0. */
  step(batch: Batch, index: number): Promise<number>;
}

export interface ContestantModule {
  create(shape: GptShape, backend: string): Promise<Contestant>;
}

/** What a host is asked to run. */
export interface PeerJob {
  /** Path of the contestant's bundle. */
  bundle: string;
  backend: string;
  shape: ShapeName;
  steps: number;
}

/** Trains for `steps` steps. The counters are set up before the contestant opens its device. */
export async function runContestant(
  module: ContestantModule,
  backend: string,
  shapeName: ShapeName,
  steps: number,
): Promise<PeerRun> {
  const counter = backend === "webgpu" ? countGpu() : undefined;
  const shape = shapes[shapeName];
  const contestant = await module.create(shape, backend);
  const run: PeerRun = {
    contestant: contestant.name,
    adapter: counter ? await adapterName() : `CPU, ${navigator.hardwareConcurrency} threads`,
    shape: shapeName,
    losses: [],
    milliseconds: [],
  };
  for (let index = 0; index < steps; index++) {
    const batch = batchOf(shape, index);
    const before = counter?.read();
    const start = performance.now();
    run.losses.push(await contestant.step(batch, index));
    run.milliseconds.push(performance.now() - start);
    const after = counter?.read();
    if (before && after) {
      run.device = {
        submits: after.submits - before.submits,
        buffers: after.buffers - before.buffers,
        dispatches: after.dispatches - before.dispatches,
        peakBytes: after.peakBytes,
      };
    }
  }
  return run;
}

async function adapterName(): Promise<string> {
  const info = (await navigator.gpu.requestAdapter({ powerPreference: "high-performance" }))?.info;
  return info?.description || [info?.vendor, info?.architecture].filter(Boolean).join(" ") || "unnamed adapter";
}
