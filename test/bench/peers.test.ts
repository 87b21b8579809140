import { expect, test } from "vitest";
import { batchOf, shapes, weightSpecs, weightValues } from "../../bench/peers/workload.ts";
import { disagreements, lossError, peerRows } from "../../bench/peers/rows.ts";
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

const run = (contestant: string, milliseconds: number[], losses = golden.tiny.losses) => ({
  contestant,
  adapter: "",
  shape: "tiny" as const,
  milliseconds,
  losses,
});

test("a contestant's time leaves out each run's first step, and a busy run does not move it", () => {
  const ours = [run("a", [900, 10, 12, 11]), run("a", [500, 90, 91]), run("a", [500, 10, 11])];
  const [first, second] = peerRows([ours, [run("b", [999, 33, 33])]], "tiny");
  expect(first.values).toMatchObject({ ms: 11, "x a": 1, "loss steps": 20 });
  expect(first.values["tokens/s"]).toBeCloseTo(8 * 128 / 0.011, 6);
  expect(second.values).toMatchObject({ ms: 33, "x a": 3 });
});

test("losses that are not PyTorch's, or no numbers, are reported by contestant", () => {
  const losses = golden.tiny.losses;
  const shifted = (step: number, by: number) => losses.map((loss, i) => i === step ? loss + by : loss);
  expect(lossError(shifted(19, -0.5), "tiny")).toBeCloseTo(0.5, 12);
  expect(lossError([], "tiny")).toBeNaN();
  const contestants = [shifted(7, 9e-5), shifted(19, 2e-4), shifted(3, NaN)].map((of, k) => [run(`c${k}`, [1, 1], of)]);
  const said = disagreements([{ name: "peers", workload: "", rows: peerRows(contestants, "tiny") }]);
  expect(said.map((line) => line.split(" ")[1])).toEqual(["c1", "c2"]);
});
