/**
 * LayerNorm (Ba, Kiros & Hinton, "Layer Normalization", 2016) and RMSNorm (Zhang & Sennrich, "Root Mean Square Layer
 * Normalization", 2019). The backward pass reads x and dy once for dx and for the gradients of gain and bias, whose partial
 * sums are added up in a fixed order.
 */
import backwardCode from "../wgsl/norm_backward.wgsl" with { type: "text" };
import finishCode from "../wgsl/norm_finish.wgsl" with { type: "text" };
import forwardCode from "../wgsl/norm.wgsl" with { type: "text" };
import forwardSubgroupCode from "../wgsl/norm_subgroup.wgsl" with { type: "text" };
import backwardSubgroupCode from "../wgsl/norm_backward_subgroup.wgsl" with { type: "text" };
import { elements, type Op, power, type Traits, type Variant } from "../src/plan/mod.ts";
import { groups, kernel, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const forward = {
  entry: "forward",
  bindings: ["read", "read", "read", "read_write", "read_write"],
  dims: ["N", "C", "eps:f32"],
} as const;
const backward = {
  entry: "backward",
  bindings: ["read", "read", "read", "read", "read_write", "read_write"],
  dims: ["N", "C"],
} as const;
const forwardKernels = widths("norm.forward", forwardCode, forward);
const backwardKernels = widths("norm.backward", backwardCode, backward);
const finish = kernel("norm.finish", finishCode, {
  entry: "finish",
  bindings: ["read", "read_write", "read_write"],
  dims: ["S", "C"],
});

interface Sizes {
  N: number;
  C: number;
  center: boolean;
  eps: number;
}

interface BackwardSizes extends Sizes {
  add: boolean;
  /** Gain and bias are trained, and whether their gradients hold a sum already. */
  trained: boolean;
  addGain: boolean;
  addBias: boolean;
}

const shapeClass = ({ N, C, center }: Sizes) => `${power(N)}x${power(C)}${center ? " centered" : ""}`;

/** Elems of a row that each lane of a subgroup holds in registers. */
const heldBy = (C: number, { subgroupSize }: Traits) => Math.ceil(C / lanesOf(C) / subgroupSize);

/** Where all subgroups have one size and hold a row without spilling, `rows` rows a subgroup. */
const fitsSubgroup = ({ C }: Sizes, traits: Traits) =>
  traits.subgroupSize > 0 && 64 % traits.subgroupSize === 0 && heldBy(C, traits) <= 16;

function forwardSubgroupVariant(name: string, rows: number): Variant<Sizes> {
  return {
    name,
    fits: fitsSubgroup,
    record(plan, tensors, { N, C, center, eps }) {
      const { subgroupSize } = plan.traits;
      const header = `const HELD = ${heldBy(C, plan.traits)}u;`;
      const kernels = widths("norm.forward", forwardSubgroupCode, { ...forward, header });
      plan.dispatch(kernels[lanesOf(C)], tensors, {
        dims: { N, C, eps },
        constants: { SIZE: 64, ROWS: rows, CENTER: Number(center) },
        workgroups: groups(N, 64 / subgroupSize * rows),
        flops: (center ? 8 : 4) * N * C,
      });
    },
  };
}

/** `size` invocations a workgroup, `team` of them find the statistics of a row. */
function forwardVariant(name: string, size: number, team: number): Variant<Sizes> {
  return {
    name,
    fits: () => true,
    record(plan, tensors, { N, C, center, eps }) {
      plan.dispatch(forwardKernels[lanesOf(C)], tensors, {
        dims: { N, C, eps },
        constants: { SIZE: size, TEAM: team, CENTER: Number(center) },
        workgroups: groups(N, size / team),
        flops: (center ? 8 : 4) * N * C,
      });
    },
  };
}

/** x, gain, bias -> y, (mean, inv) of each row. */
const forwardOp: Op<Sizes> = {
  name: "norm",
  writes: [3, 4],
  shapeClass,
  variants: [
    forwardVariant("workgroup a row", 64, 64),
    forwardVariant("invocation a row", 32, 1),
    forwardVariant("16 invocations a row", 64, 16),
    forwardSubgroupVariant("subgroup a row", 1),
    forwardSubgroupVariant("subgroup 8 rows", 8),
  ],
  prefer(sizes, traits) {
    if (fitsSubgroup(sizes, traits)) return traits.software ? "subgroup 8 rows" : "subgroup a row";
    return traits.software ? "invocation a row" : "workgroup a row";
  },
};

/** `S` parts of the gradients of gain and bias, added up. */
function recordFinish(plan: Plan, parts: Tensor, dGain: Tensor, dBias: Tensor, sizes: BackwardSizes, S: number): void {
  const { C, center, addGain, addBias } = sizes;
  const wide = (center ? 2 : 1) * C;
  plan.dispatch(finish, [parts, dGain, dBias], {
    dims: { S, C },
    constants: { CENTER: Number(center), ADD_GAIN: Number(addGain), ADD_BIAS: Number(addBias) },
    workgroups: [Math.ceil(wide / 16), 1, 1],
    flops: S * wide,
  });
}

function backwardVariant(name: string, size: number, team: number): Variant<BackwardSizes> {
  return {
    name,
    fits: () => true,
    record(plan, tensors, sizes) {
      const S = Math.ceil(sizes.N / (size / team));
      const constants = { SIZE: size, TEAM: team };
      recordBackward(plan, backwardKernels, tensors, sizes, S, groups(S), constants);
    },
  };
}

function backwardSubgroupVariant(name: string, rows: number): Variant<BackwardSizes> {
  return {
    name,
    fits: fitsSubgroup,
    record(plan, tensors, sizes) {
      const S = Math.ceil(sizes.N / rows);
      const header = `const HELD = ${heldBy(sizes.C, plan.traits)}u;`;
      const kernels = widths("norm.backward", backwardSubgroupCode, { ...backward, header });
      const workgroups = groups(S, 64 / plan.traits.subgroupSize);
      recordBackward(plan, kernels, tensors, sizes, S, workgroups, { SIZE: 64, ROWS: rows });
    },
  };
}

function recordBackward(
  plan: Plan,
  kernels: ReturnType<typeof widths>,
  [x, gain, stats, dy, dx, dGain, dBias]: readonly Tensor[],
  sizes: BackwardSizes,
  S: number,
  workgroups: [number, number, number],
  constants: Record<string, number>,
): void {
  const { N, C, center, add, trained } = sizes;
  const parts = plan.value(`${gain.name}.partials`, trained ? [S, center ? 2 : 1, C] : [4]);
  plan.dispatch(kernels[lanesOf(C)], [x, gain, stats, dy, dx, parts], {
    dims: { N, C },
    constants: { ...constants, CENTER: Number(center), ADD: Number(add), PARTS: Number(trained) },
    workgroups,
    flops: (center ? 16 : 12) * N * C,
  });
  if (trained) recordFinish(plan, parts, dGain, dBias, sizes, S);
}

/** x, gain, stats, dy -> dx, d_gain, d_bias. */
const backwardOp: Op<BackwardSizes> = {
  name: "norm.backward",
  writes: [4, 5, 6],
  shapeClass: (sizes) => `${shapeClass(sizes)}${sizes.trained ? "" : " frozen"}`,
  variants: [
    backwardVariant("16 rows a workgroup", 256, 16),
    backwardVariant("invocation a row", 32, 1),
    backwardVariant("4 rows a workgroup", 128, 32),
    backwardSubgroupVariant("subgroup 8 rows", 8),
    backwardSubgroupVariant("subgroup 32 rows", 32),
  ],
  prefer(sizes, traits) {
    // SwiftShader takes 2.0 ms for 1024 rows of 128 by invocations and 3.4 by subgroups; lavapipe 0.46 and 0.32.
    if (fitsSubgroup(sizes, traits) && traits.family !== "swiftshader") return "subgroup 8 rows";
    return traits.software ? "invocation a row" : "16 rows a workgroup";
  },
};

/** y[.., C] = x / rms(x) * gain[C]. `eps` is added to the mean of squares. */
export function rmsnorm(plan: Plan, x: Tensor, gain: Tensor, eps: number): Tensor {
  return norm(plan, x, gain, null, eps);
}

/** y[.., C] = (x - mean) / deviation * gain[C] + bias[C], over the last dimension. `eps` is added to the variance. */
export function layernorm(plan: Plan, x: Tensor, gain: Tensor, bias: Tensor, eps: number): Tensor {
  same("layernorm.forward", "C", gain.shape[0], gain, bias.shape[0], bias);
  return norm(plan, x, gain, bias, eps);
}

function norm(plan: Plan, x: Tensor, gain: Tensor, bias: Tensor | null, eps: number): Tensor {
  const C = gain.shape[0];
  const center = bias !== null;
  same(center ? "layernorm.forward" : "rmsnorm.forward", "C", x.shape[x.shape.length - 1], x, C, gain);
  const N = elements(x.shape) / C;
  const y = plan.value(`${gain.name}.out`, x.shape);
  const stats = plan.value(`${gain.name}.stats`, [N, 2]);
  plan.variant(forwardOp, [x, gain, bias ?? gain, y, stats], { N, C, center, eps });
  plan.op([y], bias ? [x, gain, bias] : [x, gain], () => {
    const dy = plan.gradient(y);
    const dGain = plan.target(gain);
    const dBias = bias ? plan.target(bias) : null;
    if (bias && !dGain !== !dBias) throw new Error("Cannot record layernorm.backward: gain and bias train together");
    const dx = plan.target(x);
    const out = dx?.tensor ?? plan.value("unused", x.shape);
    // Without training, gain and bias need no place: nothing is written there.
    const dGainTensor = dGain?.tensor ?? plan.value("unused", gain.shape);
    // Without a bias its binding needs memory that is not bound elsewhere in the dispatch.
    const dBiasTensor = dBias?.tensor ?? plan.value("unused", [1]);
    plan.variant(backwardOp, [x, gain, stats, dy, out, dGainTensor, dBiasTensor], {
      N,
      C,
      center,
      eps,
      add: dx?.add ?? false,
      trained: dGain !== null,
      addGain: dGain?.add ?? false,
      addBias: dBias?.add ?? false,
    });
  });
  return y;
}
