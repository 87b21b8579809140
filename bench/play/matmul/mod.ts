/** out[M,N] = a[M,K] b[N,K]^T, the product of every linear layer's forward pass. */
import naiveCode from "./naive.wgsl" with { type: "text" };
import tileCode from "./tile.wgsl" with { type: "text" };
import type { Plan } from "../../../src/plan/mod.ts";
import { kernel } from "../../../kernels/kernel.ts";
import { matmulNt, recordNt } from "../../../kernels/matmul.ts";
import type { Op, Version } from "../op.ts";

const spec = { entry: "main", bindings: ["read", "read", "read_write"] as const, dims: ["M", "N", "K"] };
const naive = kernel("play.matmul.naive", naiveCode, spec);
const tile = kernel("play.matmul.tile", tileCode, spec);

const SIZES = {
  tiny: { M: 37, N: 20, K: 12 },
  micro: { M: 1024, N: 320, K: 128 },
  large: { M: 4096, N: 2816, K: 1024 },
};

export const matmul: Op = {
  about: "product of a linear layer's forward pass",
  at(size) {
    const dims = SIZES[size];
    const { M, N, K } = dims;
    const flops = 2 * M * N * K;
    const out = (plan: Plan) => plan.value("out", [M, N]);
    const square = (name: string, use: typeof naive): Version => ({
      name,
      record(plan, [a, b]) {
        const y = out(plan);
        const workgroups = [Math.ceil(N / 16), Math.ceil(M / 16), 1] as const;
        plan.dispatch(use, [a, b, y], { dims, workgroups, flops });
        return y;
      },
    });
    return {
      workload: `a [${M},${K}] times b [${N},${K}] transposed`,
      inputs: [[M, K], [N, K]],
      flops,
      versions: [
        square("naive: one output an invocation", naive),
        square("16 x 16 tile in workgroup memory", tile),
        ...matmulNt.variants.map((variant): Version => ({
          name: `ours: ${variant.name}`,
          fits: (plan) => variant.fits(dims, plan.traits),
          record(plan, [a, b]) {
            const y = out(plan);
            variant.record(plan, [a, b, b, b, y], dims);
            return y;
          },
        })),
        {
          name: "ours: what this adapter takes",
          record(plan, [a, b]) {
            const y = out(plan);
            recordNt(plan, a, b, y, dims, false);
            return y;
          },
        },
      ],
    };
  },
};
