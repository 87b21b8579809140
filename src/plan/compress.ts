/**
 * Values that the forward pass leaves for the backward pass, stored as f16 in between. A plan is a list of dispatches, so this
 * is a rewrite of that list: no kernel and no gradient rule knows of it.
 */
import type { Plan } from "./plan.ts";
import type { Storage, Tensor } from "./tensor.ts";
import { rebind, recorded, usesOf } from "./uses.ts";

/** Dispatches between the two passes' uses under which casting there and back frees nothing for long. */
const LEAST_GAP = 8;

/**
 * For every f32 value that waits: a cast to f16 behind its last use in the forward pass, and a cast into fresh memory before
 * its first use in the backward pass. Statistics (of norms, of the softmax) stay as they are: they are small, and what
 * is exponentiated or divided by shows every lost digit. They are told by not being an op's output and by their size.
 * `cast` records one cast. Returns what was compressed.
 */
export function compressKept(
  plan: Plan,
  cast: (plan: Plan, from: Tensor, to: Tensor) => void,
): { value: Tensor; compressed: Tensor }[] {
  const border = plan.backwardStart;
  if (border === null) throw new Error(`Cannot compress ${plan.name}: it has no backward pass yet`);
  const waiting: { storage: Storage; whole: Tensor; narrowAt: number; widenAt: number }[] = [];
  for (const [storage, { all, writes, whole, otherType }] of usesOf(plan)) {
    if (storage.kind !== "value" || plan.kept.has(storage) || !whole || otherType) continue;
    const widenAt = all.find((i) => i >= border);
    const narrowAt = all.findLast((i) => i < border);
    if (widenAt === undefined || narrowAt === undefined || widenAt - narrowAt < LEAST_GAP) continue;
    if (writes[0] > narrowAt) continue;
    waiting.push({ storage, whole, narrowAt, widenAt });
  }
  const widest = Math.max(0, ...waiting.filter(({ storage }) => storage.needsGrad).map(({ storage }) => storage.bytes));
  const chosen = waiting.filter(({ storage }) => storage.needsGrad || storage.bytes * 2 >= widest);

  const result: { value: Tensor; compressed: Tensor }[] = [];
  const insert = new Map<number, ReturnType<typeof recorded>>();
  const at = (i: number, dispatches: ReturnType<typeof recorded>) =>
    insert.set(i, [...insert.get(i) ?? [], ...dispatches]);
  const wide = new Map<Storage, Storage>();
  for (const { storage, whole, narrowAt, widenAt } of chosen) {
    const compressed = plan.value(`${whole.name}.f16`, whole.shape, "f16");
    const again = plan.value(whole.name, whole.shape);
    at(narrowAt + 1, recorded(plan, () => cast(plan, whole, compressed)));
    at(widenAt, recorded(plan, () => cast(plan, compressed, again)));
    wide.set(storage, again.storage);
    result.push({ value: whole, compressed });
  }
  const rewritten = plan.dispatches.flatMap((dispatch, i) => {
    let here = dispatch;
    if (i >= border) {
      for (const { storage } of dispatch.tensors) here = rebind(here, storage, wide.get(storage) ?? storage);
    }
    return [...insert.get(i) ?? [], here];
  });
  plan.replaceDispatches(
    rewritten,
    border + [...insert].reduce((sum, [i, { length }]) => i < border ? sum + length : sum, 0),
  );
  return result;
}
