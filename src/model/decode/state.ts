/** Memory of generation that outlives a plan. */
import { type Gpu, persistent, type Tensor, write } from "../../plan/mod.ts";
import { type Cache, PAGE, type SamplerState } from "../../../kernels/mod.ts";
import type { LlamaConfig } from "../config.ts";
import { MOST_STEPS } from "./pace.ts";

export { MOST_STEPS };

export interface State {
  /** Of each layer. */
  readonly caches: readonly Cache[];
  /** [B+1,M]: the last row belongs to nobody. */
  readonly tables: Tensor;
  /** [B]: row n of a decode plan is slot n. */
  readonly slots: Tensor;
  readonly sampler: SamplerState;
  /** [N] each: the rows of a prefill chunk. */
  readonly chunk: { readonly ids: Tensor; readonly slots: Tensor; readonly positions: Tensor };
  /** [B,2] pages to copy. */
  readonly pairs: Tensor;
}

/** For B slots of M pages, chunks of at most `chunk` rows, and so many stop tokens. */
export function createState(
  gpu: Gpu,
  { L, G, D }: Pick<LlamaConfig, "L" | "G" | "D">,
  { B, M, pages, chunk, stops }: { B: number; M: number; pages: number; chunk: number; stops: number },
): State {
  const u32 = (name: string, shape: number[]) => persistent(gpu, name, shape, "u32");
  const slots = u32("slots", [B]);
  write(gpu, slots, Uint32Array.from({ length: B }, (_, slot) => slot));
  return {
    caches: Array.from({ length: L }, (_, l) => ({
      keys: persistent(gpu, `cache.${l}.keys`, [pages, PAGE, G * D]),
      values: persistent(gpu, `cache.${l}.values`, [pages, PAGE, G * D]),
    })),
    tables: u32("tables", [B + 1, M]),
    slots,
    sampler: {
      settings: u32("settings", [6 + stops]),
      rows: u32("rows", [B, 4]),
      current: u32("current", [B]),
      positions: u32("positions", [B]),
      tokens: u32("tokens", [B, MOST_STEPS]),
    },
    chunk: {
      ids: u32("chunk.ids", [chunk]),
      slots: u32("chunk.slots", [chunk]),
      positions: u32("chunk.positions", [chunk]),
    },
    pairs: u32("pairs", [B, 2]),
  };
}

export function destroyState({ caches, tables, slots, sampler, chunk, pairs }: State): void {
  const tensors = [...caches.flatMap(({ keys, values }) => [keys, values]), tables, slots, pairs];
  for (const tensor of [...tensors, ...Object.values(sampler) as Tensor[], ...Object.values(chunk)]) {
    tensor.storage.buffer?.destroy();
  }
}
