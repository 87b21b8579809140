import { expect, test } from "vitest";
import { batchOf, shapes, weightSpecs, weightValues } from "../../bench/peers/workload.ts";
import golden from "../golden/gpt_torch.json" with { type: "json" };

/** FNV-1a, 32 bits, over the bytes of all chunks. */
function fnv(chunks: Iterable<Float32Array | Uint32Array>): number {
  let value = 0x811c9dc5;
  for (const { buffer } of chunks) {
    for (const byte of new Uint8Array(buffer)) value = Math.imul(value ^ byte, 0x01000193);
  }
  return value >>> 0;
}

test("weights and batches of the peers' workloads are the bits the golden losses were made from", () => {
  for (const name of ["nano", "tiny"] as const) {
    const { shape, weights, batches } = golden[name];
    expect(shapes[name]).toEqual(shape);
    expect(fnv(weightSpecs(shape).map(weightValues))).toBe(weights);
    const steps = Array.from({ length: golden[name].losses.length }, (_, step) => batchOf(shape, step));
    expect(fnv(steps.flatMap(({ ids, targets }) => [ids, targets]))).toBe(batches);
  }
});
