/** Where Adam's moments live on the GPU, by page, and under which names checkpoints keep them. */
import { type Gpu, persistent, type Tensor, type WeightPage } from "../plan/mod.ts";
import { MOMENT_BLOCK, type Moments } from "../../kernels/mod.ts";

/**
 * Zero moments for every page: 8 bytes a parameter as f32, 2.03 in 8 bits. Gains and biases (pages without decay) stay f32:
 * they are few, and each of them moves a whole channel (Dettmers et al. 2022 leave small tensors in f32 too).
 */
export function createMoments(gpu: Gpu, pages: readonly WeightPage[], kind: Moments["kind"]): Moments[] {
  return pages.map((page): Moments => {
    const make = (name: string, shape: number[], dtype: "f32" | "u32" = "f32") =>
      persistent(gpu, `${name} of ${page.weights.name}`, shape, dtype);
    if (kind === "f32" || !page.decay) {
      return { kind: "f32", first: make("first", [page.elements]), second: make("second", [page.elements]) };
    }
    const blocks = Math.ceil(page.elements / MOMENT_BLOCK);
    const codes = make("codes", [page.elements / 4, 2], "u32");
    return { kind: "8bit", codes, scales: make("scales", [blocks, 2]) };
  });
}

/** The tensors of page `i` under their names in checkpoints. */
export function momentTensors(of: Moments, i: number): [string, Tensor][] {
  return of.kind === "f32"
    ? [[`first.${i}`, of.first], [`second.${i}`, of.second]]
    : [[`codes.${i}`, of.codes], [`scales.${i}`, of.scales]];
}
