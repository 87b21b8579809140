/** How a WGSL file becomes a Kernel of the plan: library functions joined in front, one header line, binding kinds. */
import codes8 from "../wgsl/lib/codes8.wgsl" with { type: "text" };
import grid from "../wgsl/lib/grid.wgsl" with { type: "text" };
import elem1 from "../wgsl/lib/elem1.wgsl" with { type: "text" };
import elem4 from "../wgsl/lib/elem4.wgsl" with { type: "text" };
import gelu from "../wgsl/lib/gelu.wgsl" with { type: "text" };
import matmul_block from "../wgsl/lib/matmul_block.wgsl" with { type: "text" };
import matmul_io from "../wgsl/lib/matmul_io.wgsl" with { type: "text" };
import philox from "../wgsl/lib/philox.wgsl" with { type: "text" };
import sigmoid from "../wgsl/lib/sigmoid.wgsl" with { type: "text" };
import sortable from "../wgsl/lib/sortable.wgsl" with { type: "text" };
import thresholds from "../wgsl/lib/thresholds.wgsl" with { type: "text" };
import type { Access, Kernel, Plan, Tensor } from "../src/plan/mod.ts";
import { showTensor } from "../src/plan/mod.ts";

const LIBRARY: Record<string, string> = {
  codes8,
  elem1,
  elem4,
  gelu,
  grid,
  matmul_block,
  matmul_io,
  philox,
  sigmoid,
  sortable,
  thresholds,
};

/**
 * Complete WGSL of a shader file. Its first line may be `// uses: philox, grid`: those files of wgsl/lib go in front.
 * A line `// header: const HEAD_SIZE = 32u;` is a one-line header with a default; `header` replaces it.
 */
export function assemble(code: string, header?: string): string {
  const uses = code.match(/^\/\/ uses: (.*)$/m)?.[1].split(",").map((name) => name.trim()) ?? [];
  const library = uses.map((name) => {
    if (!(name in LIBRARY)) throw new Error(`Cannot assemble shader: wgsl/lib/${name}.wgsl is not known`);
    return LIBRARY[name];
  });
  const line = header ?? code.match(/^\/\/ header: (.*)$/m)?.[1] ?? "";
  return [line, ...library, code].filter(Boolean).join("\n");
}

/** A kernel whose file uses `elem1`, also with four numbers at a time: `widths(...)[lanesOf(C)]`. */
export function widths(...[name, code, options]: Parameters<typeof kernel>): Record<1 | 4, Kernel> {
  return { 1: kernel(name, code, options), 4: kernel(name, code.replace("elem1", "elem4"), options) };
}

/** Numbers that one load of a row of `width` takes. */
export const lanesOf = (width: number): 1 | 4 => width % 4 === 0 ? 4 : 1;

/** `dims` lists the fields of `struct Dims` in order: plain names are u32, `eps:f32` is f32. */
export function kernel(
  name: string,
  code: string,
  options: { entry: string; bindings: readonly Access[]; dims: readonly string[]; header?: string },
): Kernel {
  const dims = options.dims.map((dim) => {
    const [field, type = "u32"] = dim.split(":");
    return [field, type as "u32" | "f32"] as const;
  });
  return { name, code: assemble(code, options.header), entry: options.entry, bindings: options.bindings, dims };
}

/** Workgroups for `count` items of `size` items each, folded so that no side exceeds 65535. */
export function groups(count: number, size = 1): [number, number, number] {
  const total = Math.ceil(count / size);
  if (total <= 65535) return [total, 1, 1];
  const y = Math.ceil(total / 65535);
  return [Math.ceil(total / y), y, 1];
}

/** Stops a recording whose shapes disagree, in one line that names the kernel, the tensors and both numbers. */
export function same(kernelName: string, what: string, a: number, inA: Tensor, b: number, inB: Tensor): void {
  if (a !== b) {
    throw new Error(
      `Cannot record ${kernelName}: ${what} is ${a} in ${showTensor(inA)} but ${b} in ${showTensor(inB)}`,
    );
  }
}

export type { Kernel, Plan, Tensor };
