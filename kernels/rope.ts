/** Rotary position embedding, half-split pairs (d, d + D/2), angle = position * theta^(-2d/D). */
import code from "../wgsl/rope.wgsl" with { type: "text" };
import { elements } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

const main = kernel("rope", code, {
  entry: "main",
  bindings: ["read", "read", "read", "read_write"],
  dims: ["N", "H", "D"],
});

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

/** x [.., H*D] seen as [N,H,D], positions [N] u32, table from `ropeTable` -> rotated x. */
export function rope(plan: Plan, x: Tensor, positions: Tensor, table: Tensor, D: number): Tensor {
  const N = elements(positions.shape);
  const H = elements(x.shape) / (N * D);
  if (!Number.isInteger(H)) same("rope", "N*D", N * D, positions, elements(x.shape), x);
  const y = plan.value(`${x.name}.rope`, x.shape);
  const workgroups = groups(N * H * D / 2, 64);
  const options = { dims: { N, H, D }, workgroups, flops: 3 * N * H * D };
  plan.dispatch(main, [x, positions, table, y], { ...options, constants: { ADD: 0, INVERSE: 0 } });
  plan.op([y], [x], () => {
    const dx = plan.target(x);
    if (!dx) return;
    const constants = { ADD: Number(dx.add), INVERSE: 1 };
    plan.dispatch(main, [plan.gradient(y), positions, table, dx.tensor], { ...options, constants });
  });
  return y;
}
