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
 * even where the ranges are disjoint. Greedy by size: the largest values are placed first, and each takes the smallest
 * buffer that is free for all of its life. In order of time a small value that lives long would take a large buffer that
 * happens to be free, and the next large value would need another.
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
  const occupants: Lifetime[][] = [];
  let unsharedBytes = 0;
  // The order is total, so that a plan gets the same memory every time.
  const ordered = [...lifetimes].sort((a, b) =>
    b[0].bytes - a[0].bytes || a[1].first - b[1].first || a[0].id - b[0].id
  );
  for (const [storage, life] of ordered) {
    unsharedBytes += storage.bytes;
    // Buffers stand in falling order of size, so the last one that is free is the smallest.
    let slot = share ? occupants.findLastIndex((others) => others.every((other) => apart(other, life))) : -1;
    if (slot < 0) {
      slot = sizes.push(storage.bytes) - 1;
      occupants.push([]);
    }
    occupants[slot].push(life);
    slots.set(storage, slot);
  }
  return { slots, sizes, unsharedBytes };
}

const apart = (a: Lifetime, b: Lifetime) => a.last < b.first || b.last < a.first;
