/**
 * One step of sampling and of generation's bookkeeping on the GPU: temperature, top-k, top-p, Philox (counter-based), stop
 * tokens. Two dispatches: runs of 32 ids side by side, then one look at the runs of each sequence.
 */
import laneCode from "../wgsl/sample_lanes.wgsl" with { type: "text" };
import runsCode from "../wgsl/sample_runs.wgsl" with { type: "text" };
import workgroupCode from "../wgsl/sample.wgsl" with { type: "text" };
import { elements, type Op, power } from "../src/plan/mod.ts";
import { groups, lanesOf, type Plan, same, type Tensor, widths } from "./kernel.ts";

const runsKernel = widths("sample.runs", runsCode, {
  entry: "main",
  bindings: ["read", "read", "read_write"],
  dims: ["B", "V", "R"],
});
const drawing = {
  entry: "main",
  bindings: ["read", "read", "read_write", "read_write", "read_write", "read_write", "read_write"],
  dims: ["B", "V", "R", "K"],
} as const;
const laneKernel = widths("sample.lanes", laneCode, drawing);
const workgroupKernel = widths("sample", workgroupCode, drawing);

/** Token ids of a run: what one lane goes through. */
const RUN = 32;
/** The workgroup sums groups of 64 runs, one a lane. */
const LARGEST_VOCABULARY = RUN * 64 * 256;

export interface SamplerState {
  /** [6 + stops] u32: what `samplerSettings` packs. */
  settings: Tensor;
  /**
   * [B,4] u32: random stream of the sequence (a draw depends on seed, stream and position alone), its longest length, the
   * position of column 0 of `tokens`, and 0 running, 1 stopped, 2 out of room.
   */
  rows: Tensor;
  /** [B] u32: the token to feed next, and where it stands. */
  current: Tensor;
  positions: Tensor;
  /** [B,K] u32: new tokens; those beyond K columns are not kept. */
  tokens: Tensor;
}

export interface SamplerSettings {
  /** 0: greedy, lowest id among equals. */
  temperature: number;
  /** 1: off. */
  topP: number;
  /** 0: off. */
  topK: number;
  /** Up to 2^53. */
  seed: number;
}

/** The settings tensor: temperature and top-p as bits, seed low and high, top-k, number of stop tokens, stop tokens. */
export function samplerSettings(settings: SamplerSettings, stops: readonly number[]): Uint32Array {
  const { temperature, topP, topK, seed } = settings;
  const [heat, p] = new Uint32Array(Float32Array.of(temperature, topP).buffer);
  return Uint32Array.of(heat, p, seed >>> 0, Math.floor(seed / 2 ** 32), topK, stops.length, ...stops);
}

interface DrawSizes {
  B: number;
  V: number;
  R: number;
  K: number;
}

/** Tensors: logits, settings, runs, rows, current, positions, tokens. Both variants give the same tokens. */
export const draw: Op<DrawSizes> = {
  name: "sample",
  writes: [2, 3, 4, 5, 6],
  shapeClass: ({ B, V }) => `${power(B)}x${power(V)}`,
  variants: [
    {
      name: "lanes",
      fits: () => true,
      record: (plan, tensors, dims) =>
        plan.dispatch(laneKernel[lanesOf(dims.V)], tensors, {
          dims: { ...dims },
          workgroups: [Math.ceil(dims.B / 8), 1, 1],
        }),
    },
    {
      name: "workgroup",
      fits: ({ V }, { workgroupInvocations }) => V <= LARGEST_VOCABULARY && workgroupInvocations >= 256,
      record: (plan, tensors, dims) =>
        plan.dispatch(workgroupKernel[lanesOf(dims.V)], tensors, { dims: { ...dims }, workgroups: [dims.B, 1, 1] }),
    },
  ],
  prefer: (_, { software }) => software ? "lanes" : "workgroup",
  // Sequences that never end, at temperature 1: one that is done costs some variants nothing.
  fill(index, tensor, { R }) {
    const [highest, mass] = new Uint32Array(Float32Array.of(1, 12).buffer);
    const settings = samplerSettings({ temperature: 1, topP: 1, topK: 0, seed: 1 }, []);
    const at = (i: number): number => {
      if (index === 1) return settings[i] ?? 0;
      if (index === 2) return [highest, (i >> 2) % R * RUN, mass, 0][i % 4];
      return index === 3 ? [i >> 2, 0xffffffff, 0, 0][i % 4] : 0;
    };
    return Uint32Array.from({ length: elements(tensor.shape) }, (_, i) => at(i));
  },
};

/** logits [B,V]. Appends one token to every running sequence. */
export function sample(plan: Plan, logits: Tensor, state: SamplerState): void {
  const [B, V] = logits.shape;
  const { settings, rows, current, positions, tokens } = state;
  same("sample", "B", B, logits, rows.shape[0], rows);
  const R = Math.ceil(V / RUN);
  const runs = plan.value("sample.runs", [B, R, 4], "u32");
  plan.dispatch(runsKernel[lanesOf(V)], [logits, settings, runs], {
    dims: { B, V, R },
    workgroups: groups(B * R, 64),
    flops: 4 * B * V,
  });
  plan.variant(draw, [logits, settings, runs, rows, current, positions, tokens], { B, V, R, K: tokens.shape[1] });
}
