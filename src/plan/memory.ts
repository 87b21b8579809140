/** Lifetimes and shared memory: which values of a plan can live in the same buffer, one after the other. */
import type { Plan } from "./plan.ts";
import type { Storage } from "./tensor.ts";

export interface MemoryPlan {
  /** Buffer index of every value. */
  readonly slots: Map<Storage, number>;
  /** Bytes of every buffer. */
  readonly sizes: number[];
  /** Bytes if no two values shared a buffer. */
  readonly unsharedBytes: number;
}

interface Lifetime {
  first: number;
  last: number;
}

/**
 * Whole buffers are shared, never ranges: one buffer bound `read` and `read_write` in one dispatch is refused
 * even where the ranges are disjoint. Greedy in order of time: a value takes the free buffer that grows least.
 */
export function planMemory(plan: Plan, share: boolean): MemoryPlan {
  const lifetimes = new Map<Storage, Lifetime>();
  plan.dispatches.forEach((dispatch, step) => {
    for (const { storage } of dispatch.tensors) {
      if (storage.kind !== "value") continue;
      const known = lifetimes.get(storage);
      if (known) known.last = step;
      else lifetimes.set(storage, { first: step, last: step });
    }
  });
  for (const storage of plan.kept) {
    const known = lifetimes.get(storage);
    if (known) known.last = plan.dispatches.length;
  }

  const slots = new Map<Storage, number>();
  const sizes: number[] = [];
  const freeFrom: number[] = []; // the first step at which each buffer is free again
  let unsharedBytes = 0;
  const ordered = [...lifetimes].sort((a, b) => a[1].first - b[1].first || b[0].bytes - a[0].bytes);
  for (const [storage, { first, last }] of ordered) {
    unsharedBytes += storage.bytes;
    let best = -1;
    if (share) {
      for (let i = 0; i < sizes.length; i++) {
        if (freeFrom[i] > first) continue;
        if (best < 0 || waste(sizes[i], storage.bytes) < waste(sizes[best], storage.bytes)) best = i;
      }
    }
    if (best < 0) {
      best = sizes.push(0) - 1;
    }
    sizes[best] = Math.max(sizes[best], storage.bytes);
    freeFrom[best] = last + 1;
    slots.set(storage, best);
  }
  return { slots, sizes, unsharedBytes };
}

/** Bytes that a value would leave unused in a buffer, or force it to grow by. */
function waste(size: number, need: number): number {
  return Math.abs(size - need);
}
