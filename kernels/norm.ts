/**
 * LayerNorm (Ba, Kiros & Hinton, "Layer Normalization", 2016) and RMSNorm (Zhang & Sennrich, "Root Mean Square Layer
 * Normalization", 2019). The backward pass reads x and dy once for dx and for the gradients of gain and bias, whose partial
 * sums are added up in a fixed order.
 */
import backwardCode from "../wgsl/norm_backward.wgsl" with { type: "text" };
import finishCode from "../wgsl/norm_finish.wgsl" with { type: "text" };
import forwardCode from "../wgsl/norm.wgsl" with { type: "text" };
import { elements, type Op, power } from "../src/plan/mod.ts";
import { groups, kernel, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const forwardKernels = widths("norm.forward", forwardCode, {
  entry: "forward",
  bindings: ["read", "read", "read", "read_write", "read_write"],
  dims: ["N", "C", "eps:f32"],
});
const backwardKernels = widths("norm.backward", backwardCode, {
  entry: "backward",
  bindings: ["read", "read", "read", "read", "read_write", "read_write"],
  dims: ["N", "C"],
});
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

/** `size` invocations a workgroup, `team` of them find the statistics of a row. */
function forwardVariant(name: string, size: number, team: number) {
  return {
    name,
    fits: () => true,
    record(plan: Plan, tensors: readonly Tensor[], { N, C, center, eps }: Sizes) {
      plan.dispatch(forwardKernels[lanesOf(C)], tensors, {
        dims: { N, C, eps },
        constants: { SIZE: size, TEAM: team, CENTER: Number(center) },
        workgroups: groups(N, size / team),
        flops: 8 * N * C,
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
  ],
  prefer: (_, { software }) => software ? "invocation a row" : "workgroup a row",
};

function backwardVariant(name: string, size: number, team: number) {
  return {
    name,
    fits: () => true,
    record(plan: Plan, tensors: readonly Tensor[], sizes: BackwardSizes) {
      const { N, C, center } = sizes;
      const [x, gain, stats, dy, dx, dGain, dBias] = tensors;
      const S = Math.ceil(N / (size / team));
      const parts = plan.value(`${gain.name}.partials`, sizes.trained ? [S, center ? 2 : 1, C] : [4]);
      plan.dispatch(backwardKernels[lanesOf(C)], [x, gain, stats, dy, dx, parts], {
        dims: { N, C },
        constants: {
          SIZE: size,
          TEAM: team,
          CENTER: Number(center),
          ADD: Number(sizes.add),
          PARTS: Number(sizes.trained),
        },
        workgroups: groups(S),
        flops: 16 * N * C,
      });
      if (!sizes.trained) return;
      plan.dispatch(finish, [parts, dGain, dBias], {
        dims: { S, C },
        constants: { CENTER: Number(center), ADD_GAIN: Number(sizes.addGain), ADD_BIAS: Number(sizes.addBias) },
        workgroups: [Math.ceil((center ? 2 : 1) * C / 64), 1, 1],
        flops: (center ? 2 : 1) * S * C,
      });
    },
  };
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
  ],
  prefer: (_, { software }) => software ? "invocation a row" : "16 rows a workgroup",
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
