/** Column sums: the gradient of everything that is broadcast over rows (biases). */
import code from "../wgsl/sum_rows.wgsl" with { type: "text" };
import { type Op, power } from "../src/plan/mod.ts";
import { lanesOf, type Plan, type Tensor, widths } from "./kernel.ts";

const kernels = widths("sum_rows", code, { entry: "main", bindings: ["read", "read_write"], dims: ["N", "C", "R"] });

interface Sizes {
  N: number;
  C: number;
  add: boolean;
}

/** out[ceil(N / R), C] (+)= sums over R rows each. */
function sums(plan: Plan, x: Tensor, out: Tensor, sizes: Sizes, R: number, columns: number, segments: number): void {
  const { N, C, add } = sizes;
  const lanes = lanesOf(C);
  plan.dispatch(kernels[lanes], [x, out], {
    dims: { N, C: C / lanes, R },
    constants: { COLUMNS: columns, SEGMENTS: segments, ADD: Number(add) },
    workgroups: [Math.ceil(C / lanes / columns), Math.ceil(N / R), 1],
    flops: N * C,
  });
}

const op: Op<Sizes> = {
  name: "sum_rows",
  writes: [1],
  shapeClass: ({ N, C }) => `${power(N)}x${power(C)}`,
  variants: [
    {
      name: "one pass",
      fits: () => true,
      record: (plan, [x, out], sizes) => sums(plan, x, out, sizes, sizes.N, 8, 8),
    },
    {
      // Few columns leave most of a GPU idle, so the rows are shared out as well. Half the time on lavapipe, too: 1.1 ms instead of
      // 2.1 for 1024 rows of 1024, as neighbours in time are neighbours in memory.
      name: "two passes",
      fits: ({ N }) => N > 64,
      record(plan, [x, out], sizes) {
        const { N, C } = sizes;
        const R = Math.max(64, 8 * Math.ceil(Math.sqrt(N) / 8));
        const S = Math.ceil(N / R);
        const parts = plan.value(`${x.name}.partials`, [S, C]);
        sums(plan, x, parts, { N, C, add: false }, R, 32, 8);
        sums(plan, parts, out, { N: S, C, add: sizes.add }, S, 32, 8);
      },
    },
  ],
  prefer: ({ N }) => N <= 512 ? "one pass" : "two passes",
};

/** out[C] (+)= sum over N of x[N,C]. */
export function sumRows(plan: Plan, x: Tensor, out: Tensor, N: number, C: number, add: boolean): void {
  plan.variant(op, [x, out], { N, C, add });
}
