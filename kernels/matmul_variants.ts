/** The three products of a linear layer, out[M,N] = a b in three layouts, each an op with variants. */
import anyCode from "../wgsl/matmul.wgsl" with { type: "text" };
import finishCode from "../wgsl/matmul_finish.wgsl" with { type: "text" };
import gemvCode from "../wgsl/gemv.wgsl" with { type: "text" };
import registerCode from "../wgsl/matmul_register.wgsl" with { type: "text" };
import subgroupCode from "../wgsl/matmul_subgroup.wgsl" with { type: "text" };
import workgroupCode from "../wgsl/matmul_workgroup.wgsl" with { type: "text" };
import { type Access, type DType, elements, type Op, power, type Traits, type Variant } from "../src/plan/mod.ts";
import { type Kernel, kernel, type Plan, type Tensor } from "./kernel.ts";

/** nt: a [M,K], b [N,K]. nn: a [M,K], b [K,N]. tn: a [K,M], b [K,N]. */
export type Layout = "nt" | "nn" | "tn";

export interface Sizes {
  M: number;
  N: number;
  K: number;
  /** Products that lie one behind the other in a, b and out. Default 1. */
  batch?: number;
  /** Add to what out holds. */
  add?: boolean;
  bias?: boolean;
  activation?: "gelu" | "silu";
  residual?: boolean;
  /** A sixth tensor takes what the activation is applied to. */
  keep?: boolean;
  /** b holds signed integers of so many bits in u32s; a tensor at the end, [rows, width / group] in f32, their scales. */
  quantized?: { bits: 4 | 8; group: number };
  /** Element types of a, b and out. Default f32. */
  types?: readonly [a: DType, b: DType, out: DType];
}

/** a, b, bias [N], residual [M,N], out [M,N], and the kept [M,N] where `keep` says so. Missing ones are filled by b. */
const BINDINGS: Access[] = ["read", "read", "read", "read", "read_write"];
const DIMS = ["M", "N", "K", "depth", "a_z", "b_z", "out_z"];
/** A slice of K shorter than this costs more to add up than it gains. */
const SHORTEST_SLICE = 128;

const typesOf = (sizes: Sizes) => sizes.types ?? ["f32", "f32", "f32"] as const;
const half = (sizes: Sizes) => typesOf(sizes).includes("f16");
export const flopsOf = ({ M, N, K, batch = 1 }: Sizes) => 2 * M * N * K * batch;

/** One line of WGSL that turns a file of the family into the kernel for these types and layouts. */
function headerOf(layout: Layout, sizes: Sizes, span: 1 | 4, constants: string): string {
  const elem = (type: DType) => type === "u32" || span === 1 ? type : type === "f16" ? "vec4<f16>" : "vec4f";
  const [a, b, out] = typesOf(sizes);
  return (half(sizes) ? "enable f16; " : "") +
    `alias Elem = ${elem("f32")}; alias AElem = ${elem(a)}; alias BElem = ${elem(b)}; alias OutElem = ${elem(out)}; ` +
    `${readB(sizes, span)} const SPAN = ${span}u; const A_ROWS = ${layout !== "tn"}; const B_ROWS = ${
      layout === "nt"
    }; ${constants} ` +
    (sizes.keep
      ? "@group(0) @binding(6) var<storage, read_write> kept: array<OutElem>; " +
        "fn keep(at: u32, z: Elem) { kept[at] = OutElem(z); }"
      : "fn keep(at: u32, z: Elem) {}");
}

/**
 * The function that reads Elem p of b. Packed integers lie in the order of their rows, the lowest bits first, and `group` of a
 * row share a scale; a row is a multiple of `group`, so p alone says which. Shifting left and then right keeps the sign.
 */
function readB({ quantized, keep }: Sizes, span: 1 | 4): string {
  if (!quantized) return "fn b_at(p: u32) -> Elem { return Elem(b[p]); }";
  const { bits, group } = quantized;
  const perWord = 32 / bits / span;
  const at = `let word = b[p / ${perWord}u] >> (p % ${perWord}u * ${bits * span}u);`;
  const up = 32 - bits;
  const code = span === 1
    ? `f32(bitcast<i32>(word << ${up}u) >> ${up}u)`
    : `vec4f(bitcast<vec4i>(vec4u(${
      [0, 1, 2, 3].map((i) => `word << ${up - bits * i}u`).join(", ")
    })) >> vec4u(${up}u))`;
  return `@group(0) @binding(${keep ? 7 : 6}) var<storage, read> scales: array<f32>; ` +
    `fn b_at(p: u32) -> Elem { ${at} return scales[p / ${group / span}u] * ${code}; }`;
}

/** Kernels by what they are made of: plans record the same few again and again. */
const kernels = new Map<string, Kernel>();

function family(name: string, code: string, layout: Layout, sizes: Sizes, span: 1 | 4, constants: string): Kernel {
  const header = headerOf(layout, sizes, span, constants);
  const key = `${name} ${code.length} ${header}`;
  let known = kernels.get(key);
  if (!known) {
    const bindings: Access[] = [...BINDINGS];
    if (sizes.keep) bindings.push("read_write");
    if (sizes.quantized) bindings.push("read");
    kernels.set(key, known = kernel(name, code, { entry: "main", bindings, dims: DIMS, header }));
  }
  return known;
}

function epilogueOf({ add, bias, residual, activation }: Sizes): Record<string, number> {
  return {
    ADD: Number(add ?? false),
    BIAS: Number(bias ?? false),
    RESIDUAL: Number(residual ?? false),
    GELU: Number(activation === "gelu"),
    SILU: Number(activation === "silu"),
  };
}

/** How one WGSL file is used: its constants, and the rows and columns that a workgroup covers. */
interface Use {
  name: string;
  code: string;
  span: 1 | 4;
  /** Constants of the header, and the tile, on an adapter. */
  tile(traits: Traits, sizes: Sizes): { constants: string; rows: number; columns: number };
  /** depth, the length of a slice of K, must be a multiple of it. */
  unit: number;
  fits(sizes: Sizes, traits: Traits): boolean;
}

/**
 * Kernels with large register blocks write bare sums first and finish them in a second pass over `out` (matmul_block.wgsl), which
 * can't tell a sum from what it was added to, and would round twice in f16.
 */
const finishable = (sizes: Sizes) =>
  !(sizes.bias || sizes.residual || sizes.activation) || !sizes.add && typesOf(sizes)[2] === "f32";

const ANY: Use = {
  name: "any",
  code: anyCode,
  span: 1,
  tile: () => ({ constants: "", rows: 16, columns: 32 }),
  unit: 1,
  fits: () => true,
};

/** `groups` of eight rows and `columns` vec4 columns an invocation. */
const register = (groups: number, columns: number): Use => ({
  name: `register_${8 * groups}x${4 * columns}`,
  code: registerCode,
  span: 4,
  tile: () => ({
    constants: `const GROUPS = ${groups}u; const COLUMNS = ${columns}u; const STRIDE = 8u;`,
    rows: 32 * groups,
    columns: 32 * columns,
  }),
  unit: 8,
  fits: finishable,
});

const subgroup = (groups: number, columns: number): Use => ({
  name: `subgroup_${8 * groups}x${4 * columns}`,
  code: subgroupCode,
  span: 4,
  tile: ({ subgroupSize }) => ({
    constants: `const GROUPS = ${groups}u; const COLUMNS = ${columns}u; const STRIDE = ${subgroupSize}u;`,
    rows: 8 * groups,
    columns: 4 * columns * subgroupSize,
  }),
  unit: 8,
  // A software adapter would take half a minute to compile the largest blocks with loads that are longer than f32's.
  fits: (sizes, { subgroupSize }) =>
    subgroupSize >= 4 && finishable(sizes) && !((sizes.quantized || half(sizes)) && groups * columns > 8),
});

/** side x side invocations, 8 x 8 sums each, two slices of 4 * 8 side * 5 vec4s in workgroup memory. */
const workgroup = (side: number): Use => ({
  name: `workgroup_${8 * side}`,
  code: workgroupCode,
  span: 4,
  tile: () => ({ constants: `const SIDE = ${side}u;`, rows: 8 * side, columns: 8 * side }),
  unit: 4,
  fits: (_sizes, traits) =>
    traits.workgroupInvocations >= side * side && traits.workgroupBytes >= 2 * 5 * 8 * side * 16,
});

const GEMV: Use = {
  name: "gemv",
  code: gemvCode,
  span: 4,
  tile: (_traits, { M }) => ({ constants: `const ROWS = ${power(M)}u;`, rows: 8, columns: 4 }),
  unit: 4,
  fits: ({ M }) => M <= 8,
};

/** Whether the sizes are multiples of what a file with vec4 loads needs. */
function divides(layout: Layout, { unit, span }: Use, sizes: Sizes): boolean {
  const { M, N, K } = sizes;
  return span === 1 || N % 4 === 0 && K % unit === 0 && K % 4 === 0 && (layout !== "tn" || M % 4 === 0);
}

function dispatch(
  plan: Plan,
  layout: Layout,
  use: Use,
  tensors: readonly Tensor[],
  sizes: Sizes,
  { count, depth, z }: { count: number; depth: number; z: { a_z: number; b_z: number; out_z: number } },
): void {
  const { M, N, K } = sizes;
  const { constants, rows, columns } = use.tile(plan.traits, sizes);
  plan.dispatch(family(`matmul_${layout}`, use.code, layout, sizes, use.span, constants), tensors, {
    dims: { M, N, K, depth, a_z: z.a_z / use.span, b_z: z.b_z / use.span, out_z: z.out_z / use.span },
    constants: epilogueOf(sizes),
    workgroups: [Math.ceil(N / columns), Math.ceil(M / rows), count],
    flops: 2 * M * N * depth * count,
  });
}

function whole(layout: Layout, use: Use): Variant<Sizes> {
  return {
    name: use.name,
    fits: (sizes, traits) => divides(layout, use, sizes) && use.fits(sizes, traits),
    record(plan, tensors, sizes) {
      const { M, N, K, batch = 1 } = sizes;
      const z = { a_z: M * K, b_z: N * K, out_z: M * N };
      dispatch(plan, layout, use, tensors, sizes, { count: batch, depth: K, z });
    },
  };
}

/** Slices of K for about 256 workgroups, all of the same length; 1 if it cannot be cut so. */
function slices(use: Use, sizes: Sizes, traits: Traits): number {
  const { rows, columns } = use.tile(traits, sizes);
  const tiles = Math.ceil(sizes.M / rows) * Math.ceil(sizes.N / columns);
  for (let count = Math.min(64, power(256 / tiles)); count > 1; count /= 2) {
    if (sizes.K % (count * use.unit) === 0 && sizes.K / count >= SHORTEST_SLICE) return count;
  }
  return 1;
}

/** Workgroups share the work on one tile, each a slice of K; a second kernel adds their sums in order. */
function split(layout: Layout, use: Use): Variant<Sizes> {
  return {
    name: `split_${use.name}`,
    fits: (sizes, traits) =>
      divides(layout, use, sizes) && use.fits(sizes, traits) && (sizes.batch ?? 1) === 1 &&
      slices(use, sizes, traits) > 1,
    record(plan, tensors, sizes) {
      const { M, N, K } = sizes;
      const [a, b, , , ...outputs] = tensors;
      const scales = sizes.quantized ? outputs.slice(-1) : [];
      const [typeA, typeB] = typesOf(sizes);
      const count = slices(use, sizes, plan.traits);
      const depth = K / count;
      const parts = plan.value("matmul.parts", [count, M, N]);
      const z = { a_z: layout === "tn" ? depth * M : depth, b_z: layout === "nt" ? depth : depth * N, out_z: M * N };
      const bare: Sizes = { M, N, K, quantized: sizes.quantized, types: [typeA, typeB, "f32"] };
      dispatch(plan, layout, use, [a, b, b, b, parts, ...scales], bare, { count, depth, z });
      const types = ["f32", typeB, typesOf(sizes)[2]] as const;
      const finish = family("matmul_finish", finishCode, layout, { ...sizes, types }, 4, "");
      plan.dispatch(finish, [parts, b, tensors[2], tensors[3], ...outputs], {
        dims: { M, N, K, depth: count, a_z: M * N / 4, b_z: 0, out_z: 0 },
        constants: epilogueOf(sizes),
        workgroups: [Math.ceil(N / 4 / 64), M, 1],
        flops: M * N * count,
      });
    },
  };
}

/** Products below this are over before a large tile is worth its compilation. */
const SMALL = 1 << 21;

function prefer(layout: Layout) {
  return (sizes: Sizes, { software, family, subgroupSize }: Traits): string => {
    const { M, N, K, batch = 1 } = sizes;
    const plain = !sizes.quantized && !half(sizes);
    if (software) {
      if (subgroupSize >= 4 && layout === "nt" && M <= 8 && N * K >= 1 << 16) return "subgroup_8x4";
      if (subgroupSize < 4 || M < 32 || M * N * K * batch < SMALL) return "register_8x8";
      if (family === "swiftshader" && plain) return "subgroup_32x16";
      return !plain || M * N * K * batch < 1 << 24 ? "subgroup_32x8" : "subgroup_64x8";
    }
    if (layout === "nt" && M <= 8) return "gemv";
    const tiles = (side: number) => Math.ceil(M / side) * Math.ceil(N / side) * batch;
    if (tiles(128) >= 96) return "workgroup_128";
    if (tiles(64) < 64 && K >= 512) return "split_workgroup_64";
    return M * N * K * batch < SMALL ? "register_8x8" : "workgroup_64";
  };
}

function product(layout: Layout): Op<Sizes> {
  const uses = [
    ANY,
    register(1, 2),
    subgroup(4, 2),
    subgroup(4, 4),
    subgroup(8, 2),
    workgroup(8),
    workgroup(16),
  ];
  if (layout === "nt") uses.push(subgroup(1, 1), GEMV);
  return {
    name: `matmul_${layout}`,
    writes: [4],
    shapeClass: (sizes) =>
      `${power(sizes.M)}x${power(sizes.N)}x${power(sizes.K)}${half(sizes) ? " f16" : ""}${
        sizes.quantized ? ` int${sizes.quantized.bits}` : ""
      }${(sizes.batch ?? 1) > 1 ? " batch" : ""}`,
    variants: [
      ...uses.map((use) => whole(layout, use)),
      split(layout, register(1, 2)),
      split(layout, workgroup(8)),
    ].map((variant) => ({
      ...variant,
      // The plain file knows no batch.
      fits: (sizes, traits) =>
        variant.fits(sizes, traits) && (traits.f16 || !half(sizes)) &&
        (variant.name !== "any" || (sizes.batch ?? 1) === 1),
    })),
    prefer: prefer(layout),
    // Packed weights, in all their bits: with zeros any variant would pass for right.
    fill: (_index, tensor) =>
      Uint32Array.from({ length: elements(tensor.shape) }, (_, i) => Math.imul(i + 1, 0x9e3779b9)),
  };
}

export const matmulNt = product("nt");
export const matmulNn = product("nn");
export const matmulTn = product("tn");
