/**
 * Generation with a paged key/value cache (Kwon et al. 2023): a sequence is a list of pages of 16 tokens, so memory is taken as
 * it grows, and sequences share the pages of a prompt. Rows are tokens of any sequence at any place: decoding feeds one row
 * a sequence, prefill many. What a row gives depends on its own sequence alone. No gradients.
 */
import copyCode from "../wgsl/cache_copy.wgsl" with { type: "text" };
import joinCode from "../wgsl/attention_decode_join.wgsl" with { type: "text" };
import laneCode from "../wgsl/attention_decode_lanes.wgsl" with { type: "text" };
import workgroupCode from "../wgsl/attention_decode.wgsl" with { type: "text" };
import writeCode from "../wgsl/cache_write.wgsl" with { type: "text" };
import { type Access, elements, type Op, power } from "../src/plan/mod.ts";
import { groups, kernel, type Plan, same, type Tensor } from "./kernel.ts";

/** Tokens of a page. */
export const PAGE = 16;

const write = kernel("cache_write", writeCode, {
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write", "read_write"],
  dims: ["N", "M", "H", "G", "D4"],
});
const copy = kernel("cache_copy", copyCode, {
  entry: "main",
  bindings: ["read", "read_write", "read_write"],
  dims: ["count", "W4"],
});
const join = kernel("attention_decode.join", joinCode, {
  entry: "main",
  bindings: ["read", "read_write"],
  dims: ["rows", "splits", "D4"],
});
const DIMS = ["N", "H", "G", "M", "splits", "split", "window", "scale:f32"];
const BINDINGS: Access[] = ["read", "read", "read", "read", "read", "read", "read_write"];

/** [pages,16,G*D] each, of one layer. Page 0 belongs to nobody: tables that have no sequence point there. */
export interface Cache {
  keys: Tensor;
  values: Tensor;
}

/** Where the rows of a plan stand. */
export interface Rows {
  /** [slots,M] u32: the pages of each sequence, which so is at most 16M tokens long. */
  tables: Tensor;
  /** [N] u32: the slot of a row, and its position in the sequence. */
  slots: Tensor;
  positions: Tensor;
}

interface HeadSizes {
  H: number;
  G: number;
  D: number;
}

/** The key and value heads of qkv [N, (H+2G)*D] into the rows' pages; positions at or beyond 16M are dropped. */
export function cacheWrite(plan: Plan, qkv: Tensor, cache: Cache, rows: Rows, sizes: HeadSizes): void {
  const { H, G, D } = sizes;
  const N = check("cache_write", qkv, cache, rows, sizes);
  const tensors = [qkv, rows.tables, rows.slots, rows.positions, cache.keys, cache.values];
  const dims = { N, M: rows.tables.shape[1], H, G, D4: D / 4 };
  plan.dispatch(write, tensors, { dims, workgroups: groups(N * G * D / 4, 64) });
}

/** Copies pages by pairs [count,2] u32 of (from, to); a pair of equals does nothing. No page is both read and written. */
export function cacheCopy(plan: Plan, pairs: Tensor, cache: Cache): void {
  const count = pairs.shape[0];
  const W4 = cache.keys.shape[2] / 4;
  plan.dispatch(copy, [pairs, cache.keys, cache.values], {
    dims: { count, W4 },
    workgroups: groups(count * PAGE * W4, 64),
  });
}

export interface DecodeSizes extends HeadSizes {
  N: number;
  /** Pages of a table. */
  M: number;
  /** Keys of a split: a multiple of 16, or all of them. */
  split: number;
  /** A row sees that many keys, its own included. */
  window: number;
  /** Rows of `tables`, and pages of the cache. */
  slots: number;
  pages: number;
}

/** Tensors: qkv, keys, values, tables, slots, positions, y. */
export const decode: Op<DecodeSizes> = {
  name: "attention_decode",
  writes: [6],
  shapeClass: ({ N, M, split, H, G, D }) => `${power(N * G)}x${power(H / G)}x${power(M * PAGE)}/${power(split)}x${D}`,
  variants: [
    { name: "lanes", fits: () => true, record: (plan, tensors, sizes) => record(plan, tensors, sizes, "lanes") },
    {
      name: "workgroup",
      fits: ({ N, G, H, D }, { workgroupBytes, workgroupInvocations }) =>
        N <= 65535 && G <= 65535 && D <= 512 && workgroupInvocations >= 128 &&
        workgroupBytes >= H / G * (4 * D + 1024) + 2576,
      record: (plan, tensors, sizes) => record(plan, tensors, sizes, "workgroup"),
    },
  ],
  prefer: (_, { software }) => software ? "lanes" : "workgroup",
  // Tables of distinct pages, every row at the end of a sequence of its own.
  fill: (index, tensor, { M, slots, pages }) => {
    const at = (i: number) => [i % pages, i % slots, M * PAGE - 1][index - 3];
    return Uint32Array.from({ length: elements(tensor.shape) }, (_, i) => at(i));
  },
};

function record(plan: Plan, tensors: readonly Tensor[], sizes: DecodeSizes, variant: "lanes" | "workgroup"): void {
  const { N, M, H, G, D, split, window } = sizes;
  const splits = Math.ceil(M * PAGE / split);
  const y = tensors[6];
  const out = splits > 1 ? plan.value("attention.splits", [N * H, splits, D + 4]) : y;
  const share = variant === "lanes" ? laneHeads(H / G, D) : H / G;
  // Head size and share are lengths of arrays, which WGSL wants as constants.
  const header = `const HEAD_SIZE = ${D}u; const SHARE = ${share}u;`;
  const code = variant === "lanes" ? laneCode : workgroupCode;
  plan.dispatch(
    kernel(`attention_decode.${variant}`, code, { entry: "main", bindings: BINDINGS, dims: DIMS, header }),
    [...tensors.slice(0, 6), out],
    {
      dims: { N, H, G, M, splits, split, window, scale: 1 / Math.sqrt(D) },
      constants: { SPLIT: Number(splits > 1) },
      workgroups: variant === "lanes" ? groups(N * H / share * splits, 8) : [splits, G, N],
      flops: 4 * N * H * Math.min(M * PAGE, window) * D, // if every sequence were full
    },
  );
  if (splits === 1) return;
  const dims = { rows: N * H, splits, D4: D / 4 };
  plan.dispatch(join, [out, y], { dims, workgroups: groups(N * H * D / 4, 64) });
}

/** Query heads of a lane: as many of those that share a key head as stay in registers (and compile within a second). */
function laneHeads(heads: number, D: number): number {
  for (let share = heads; share > 1; share--) if (heads % share === 0 && share * D <= 128) return share;
  return 1;
}

/**
 * The query heads of qkv [N, (H+2G)*D] against the keys of each row's sequence up to and including the row's own -> [N, H*D].
 * `split` (default: none) spreads the keys of one sequence over workgroups, whose parts are joined in order: the bits depend
 * on it, so it has to be the same wherever the same bits are wanted.
 */
export function attentionDecode(
  plan: Plan,
  qkv: Tensor,
  cache: Cache,
  rows: Rows,
  sizes: HeadSizes & { split?: number; window?: number },
): Tensor {
  const { H, G, D, split, window } = sizes;
  const N = check("attention_decode", qkv, cache, rows, sizes);
  if (H % G !== 0) throw new Error(`Cannot record attention_decode: ${H} query heads over ${G} key/value heads`);
  const y = plan.value("attended", [N, H * D]);
  const M = rows.tables.shape[1];
  const tensors = [qkv, cache.keys, cache.values, rows.tables, rows.slots, rows.positions, y];
  plan.variant(decode, tensors, {
    N,
    M,
    H,
    G,
    D,
    split: split ?? M * PAGE,
    window: window ?? M * PAGE,
    slots: rows.tables.shape[0],
    pages: cache.keys.shape[0],
  });
  return y;
}

/** Number of rows, if the shapes agree. */
function check(name: string, qkv: Tensor, cache: Cache, rows: Rows, { H, G, D }: HeadSizes): number {
  const N = elements(rows.positions.shape);
  if (D % 4 !== 0) throw new Error(`Cannot record ${name}: head size ${D} is no multiple of 4`);
  same(name, "G*D", G * D, qkv, cache.keys.shape[2], cache.keys);
  const wanted = { ...rows.positions, shape: [N, H + 2 * G, D] };
  same(name, "N*(H+2G)*D", elements(qkv.shape), qkv, N * (H + 2 * G) * D, wanted);
  same(name, "N", elements(rows.slots.shape), rows.slots, N, rows.positions);
  return N;
}
