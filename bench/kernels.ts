/** `bench kernels`: time, GFLOP/s and GB/s of every kernel of a training step, and the nearer ceiling. */
import { byteLength, compile, type Dispatch, type Gpu, type Plan, type ProfileRow } from "../src/plan/mod.ts";
import type { Ceiling } from "./ceiling.ts";
import type { Row, Suite } from "./report.ts";
import { gigaPerSecond } from "./units.ts";
import { destroyModel, randomModel, recordMicroStep, recordUpdate, type Shape } from "./workload.ts";

/** Kernels that read what they write. */
const IN_PLACE = [
  "adamw",
  "adamw8",
  "token_logprob.backward",
  "token_logprob.backward_aux",
  "activation.backward",
  "rope",
  "rope4",
  "scale",
];

/** Kernels that gather or scatter rows of a table, and which of their tensors has a row for each token. */
const GATHERED: Record<string, number> = { "embedding.forward": 4, "embedding.backward": 1, "embedding.join": 1 };

/**
 * The least bytes a dispatch can move: every distinct tensor it binds, once, and again where it adds to what is there or
 * works in place. Of an embedding table only the gathered rows count, one a token.
 */
export function movedBytes({ kernel, tensors, constants }: Dispatch): number {
  const distinct = new Map<string, number>();
  const most = kernel.name in GATHERED ? byteLength(tensors[GATHERED[kernel.name]]) : Infinity;
  tensors.forEach((tensor, k) => {
    const bytes = Math.min(byteLength(tensor), most);
    const again = kernel.bindings[k] === "read_write" && (constants.ADD === 1 || IN_PLACE.includes(kernel.name));
    distinct.set(`${tensor.storage.id}+${tensor.offset}`, again ? 2 * bytes : bytes);
  });
  return [...distinct.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Profile rows with their rates. `of ceiling` is the larger of the two shares: what the kernel is bound by at best. */
export function kernelRows(plan: Plan, profile: readonly ProfileRow[], ceiling: Ceiling): Row[] {
  const bytes = new Map<string, number>();
  for (const dispatch of plan.dispatches) {
    bytes.set(dispatch.kernel.name, (bytes.get(dispatch.kernel.name) ?? 0) + movedBytes(dispatch));
  }
  const total = profile.reduce((sum, row) => sum + row.microseconds, 0);
  return profile.map(({ kernel, count, microseconds, flops }) => {
    const gflops = gigaPerSecond(flops, microseconds);
    const gigabytes = gigaPerSecond(bytes.get(kernel)!, microseconds);
    return {
      name: kernel,
      values: {
        dispatches: count,
        ms: microseconds / 1000,
        "% of time": 100 * microseconds / total,
        "GFLOP/s": gflops,
        "GB/s": gigabytes,
        "% of ceiling": 100 * Math.max(gflops / ceiling.gflops, gigabytes / ceiling.gigabytes),
      },
    };
  });
}

/** A DPO micro-step holds every kernel of an SFT one; the optimizer's kernels follow as rows of their own. */
export async function benchKernels(gpu: Gpu, shape: Shape, ceiling: Ceiling, rounds: number): Promise<Suite> {
  const model = randomModel(gpu, shape.config);
  const rows: Row[] = [];
  for (const recorded of [recordMicroStep(model, "dpo", shape.B, shape.T), recordUpdate(model)]) {
    const executable = await compile(gpu, recorded.plan);
    await executable.run();
    rows.push(...kernelRows(recorded.plan, await executable.profile(rounds), ceiling));
    executable.destroy();
    recorded.destroy();
  }
  destroyModel(model);
  return {
    name: `kernels ${shape.name}`,
    workload:
      "a DPO micro-step, then the update (a share of time each); GPU time stamps; bytes: each bound tensor once, twice if in place",
    rows,
  };
}
