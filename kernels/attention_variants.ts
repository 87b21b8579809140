/** The three kernels of attention, each an op with variants. Tensors: see the bindings of the WGSL files. */
import forwardCode from "../wgsl/attention.wgsl" with { type: "text" };
import keyValueCode from "../wgsl/attention_key_value.wgsl" with { type: "text" };
import queryCode from "../wgsl/attention_query.wgsl" with { type: "text" };
import { type Access, type Op, power } from "../src/plan/mod.ts";
import { kernel, type Plan, type Tensor } from "./kernel.ts";

export interface Sizes {
  B: number;
  T: number;
  H: number;
  G: number;
  D: number;
  /** At most T. */
  window: number;
  /** Whether the second tensor holds segment ids. */
  segmented: boolean;
  /** Add to what d_qkv holds. */
  add: boolean;
}

const DIMS = ["B", "T", "H", "G", "window", "scale:f32"];
const FORWARD: Access[] = ["read", "read", "read_write", "read_write"];
const QUERY: Access[] = ["read", "read", "read", "read", "read", "read_write", "read_write"];
const KEY_VALUE: Access[] = ["read", "read", "read", "read", "read_write"];

/** Pairs of a query and a key that it sees, segments apart. */
const pairs = ({ B, T, H, window }: Sizes) => B * H * (T * window - window * (window - 1) / 2);

const shapeClass = ({ B, T, H, D }: Sizes) => `${power(B * H)}x${power(T)}x${D}`;

/** One kernel that covers `rows` rows of each of `heads` heads a workgroup. `products` of the size of q k^T. */
function record(
  name: string,
  code: string,
  bindings: readonly Access[],
  { entry = "main", rows, heads, products }: { entry?: string; rows: number; heads: "H" | "G"; products: number },
) {
  return (plan: Plan, tensors: readonly Tensor[], sizes: Sizes) => {
    const { B, T, H, G, D, window, segmented, add } = sizes;
    const backward = entry !== "forward";
    // The head size is the length of private arrays, which WGSL wants as a constant: one kernel per size.
    plan.dispatch(kernel(name, code, { entry, bindings, dims: DIMS, header: `const HEAD_SIZE = ${D}u;` }), tensors, {
      dims: { B, T, H, G, window, scale: 1 / Math.sqrt(D) },
      constants: { SEGMENTED: Number(segmented), ...(backward ? { ADD: Number(add) } : {}) },
      workgroups: [Math.ceil(T / rows), B * (heads === "H" ? H : G), 1],
      flops: 2 * products * pairs(sizes) * D,
    });
  };
}

/** [qkv, segments, y, lse] */
export const attentionForward: Op<Sizes> = {
  name: "attention_forward",
  writes: [2, 3],
  shapeClass,
  variants: [{
    name: "row",
    fits: () => true,
    record: record("attention.forward", forwardCode, FORWARD, { entry: "forward", rows: 32, heads: "H", products: 2 }),
  }],
  prefer: () => "row",
};

/** [qkv, segments, y, dy, lse, lse_delta, d_qkv]: the query heads of d_qkv, and lse_delta for the other half. */
export const attentionBackwardQuery: Op<Sizes> = {
  name: "attention_backward_query",
  writes: [5, 6],
  shapeClass,
  variants: [{
    name: "row",
    fits: () => true,
    record: record("attention.query", queryCode, QUERY, { rows: 32, heads: "H", products: 3 }),
  }],
  prefer: () => "row",
};

/** [qkv, segments, dy, lse_delta, d_qkv]: the key and value heads of d_qkv. */
export const attentionBackwardKeyValue: Op<Sizes> = {
  name: "attention_backward_key_value",
  writes: [4],
  shapeClass,
  variants: [{
    name: "row",
    fits: () => true,
    record: record("attention.key_value", keyValueCode, KEY_VALUE, { rows: 32, heads: "G", products: 4 }),
  }],
  prefer: () => "row",
};
