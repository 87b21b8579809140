/**
 * The three kernels of attention, each an op with four variants:
 *   row             one invocation a row, for every adapter
 *   lanes2, lanes4  a subgroup hands loads round by broadcast and each lane owns 2 or 4 rows, for adapters on the CPU
 *   tile            register tiles over workgroup memory, for GPUs
 */
import forwardRow from "../wgsl/attention.wgsl" with { type: "text" };
import queryRow from "../wgsl/attention_query.wgsl" with { type: "text" };
import keyValueRow from "../wgsl/attention_key_value.wgsl" with { type: "text" };
import forwardLanes2 from "../wgsl/attention_lanes2.wgsl" with { type: "text" };
import forwardLanes4 from "../wgsl/attention_lanes4.wgsl" with { type: "text" };
import queryLanes2 from "../wgsl/attention_lanes2_query.wgsl" with { type: "text" };
import queryLanes4 from "../wgsl/attention_lanes4_query.wgsl" with { type: "text" };
import keyValueLanes2 from "../wgsl/attention_lanes2_key_value.wgsl" with { type: "text" };
import keyValueLanes4 from "../wgsl/attention_lanes4_key_value.wgsl" with { type: "text" };
import forwardTile from "../wgsl/attention_tile.wgsl" with { type: "text" };
import queryTile from "../wgsl/attention_tile_query.wgsl" with { type: "text" };
import keyValueTile from "../wgsl/attention_tile_key_value.wgsl" with { type: "text" };
import { type Access, type Op, power, type Traits, type Variant } from "../src/plan/mod.ts";
import { kernel } from "./kernel.ts";

export interface Sizes {
  B: number;
  T: number;
  H: number;
  G: number;
  D: number;
  /** At most T. */
  window: number;
  /** A query sees no key behind its own; else all keys of its segment. */
  causal: boolean;
  /** Whether the second tensor holds segment ids. */
  segmented: boolean;
  /** Add to what d_qkv holds. */
  add: boolean;
}

/** What the variants of one op have in common. */
interface Part {
  name: string;
  entry: string;
  bindings: readonly Access[];
  /** Rows that tile over workgroups: of query heads, or of key/value heads. */
  heads: "H" | "G";
  /** Matrix products of the size of q k^T. */
  products: number;
  /** Rows of D elements that a workgroup of `tile` keeps for each row it owns. */
  resident: number;
}

const FORWARD: Part = {
  name: "attention.forward",
  entry: "forward",
  bindings: ["read", "read", "read_write", "read_write"],
  heads: "H",
  products: 2,
  resident: 1,
};
const QUERY: Part = {
  name: "attention.query",
  entry: "main",
  bindings: ["read", "read", "read", "read", "read", "read_write", "read_write"],
  heads: "H",
  products: 3,
  resident: 2,
};
const KEY_VALUE: Part = {
  name: "attention.key_value",
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write"],
  heads: "G",
  products: 4,
  resident: 2,
};

/** Pairs of a query and a key that it sees, segments apart. */
const pairs = ({ B, T, H, window, causal }: Sizes) =>
  causal ? B * H * (T * window - window * (window - 1) / 2) : B * H * T * T;

/** Records a kernel whose workgroups own `rows` rows each; `header` gives the constants of its WGSL file. */
function variant(
  part: Part,
  name: string,
  code: string,
  fits: Variant<Sizes>["fits"],
  shape: (sizes: Sizes, traits: Traits) => { rows: number; header?: string },
): Variant<Sizes> {
  return {
    name,
    fits,
    record(plan, tensors, sizes) {
      const { B, T, D, window, causal, segmented, add } = sizes;
      const { rows, header = "" } = shape(sizes, plan.traits);
      const { entry, bindings, heads, products } = part;
      // The head size is the length of arrays, which WGSL wants as a constant: one kernel per size.
      const full = `const HEAD_SIZE = ${D}u; ${header}`.trim();
      const label = name === "row" ? part.name : `${part.name}.${name}`;
      plan.dispatch(
        kernel(label, code, { entry, bindings, dims: ["B", "T", "H", "G", "window", "scale:f32"], header: full }),
        tensors,
        {
          dims: { B, T, H: sizes.H, G: sizes.G, window, scale: 1 / Math.sqrt(D) },
          constants: {
            SEGMENTED: Number(segmented),
            CAUSAL: Number(causal),
            ...(part === FORWARD ? {} : { ADD: Number(add) }),
          },
          workgroups: [Math.ceil(T / rows), B * sizes[heads], 1],
          flops: 2 * products * pairs(sizes) * D,
        },
      );
    },
  };
}

/** The most rows that fit a workgroup's memory beside a tile of 32 x 32 and the weights; 0 if not even 16 do. */
function tileRows({ resident }: Part, D: number, traits: Traits): number {
  const wide = Math.ceil(D / 32) * 8 + 1;
  const bytes = (rows: number) => 16 * (resident * rows * wide + 32 * 9 + 32 * (rows / 4 + 1));
  // Software adapters take seconds to compile large workgroup arrays, and gain nothing from them.
  const choices = traits.software ? [16] : [64, 32, 16];
  return choices.find((rows) => bytes(rows) <= traits.workgroupBytes) ?? 0;
}

function variants(part: Part, row: string, [lanes2, lanes4]: [string, string], tile: string): Variant<Sizes>[] {
  const lanes = (each: number, code: string) =>
    variant(
      part,
      `lanes${each}`,
      code,
      // Rows of a head lie in private memory, which compilers make registers of: beyond 128 that takes them too long.
      ({ D }, { subgroupSize }) => subgroupSize >= 4 && D <= 128,
      (_, { subgroupSize }) => ({ rows: each * subgroupSize, header: `const SUBGROUP = ${subgroupSize}u;` }),
    );
  return [
    variant(part, "row", row, () => true, () => ({ rows: 32 })),
    lanes(2, lanes2),
    lanes(4, lanes4),
    variant(part, "tile", tile, ({ D }, traits) => tileRows(part, D, traits) > 0, ({ D }, traits) => {
      const rows = tileRows(part, D, traits);
      return { rows, header: `const ROWS = ${rows}u;` };
    }),
  ];
}

const common = {
  shapeClass: ({ B, T, H, D }: Sizes) => `${power(B * H)}x${power(T)}x${D}`,
  // Four rows a lane win by a third on long sequences of llvmpipe, but LLVM takes twice as long to compile them, and that
  // grows with the head size: 14 s against 6 at 128.
  prefer: ({ T, D }: Sizes, { software, family }: Traits) =>
    !software ? "tile" : family === "swiftshader" || T >= 256 && D <= 64 ? "lanes4" : "lanes2",
};

/** [qkv, segments, y, lse] */
export const attentionForward: Op<Sizes> = {
  ...common,
  name: "attention_forward",
  writes: [2, 3],
  variants: variants(FORWARD, forwardRow, [forwardLanes2, forwardLanes4], forwardTile),
};

/** [qkv, segments, y, dy, lse, lse_delta, d_qkv]: the query heads of d_qkv, and lse_delta for the other half. */
export const attentionBackwardQuery: Op<Sizes> = {
  ...common,
  name: "attention_backward_query",
  writes: [5, 6],
  variants: variants(QUERY, queryRow, [queryLanes2, queryLanes4], queryTile),
};

/** [qkv, segments, dy, lse_delta, d_qkv]: the key and value heads of d_qkv. */
export const attentionBackwardKeyValue: Op<Sizes> = {
  ...common,
  name: "attention_backward_key_value",
  writes: [4],
  variants: variants(KEY_VALUE, keyValueRow, [keyValueLanes2, keyValueLanes4], keyValueTile),
};
