/**
 * Matrix products of a linear layer, chosen per adapter and shape (matmul_variants.ts):
 *   forward  y[N,O]  = f(x[N,I] w[O,I]^T + b[O]) + r[N,O]     matmul_nt
 *   input    dx[N,I] = dz[N,O] w[O,I]                         matmul_nn
 *   weight   dw[O,I] += dz[N,O]^T x[N,I]                      matmul_tn
 */
import slopeCode from "../wgsl/activation_backward.wgsl" with { type: "text" };
import { byteLength, elements, showTensor } from "../src/plan/mod.ts";
import { accumulate, add } from "./add.ts";
import { gelu } from "./gelu.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";
import { linearByRows } from "./linear_rows.ts";
import { matmulNn, matmulNt, matmulTn, type Sizes } from "./matmul_variants.ts";
import { sumRows } from "./sum_rows.ts";

export type { Sizes as MatmulSizes } from "./matmul_variants.ts";
export { matmulNn, matmulNt, matmulTn };

const slope = widths("activation.backward", slopeCode, {
  entry: "main",
  bindings: ["read", "read_write"],
  dims: ["N"],
});

export interface LinearOptions {
  /** [O], in f32. */
  bias?: Tensor;
  /** f: GELU in its tanh form, or SiLU. */
  activation?: "gelu" | "silu";
  /** [N,O], of the type of x: added behind the activation. */
  residual?: Tensor;
}

/**
 * y[N,O] = f(x[N,I] w[O,I]^T + bias[O]) + residual[N,O] in one kernel. Rows of x are its leading dimensions flattened. y has the
 * type of x, f32 or f16; sums are f32.
 *
 * If a gradient is wanted, the same kernel also writes z, what f is applied to: to compute z again would cost the whole product,
 * to keep it costs one store.
 */
export function linear(plan: Plan, x: Tensor, w: Tensor, options: Tensor | LinearOptions = {}): Tensor {
  const { bias, activation, residual }: LinearOptions = "storage" in options ? { bias: options } : options;
  const K = x.shape[x.shape.length - 1];
  const [O, I] = w.shape;
  same("matmul.forward", "K", K, x, I, w);
  if (bias) same("matmul.forward", "N", O, w, bias.shape[0], bias);
  if (byteLength(w) > plan.traits.bindingBytes) {
    const whole = linearByRows(plan, x, w, bias);
    if (activation === "silu") {
      throw new Error(`Cannot record matmul.forward: SiLU behind ${showTensor(w)}, taken by rows`);
    }
    const active = activation ? gelu(plan, whole) : whole;
    return residual ? add(plan, residual, active) : active;
  }
  const M = elements(x.shape) / K;
  if (residual) {
    same("matmul.forward", "M*N", M * O, { ...x, shape: [M, O] }, elements(residual.shape), residual);
    if (residual.dtype !== x.dtype) {
      throw new Error(
        `Cannot record matmul.forward: residual ${showTensor(residual)} is ${residual.dtype}, ${
          showTensor(x)
        } is ${x.dtype}`,
      );
    }
  }
  const shape = [...x.shape.slice(0, -1), O];
  const y = plan.value(`${w.name}.out`, shape, x.dtype);
  const inputs = [x, w, bias, residual].filter((tensor) => tensor !== undefined);
  const z = activation && inputs.some((tensor) => tensor.storage.needsGrad)
    ? plan.value(`${w.name}.z`, shape, x.dtype)
    : undefined;
  if (z && z.dtype !== "f32") {
    throw new Error(
      `Cannot record matmul.forward: the gradient of ${activation} takes f32, ${showTensor(x)} is ${x.dtype}`,
    );
  }
  const sizes = { M, N: O, K, bias: Boolean(bias), residual: Boolean(residual), activation, keep: Boolean(z) };
  plan.variant(matmulNt, [x, w, bias ?? w, residual ?? w, y, ...(z ? [z] : [])], typed(sizes, x, w, y));
  plan.op([y], inputs, () => {
    const dy = plan.gradient(y);
    if (z) {
      // dy becomes dz in place, so the residual takes its share of it first.
      const dr = residual && plan.target(residual);
      if (dr) accumulate(plan, dy, dr.tensor, dr.add);
      activationBackward(plan, z, dy, activation!);
    }
    const dx = plan.target(x);
    if (dx) recordNn(plan, dy, w, dx.tensor, { M, N: K, K: O }, dx.add);
    const dw = plan.target(w);
    if (dw) recordTn(plan, dy, x, dw.tensor, { M: O, N: K, K: M }, dw.add);
    const db = bias && plan.target(bias);
    if (db) sumRows(plan, dy, db.tensor, M, O, db.add);
    if (residual && !z) {
      const dr = plan.passGradient(y, residual); // last: it may take the memory of dy over
      if (dr) accumulate(plan, dy, dr.tensor, dr.add);
    }
  });
  return y;
}

function activationBackward(plan: Plan, z: Tensor, dy: Tensor, activation: "gelu" | "silu"): void {
  const count = elements(z.shape);
  const lanes = lanesOf(count);
  plan.dispatch(slope[lanes], [z, dy], {
    dims: { N: count / lanes },
    constants: { SILU: Number(activation === "silu") },
    workgroups: groups(count / lanes, 64),
    flops: 10 * count,
  });
}

const typed = (sizes: Sizes, a: Tensor, b: Tensor, out: Tensor): Sizes =>
  [a, b, out].some(({ dtype }) => dtype !== "f32") ? { ...sizes, types: [a.dtype, b.dtype, out.dtype] } : sizes;

/** out[M,N] (+)= a[M,K] b[N,K]^T, outside of the gradient; with `batch`, that many products one behind the other. */
export function recordNt(plan: Plan, a: Tensor, b: Tensor, out: Tensor, sizes: Sizes, add: boolean): void {
  plan.variant(matmulNt, [a, b, b, b, out], typed({ ...sizes, add }, a, b, out));
}

/** out[M,N] (+)= a[M,K] b[K,N]. */
export function recordNn(plan: Plan, a: Tensor, b: Tensor, out: Tensor, sizes: Sizes, add: boolean): void {
  plan.variant(matmulNn, [a, b, b, b, out], typed({ ...sizes, add }, a, b, out));
}

/** out[M,N] (+)= a[K,M]^T b[K,N]. */
export function recordTn(plan: Plan, a: Tensor, b: Tensor, out: Tensor, sizes: Sizes, add: boolean): void {
  plan.variant(matmulTn, [a, b, b, b, out], typed({ ...sizes, add }, a, b, out));
}
