/** From the runs of the contestants to the rows of a suite, and whether their losses are PyTorch's. */
import golden from "../../test/golden/gpt_torch.json" with { type: "json" };
import type { Row, Suite } from "../report.ts";
import { median } from "../units.ts";
import { type PeerRun, shapes, stepFlops } from "./workload.ts";

/** The workloads that have golden losses and run on any machine. */
export type GoldenShape = "tiny" | "small";

/** How far a loss may lie from PyTorch's in float64. */
export const LOSS_TOLERANCE = 1e-4;

/** Largest |loss - PyTorch's| over the steps of a run that the golden values hold; NaN if one is no number. */
export function lossError(losses: readonly number[], shape: GoldenShape): number {
  const expected = golden[shape].losses;
  const errors = losses.slice(0, expected.length).map((loss, step) => Math.abs(loss - expected[step]));
  return errors.length === 0 || errors.some(Number.isNaN) ? NaN : Math.max(...errors);
}

/** Milliseconds of a step: the median over runs of each run's own, without the step that compiles. */
export function stepMilliseconds(runs: readonly PeerRun[]): number {
  return median(runs.map(({ milliseconds }) => median(milliseconds.slice(1))));
}

/** One row per contestant, from all of its runs; `x` is the time of the first row, so 3 means that it took three times that. */
export function peerRows(contestants: readonly (readonly PeerRun[])[], shape: GoldenShape): Row[] {
  const { B, T } = shapes[shape];
  const first = stepMilliseconds(contestants[0]);
  return contestants.map((runs) => {
    const ms = stepMilliseconds(runs);
    const errors = runs.map(({ losses }) => lossError(losses, shape));
    const device = runs[0].device;
    return {
      name: runs[0].contestant,
      values: {
        ms,
        [`x ${contestants[0][0].contestant}`]: ms / first,
        "tokens/s": B * T / ms * 1000,
        "GFLOP/s": stepFlops(shapes[shape]) / ms / 1e6,
        ...(device && {
          dispatches: device.dispatches,
          submits: device.submits,
          "new buffers": device.buffers,
          "peak MB": device.peakBytes / 1e6,
        }),
        "loss error": errors.some(Number.isNaN) ? NaN : Math.max(...errors),
        "loss steps": Math.max(...runs.map(({ losses }) => losses.length)),
      },
    };
  });
}

/** Rows whose losses are not PyTorch's, as lines to print. */
export function disagreements(suites: readonly Suite[]): string[] {
  return suites.flatMap(({ name, rows }) =>
    rows.filter(({ values }) => !(values["loss error"] <= LOSS_TOLERANCE)).map((row) =>
      `${name}: ${row.name} is ${row.values["loss error"]} from PyTorch's losses, more than ${LOSS_TOLERANCE}`
    )
  );
}
