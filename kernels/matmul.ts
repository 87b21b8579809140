/**
 * Matrix products of a linear layer. One strided file serves every size; three files with 8 x 8 register tiles and vec4
 * loads serve the layouts of training where the sizes are multiples of 4:
 *   forward  y[N,O]  = x[N,I] w[O,I]^T (+ b[O])      matmul_nt
 *   input    dx[N,I] = dy[N,O] w[O,I]                matmul_nn
 *   weight   dw[O,I] += dy[N,O]^T x[N,I]             matmul_tn
 */
import any from "../wgsl/matmul.wgsl" with { type: "text" };
import nn from "../wgsl/matmul_nn.wgsl" with { type: "text" };
import nt from "../wgsl/matmul_nt.wgsl" with { type: "text" };
import tn from "../wgsl/matmul_tn.wgsl" with { type: "text" };
import { kernel, type Plan, same, type Tensor } from "./kernel.ts";
import { sumRows } from "./sum_rows.ts";

const MNK = ["M", "N", "K"];
export const matmulAny = kernel("matmul", any, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write"],
  dims: [...MNK, "a_m", "a_k", "b_k", "b_n"],
});
const matmulNt = kernel("matmul_nt", nt, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write"],
  dims: MNK,
});
const matmulNn = kernel("matmul_nn", nn, { entry: "main", bindings: ["read", "read", "read_write"], dims: MNK });
const matmulTn = kernel("matmul_tn", tn, { entry: "main", bindings: ["read", "read", "read_write"], dims: MNK });

const tile = (n: number, m: number, size: number): [number, number, number] => [
  Math.ceil(n / (8 * size)),
  Math.ceil(m / (4 * size)),
  1,
];

/** y[N,O] = x[N,I] w[O,I]^T + bias[O]. Rows of x are its leading dimensions flattened. */
export function linear(plan: Plan, x: Tensor, w: Tensor, bias?: Tensor): Tensor {
  const K = x.shape[x.shape.length - 1];
  const [O, I] = w.shape;
  same("matmul.forward", "K", K, x, I, w);
  if (bias) same("matmul.forward", "N", O, w, bias.shape[0], bias);
  const M = x.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const y = plan.value(`${w.name}.out`, [...x.shape.slice(0, -1), O]);
  recordNt(plan, x, w, y, { M, N: O, K }, false, bias);
  plan.op([y], bias ? [x, w, bias] : [x, w], () => {
    const dy = plan.gradient(y);
    const dx = plan.target(x);
    if (dx) recordNn(plan, dy, w, dx.tensor, { M, N: K, K: O }, dx.add);
    const dw = plan.target(w);
    if (dw) recordTn(plan, dy, x, dw.tensor, { M: O, N: K, K: M }, dw.add);
    const db = bias && plan.target(bias);
    if (db) sumRows(plan, dy, db.tensor, M, O, db.add);
  });
  return y;
}

interface Sizes {
  M: number;
  N: number;
  K: number;
}
const flopsOf = ({ M, N, K }: Sizes) => 2 * M * N * K;

export function recordNt(plan: Plan, a: Tensor, b: Tensor, out: Tensor, d: Sizes, add: boolean, bias?: Tensor): void {
  const constants = { ADD: Number(add), BIAS: Number(Boolean(bias)) };
  const tensors = [a, b, bias ?? b, out];
  if (d.K % 4 === 0 && d.N % 4 === 0) {
    plan.dispatch(matmulNt, tensors, { dims: { ...d }, constants, workgroups: tile(d.N, d.M, 8), flops: flopsOf(d) });
  } else {
    const dims = { ...d, a_m: d.K, a_k: 1, b_k: 1, b_n: d.K };
    plan.dispatch(matmulAny, tensors, { dims, constants, workgroups: tile(d.N, d.M, 4), flops: flopsOf(d) });
  }
}

export function recordNn(plan: Plan, a: Tensor, b: Tensor, out: Tensor, d: Sizes, add: boolean): void {
  const constants = { ADD: Number(add) };
  if (d.K % 4 === 0 && d.N % 4 === 0) {
    plan.dispatch(matmulNn, [a, b, out], {
      dims: { ...d },
      constants,
      workgroups: tile(d.N, d.M, 8),
      flops: flopsOf(d),
    });
  } else {
    const dims = { ...d, a_m: d.K, a_k: 1, b_k: d.N, b_n: 1 };
    plan.dispatch(matmulAny, [a, b, b, out], { dims, constants, workgroups: tile(d.N, d.M, 4), flops: flopsOf(d) });
  }
}

export function recordTn(plan: Plan, a: Tensor, b: Tensor, out: Tensor, d: Sizes, add: boolean): void {
  const constants = { ADD: Number(add) };
  if (d.M % 4 === 0 && d.N % 4 === 0) {
    plan.dispatch(matmulTn, [a, b, out], {
      dims: { ...d },
      constants,
      workgroups: tile(d.N, d.M, 8),
      flops: flopsOf(d),
    });
  } else {
    const dims = { ...d, a_m: 1, a_k: d.M, b_k: d.N, b_n: 1 };
    plan.dispatch(matmulAny, [a, b, b, out], { dims, constants, workgroups: tile(d.N, d.M, 4), flops: flopsOf(d) });
  }
}
