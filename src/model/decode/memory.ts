/** What generation keeps on the GPU, in bytes, so that a run can be refused before it begins. */
import { PAGE } from "../../../kernels/mod.ts";
import type { LlamaConfig } from "../config.ts";

type CacheShape = Pick<LlamaConfig, "L" | "G" | "D">;

/** Pages that B sequences of S tokens fill if they share nothing, and page 0. */
export function pagesFor(B: number, S: number): number {
  return 1 + B * Math.ceil(S / PAGE);
}

/** The least that a generator works with: one sequence of S tokens, page 0, and a page to copy from. */
export function fewestPages(S: number): number {
  return pagesFor(1, S) + 1;
}

/** Bytes of keys and values in f32. With fewer pages than `pagesFor(B, S)`, sequences wait or start over: slower, no other result. */
export function cacheBytes(config: CacheShape, B: number, S: number, pages = pagesFor(B, S)): number {
  return 2 * config.L * pageTensorBytes(config, pages);
}

/** Bytes of one layer's keys: what one binding has to hold. */
export function pageTensorBytes({ G, D }: CacheShape, pages: number): number {
  return pages * PAGE * G * D * 4;
}
