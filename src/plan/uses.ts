/** Which dispatches of a recorded plan touch a value, for passes that rewrite plans. */
import type { Dispatch, Plan } from "./plan.ts";
import type { Storage, Tensor } from "./tensor.ts";

export interface Uses {
  /** Indices of the dispatches that bind it, rising. */
  readonly all: number[];
  /** Those that may write it. */
  readonly writes: number[];
  /** A tensor that is the whole of it, or null if it is only ever bound in parts. */
  whole: Tensor | null;
  /** It is bound as anything else than f32 somewhere. */
  otherType: boolean;
}

export function usesOf(plan: Plan): Map<Storage, Uses> {
  const uses = new Map<Storage, Uses>();
  plan.dispatches.forEach(({ kernel, tensors }, i) => {
    tensors.forEach((tensor, k) => {
      let of = uses.get(tensor.storage);
      if (!of) uses.set(tensor.storage, of = { all: [], writes: [], whole: null, otherType: false });
      if (of.all.at(-1) !== i) of.all.push(i);
      if (kernel.bindings[k] !== "read" && of.writes.at(-1) !== i) of.writes.push(i);
      if (tensor.dtype !== "f32") of.otherType = true;
      if (tensor.offset === 0 && tensor.dtype === "f32") {
        const bytes = 4 * tensor.shape.reduce((product, size) => product * size, 1);
        if (bytes === tensor.storage.bytes) of.whole = tensor;
      }
    });
  });
  return uses;
}

/** The same dispatch on other memory: every tensor in `from` is bound in `to` instead. */
export function rebind(dispatch: Dispatch, from: Storage, to: Storage): Dispatch {
  if (!dispatch.tensors.some(({ storage }) => storage === from)) return dispatch;
  return {
    ...dispatch,
    tensors: dispatch.tensors.map((tensor) => tensor.storage === from ? { ...tensor, storage: to } : tensor),
  };
}

/** Dispatches that `record` appends to the plan, taken off its end again. */
export function recorded(plan: Plan, record: () => void): Dispatch[] {
  const start = plan.dispatches.length;
  record();
  return plan.dispatches.splice(start);
}
