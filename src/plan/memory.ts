/** Lifetimes and shared memory: which values of a plan can live in the same bytes, one after the other. */
import type { Plan } from "./plan.ts";
import type { Storage } from "./tensor.ts";

/** Where a value lives: a range of a buffer. */
export interface Place {
  /** Index into `sizes`. */
  readonly buffer: number;
  /** A multiple of 256. */
  readonly offset: number;
}

export interface MemoryPlan {
  readonly places: ReadonlyMap<Storage, Place>;
  /** Bytes of every buffer. */
  readonly sizes: readonly number[];
  /** Buffers that hold a kept value: nobody else may write them between the run and the readback. */
  readonly kept: ReadonlySet<number>;
  /** Bytes if no two values shared memory. */
  readonly unsharedBytes: number;
  /** The most bytes of values alive at one time: no way of sharing takes less. */
  readonly liveBytes: number;
}

interface Life {
  readonly storage: Storage;
  readonly bytes: number;
  first: number;
  last: number;
  /** Values bound beside it in a dispatch that writes one of the two. */
  readonly meets: Set<Storage>;
}

const align = (bytes: number) => Math.max(256, Math.ceil(bytes / 256) * 256);

/**
 * Values share buffers by ranges. Two values may overlap if their lives do not; they may lie side by side in one buffer
 * unless a dispatch binds both and writes one: a buffer bound `read` and `read_write` in one dispatch is refused even where
 * the ranges are disjoint. Values are placed one by one, each where the buffers grow least. Which order is best depends on
 * the plan, so several are tried and the smallest result is taken (the greedy heuristics of Pisarchyk & Lee 2020,
 * "Efficient memory management for deep neural net inference"). No buffer grows beyond `longest` bytes.
 */
export function planMemory(plan: Plan, share: boolean, longest = 2 ** 31 - 256): MemoryPlan {
  const lives = lifetimes(plan);
  const unsharedBytes = lives.reduce((sum, { bytes }) => sum + bytes, 0);
  const liveBytes = mostLive(lives, plan.dispatches.length);
  const kept = lives.filter(({ storage }) => plan.kept.has(storage));
  const others = lives.filter(({ storage }) => !plan.kept.has(storage));
  let best: Placement = {
    places: others.map((_, buffer) => ({ buffer, offset: 0 })),
    sizes: others.map(({ bytes }) => bytes),
  };
  if (share) {
    const floor = mostLive(others, plan.dispatches.length);
    for (const compare of ORDERS) {
      const placed = place(
        others,
        others.map((_, i) => i).sort((a, b) => compare(others[a], others[b]) || a - b),
        longest,
      );
      if (total(placed.sizes) < total(best.sizes)) best = placed;
      if (total(best.sizes) === floor) break;
    }
  }
  const places = new Map(others.map(({ storage }, i) => [storage, best.places[i]]));
  kept.forEach(({ storage }, i) => places.set(storage, { buffer: best.sizes.length + i, offset: 0 }));
  return {
    places,
    sizes: [...best.sizes, ...kept.map(({ bytes }) => bytes)],
    kept: new Set(kept.map((_, i) => best.sizes.length + i)),
    unsharedBytes,
    liveBytes,
  };
}

const total = (sizes: readonly number[]) => sizes.reduce((sum, bytes) => sum + bytes, 0);

/** Every value from the first dispatch that touches it to the last, in the order of first use. */
function lifetimes(plan: Plan): Life[] {
  const known = new Map<Storage, Life>();
  plan.dispatches.forEach(({ tensors, kernel }, step) => {
    const values = tensors.flatMap(({ storage }, k) =>
      storage.kind === "value" ? [{ storage, written: kernel.bindings[k] !== "read" }] : []
    );
    for (const { storage } of values) {
      const life = known.get(storage);
      if (life) life.last = step;
      else known.set(storage, { storage, bytes: align(storage.bytes), first: step, last: step, meets: new Set() });
    }
    for (const a of values) {
      for (const b of values) {
        if (a.storage !== b.storage && (a.written || b.written)) known.get(a.storage)!.meets.add(b.storage);
      }
    }
  });
  for (const storage of plan.kept) {
    const life = known.get(storage);
    if (life) life.last = plan.dispatches.length;
  }
  return [...known.values()];
}

function mostLive(lives: readonly Life[], steps: number): number {
  const change = new Float64Array(steps + 2);
  for (const { bytes, first, last } of lives) (change[first] += bytes, change[last + 1] -= bytes);
  let live = 0, most = 0;
  for (const bytes of change) most = Math.max(most, live += bytes);
  return most;
}

const span = ({ first, last }: Life) => last - first + 1;
/** Orders of placing, each total (ties by first use), so that a plan gets the same memory every time. */
const ORDERS: readonly ((a: Life, b: Life) => number)[] = [
  (a, b) => b.bytes - a.bytes,
  (a, b) => span(b) * b.bytes - span(a) * a.bytes,
  (a, b) => span(b) - span(a) || b.bytes - a.bytes,
  () => 0, // as they come
  (a, b) => b.last - a.last, // as they come, seen from the end
];

interface Placement {
  /** In the order of first use. */
  places: Place[];
  sizes: number[];
}

function place(lives: readonly Life[], order: readonly number[], longest: number): Placement {
  const places = new Array<Place>(lives.length);
  const sizes: number[] = [];
  const occupants: { life: Life; offset: number }[][] = []; // by offset
  for (const i of order) {
    const life = lives[i];
    let buffer = sizes.length, offset = 0, growth = life.bytes;
    for (let b = 0; b < sizes.length && growth > 0; b++) {
      const at = firstGap(occupants[b], life);
      const more = Math.max(0, at + life.bytes - sizes[b]);
      if (more < growth && at + life.bytes <= longest) (buffer = b, offset = at, growth = more);
    }
    if (buffer === sizes.length) (sizes.push(0), occupants.push([]));
    sizes[buffer] += growth;
    occupants[buffer].push({ life, offset });
    occupants[buffer].sort((a, b) => a.offset - b.offset);
    places[i] = { buffer, offset };
  }
  return { places, sizes };
}

/** The lowest offset of a buffer at which nothing lies during the whole life of a value; Infinity if it may not be there. */
function firstGap(occupants: readonly { life: Life; offset: number }[], life: Life): number {
  let at = 0;
  let found = -1;
  for (const { life: other, offset } of occupants) {
    if (other.last < life.first || life.last < other.first) continue;
    if (life.meets.has(other.storage)) return Infinity;
    if (found < 0 && offset - at >= life.bytes) found = at;
    at = Math.max(at, offset + other.bytes);
  }
  return found < 0 ? at : found;
}
