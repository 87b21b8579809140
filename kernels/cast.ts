/** f32 values stored as f16, two to a word: what a plan keeps for its backward pass takes half the bytes. */
import code from "../wgsl/cast.wgsl" with { type: "text" };
import { byteLength, compressKept, elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const spec = { bindings: ["read", "read_write"] as const, dims: ["N", "elements"] };
const kernels = {
  narrow: kernel("cast.narrow", code, { entry: "narrow", ...spec }),
  widen: kernel("cast.widen", code, { entry: "widen", ...spec }),
  narrowWord: kernel("cast.narrow", code, { entry: "narrow_word", ...spec }),
  widenWord: kernel("cast.widen", code, { entry: "widen_word", ...spec }),
};

/** Copies `from` to `to` of the same shape, f32 to f16 (rounded, cut at 65504) or back. */
export function cast(plan: Plan, from: Tensor, to: Tensor): void {
  const count = elements(from.shape);
  same("cast", "N", count, from, elements(to.shape), to);
  const narrow = to.dtype === "f16";
  if (narrow === (from.dtype === "f16")) throw new Error(`Cannot record cast: ${from.dtype} to ${to.dtype}`);
  const fours = count % 4 === 0;
  const use = narrow ? fours ? kernels.narrow : kernels.narrowWord : fours ? kernels.widen : kernels.widenWord;
  const N = fours ? count / 4 : Math.ceil(count / 2);
  plan.dispatch(use, [from, to], { dims: { N, elements: count }, workgroups: groups(N, 64) });
}

/**
 * Stores every f32 value that waits for the backward pass as f16, after the plan's backward pass is recorded. No kernel knows:
 * each value is cast after its last use in the forward pass, and back before its first use behind it. Returns the bytes
 * that the kept values took, and take.
 */
export function keepHalves(plan: Plan): { before: number; after: number } {
  const kept = compressKept(plan, cast);
  return {
    before: kept.reduce((sum, { value }) => sum + byteLength(value), 0),
    after: kept.reduce((sum, { compressed }) => sum + byteLength(compressed), 0),
  };
}
