/**
 * The two kinds of plans of generation, each in a few sizes: prefill feeds chunks of prompts, decode one token a sequence. All
 * sizes of a kind run the same kernels, so a token's bits do not depend on how many others are computed beside it.
 */
import {
  compile,
  type Executable,
  type Gpu,
  type Pick,
  Plan,
  type Recorder,
  rows as rowsOf,
  type Traits,
} from "../../plan/mod.ts";
import { attentionDecode, cacheCopy, cacheWrite, linear, PAGE, type Rows, sample } from "../../../kernels/mod.ts";
import { type Attend, forward, headWeight, type Llama } from "../llama.ts";
import type { State } from "./state.ts";

export interface PlanSizes {
  /** The smallest size that has room for so many rows. */
  sizeFor(rows: number): number;
  get(size: number): Executable;
  destroy(): void;
}

/**
 * Plans of falling sizes. The first one chooses the kernels, and the others take over its choices; a size is left out if one
 * of them does not fit, or would compute a row in another way (a sum cut into as many parts as there is room for).
 */
export async function planSizes(
  gpu: Gpu,
  sizes: readonly number[],
  record: (recorder: Recorder, size: number) => Plan,
): Promise<PlanSizes> {
  const largest = record(gpu, sizes[0]);
  const executables = new Map([[sizes[0], await compile(gpu, largest)]]);
  for (const size of sizes.slice(1)) {
    const { recorder, kept } = following(gpu, largest.picks);
    const plan = record(recorder, size);
    if (kept() && alike(largest, sizes[0], plan, size)) executables.set(size, await compile(gpu, plan));
  }
  return {
    sizeFor: (rows) => [...executables.keys()].findLast((size) => size >= rows)!,
    get: (size) => executables.get(size)!,
    destroy() {
      for (const executable of executables.values()) executable.destroy();
    },
  };
}

/** A recorder that makes the choices of an earlier plan again, and says whether that could be done. */
function following(gpu: Gpu, picks: readonly Pick[]): { recorder: Recorder; kept: () => boolean } {
  let at = 0;
  let same = true;
  const choices = {
    ...gpu.choices,
    pick(op: string, _shapeClass: string, fitting: readonly string[]): string {
      const earlier = picks[at++];
      const wanted = earlier?.variant;
      if (earlier?.op.name !== op || !fitting.includes(wanted)) same = false;
      return fitting.includes(wanted) ? wanted : fitting[0];
    },
  };
  return { recorder: { traits: gpu.traits, choices }, kept: () => same && at === picks.length };
}

/** Whether two plans differ in nothing but the number of rows: the same kernels, and sizes that are equal or grow with it. */
function alike(large: Plan, largeRows: number, small: Plan, smallRows: number): boolean {
  if (large.dispatches.length !== small.dispatches.length) return false;
  return large.dispatches.every((a, i) => {
    const b = small.dispatches[i];
    const sizes = Object.keys(a.dims);
    return a.kernel.code === b.kernel.code && JSON.stringify(a.constants) === JSON.stringify(b.constants) &&
      sizes.every((k) => a.dims[k] === b.dims[k] || a.dims[k] * smallRows === b.dims[k] * largeRows);
  });
}

/**
 * Keys of a split of decoding attention: enough workgroups for the adapter, of at least so many keys each that joining them
 * costs less (on lavapipe a dispatch takes as long as a lane takes for about 100 keys).
 */
export function splitFor(B: number, S: number, G: number, traits: Traits): number {
  const length = Math.ceil(S / PAGE) * PAGE;
  const wanted = traits.software ? 8 : 256;
  const splits = Math.min(Math.ceil(wanted / (B * G)), Math.ceil(length / (traits.software ? 256 : 64)));
  return Math.ceil(length / splits / PAGE) * PAGE;
}

/** One token per sequence, N of B: feed `current` at `positions`, sample the next, advance. */
export function recordDecode(model: Llama, recorder: Recorder, state: State, N: number, split: number): Plan {
  const { sampler } = state;
  const plan = new Plan(`decode.${N}`, recorder);
  const first = {
    settings: sampler.settings,
    rows: rowsOf(sampler.rows, 0, N),
    current: rowsOf(sampler.current, 0, N),
    positions: rowsOf(sampler.positions, 0, N),
    tokens: rowsOf(sampler.tokens, 0, N),
  };
  const rows = { tables: state.tables, slots: rowsOf(state.slots, 0, N), positions: first.positions };
  const h = forward(plan, model, first.current, first.positions, attendCached(model, state, rows, split));
  sample(plan, linear(plan, h, headWeight(model)), first);
  return plan;
}

/** N tokens of prompts into the cache. The last layer ends with its keys and values: nothing reads what comes behind. */
export function recordPrefill(model: Llama, recorder: Recorder, state: State, N: number): Plan {
  const { tables, chunk } = state;
  const plan = new Plan(`prefill.${N}`, recorder);
  const rows = { tables, slots: rowsOf(chunk.slots, 0, N), positions: rowsOf(chunk.positions, 0, N) };
  let end = 0;
  const attend = attendCached(model, state, rows);
  forward(plan, model, rowsOf(chunk.ids, 0, N), rows.positions, (plan, layer, qkv) => {
    const attended = attend(plan, layer, qkv);
    end = plan.dispatches.findLastIndex(({ kernel }) => kernel.name === "cache_write") + 1;
    return attended;
  });
  plan.dispatches.length = end;
  return plan;
}

export function recordCopy(gpu: Gpu, state: State): Plan {
  const plan = new Plan("copy", gpu);
  for (const cache of state.caches) cacheCopy(plan, state.pairs, cache);
  return plan;
}

function attendCached(model: Llama, state: State, rows: Rows, split?: number): Attend {
  const { H, G, D } = model.config;
  return (plan, layer, qkv) => {
    cacheWrite(plan, qkv, state.caches[layer], rows, { H, G, D });
    return attentionDecode(plan, qkv, state.caches[layer], rows, { H, G, D, split });
  };
}
