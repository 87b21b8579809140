/** Rotary position embedding, half-split pairs (d, d + D/2), angle = position * theta^(-2d/D). */
import code from "../wgsl/rope.wgsl" with { type: "text" };
import code4 from "../wgsl/rope4.wgsl" with { type: "text" };
import { elements, showTensor } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const bindings = ["read", "read", "read_write"] as const;
const dims = ["N", "R", "D", "W"];
const pairs = kernel("rope", code, { entry: "main", bindings, dims });
const fours = kernel("rope4", code4, { entry: "main", bindings, dims });

/** The table [positions, D/2, 2] of (cos, sin), computed in float64. */
export function ropeTable(positions: number, D: number, theta: number): Float32Array {
  const table = new Float32Array(positions * D);
  for (let p = 0; p < positions; p++) {
    for (let d = 0; d < D / 2; d++) {
      const angle = p * Math.pow(theta, -2 * d / D);
      table[(p * D / 2 + d) * 2] = Math.cos(angle);
      table[(p * D / 2 + d) * 2 + 1] = Math.sin(angle);
    }
  }
  return table;
}

/**
 * qkv [.., (H+2G)*D] over positions [N] u32, with the table of `ropeTable`: rotates the query and key heads IN PLACE and
 * returns the same tensor. So it must be a value that nothing has read yet (fresh from its projection), and its gradient is
 * rotated back in place as well.
 */
export function rope(
  plan: Plan,
  qkv: Tensor,
  positions: Tensor,
  table: Tensor,
  { H, G, D }: { H: number; G: number; D: number },
): Tensor {
  const N = elements(positions.shape);
  const W = (H + 2 * G) * D;
  same("rope", "N*(H+2G)*D", elements(qkv.shape), qkv, N * W, { ...positions, shape: [N, H + 2 * G, D] });
  if (qkv.storage.kind !== "value") throw new Error(`Cannot record rope: ${showTensor(qkv)} is no value of the plan`);
  const four = D % 8 === 0;
  const R = H + G;
  const workgroups = groups(N * R * D / (four ? 8 : 2), 64);
  const turn = (x: Tensor, INVERSE: number) =>
    plan.dispatch(four ? fours : pairs, [positions, table, x], {
      dims: { N, R, D, W },
      constants: { INVERSE },
      workgroups,
      flops: 3 * N * R * D,
    });
  turn(qkv, 0);
  // The value stays the same tensor: by the time this rule runs, every reader of it has added its gradient.
  plan.op([qkv], [qkv], () => turn(plan.gradient(qkv), 1));
  return qkv;
}
