/**
 * Selective recomputation: values that are cheap to compute again are not kept for the backward pass. As in compress.ts this
 * is a rewrite of the recorded list; the same kernel runs again on the same inputs, so every bit stays.
 */
import type { Dispatch, Plan } from "./plan.ts";
import { newStorage, type Storage } from "./tensor.ts";
import { rebind, usesOf } from "./uses.ts";

/** FLOPs an element up to which a value is cheap: norms and activation functions take 5 to 15, a product twice its depth. */
const CHEAP = 32;

/**
 * Chosen by bytes saved per FLOP: outputs of one dispatch that takes at most `CHEAP` FLOPs an element, where everything it
 * reads is still there when the backward pass first wants it, so that nothing else lives longer for it. Those are the
 * outputs of norms and activation functions: about a third of what a Llama block keeps. Returns how many bytes.
 */
export function rematerialize(plan: Plan): number {
  if (plan.backwardStart === null) {
    throw new Error(`Cannot recompute values of ${plan.name}: it has no backward pass yet`);
  }
  let saved = 0;
  // From the last value to the first: what a copy of a later dispatch reads is then a use like any other.
  const writers = [...usesOf(plan)].filter(([storage]) => storage.kind === "value" && !plan.kept.has(storage))
    .sort((a, b) => b[1].all[0] - a[1].all[0]);
  for (const [storage] of writers) saved += rematerializeOne(plan, storage) ? storage.bytes : 0;
  return saved;
}

function rematerializeOne(plan: Plan, storage: Storage): boolean {
  const border = plan.backwardStart!;
  const uses = usesOf(plan);
  const { all, writes } = uses.get(storage)!;
  const made = all[0];
  const wanted = all.find((i) => i >= border);
  if (made >= border || wanted === undefined || writes.length !== 1 || writes[0] !== made) return false;
  const dispatch = plan.dispatches[made];
  if (dispatch.flops > CHEAP * storage.bytes / 4) return false;
  const fresh: [Storage, Storage][] = [];
  for (const [k, { storage: bound }] of dispatch.tensors.entries()) {
    const of = uses.get(bound)!;
    if (dispatch.kernel.bindings[k] !== "read") {
      // An output beside it (a norm's statistics) is written again into memory of its own, and read by nobody.
      if (bound.kind !== "value" || of.all[0] !== made) return false;
      fresh.push([
        bound,
        newStorage({ kind: "value", name: bound.name, bytes: bound.bytes, needsGrad: bound.needsGrad }),
      ]);
    } else {
      const unchanged = of.writes.every((i) => i < made || i > wanted);
      const alive = bound.kind !== "value" || of.all.at(-1)! >= wanted;
      if (!unchanged || !alive) return false;
    }
  }
  const again = fresh.reduce((copy: Dispatch, [from, to]) => rebind(copy, from, to), dispatch);
  const [, replaced] = fresh.find(([from]) => from === storage)!;
  const head = plan.dispatches.slice(0, wanted);
  const tail = plan.dispatches.slice(wanted).map((each) => rebind(each, storage, replaced));
  plan.replaceDispatches([...head, again, ...tail], border);
  return true;
}
