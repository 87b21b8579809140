// What plans record on a GPU, run on whatever adapter is here: the kernels of GPUs and their larger tiles give the same numbers.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attention } from "../../kernels/mod.ts";
import { type Gpu, openGpu, type Plan } from "../../src/plan/mod.ts";
import golden from "../golden/gpt_torch.json" with { type: "json" };
import { checkOp, GUARDED } from "../kernels/check_op.ts";
import * as reference from "../kernels/reference.ts";
import { dpoLosses, gptLosses } from "./gpt_run.ts";

const STEPS = 4;
const OPS = ["attention_forward", "attention_backward_query", "attention_backward_key_value"];
const opened: Gpu[] = [];
/** The adapter, told that it is a GPU: one of a subgroup size of its own, or of none that can be counted on. */
async function asGpu(options: { subgroups: boolean; guard?: number }): Promise<Gpu> {
  const gpu = await openGpu({ guard: options.guard });
  opened.push(gpu);
  const { subgroupSize } = gpu.traits;
  const traits = { ...gpu.traits, family: "*", software: false, subgroupSize: options.subgroups ? subgroupSize : 0 };
  return { ...gpu, traits };
}
let plain: number[];
beforeAll(async () => {
  const gpu = await openGpu();
  opened.push(gpu);
  plain = await dpoLosses(gpu, STEPS);
});
afterAll(() => opened.forEach((gpu) => gpu.close()));

test.each([true, false])(
  "training by the choices of a GPU gives the same losses, with subgroups: %s",
  async (subgroups) => {
    const gpu = await asGpu({ subgroups });
    (await gptLosses(gpu, STEPS)).forEach((loss, step) => {
      expect(Math.abs(loss - golden.nano.losses[step]), `loss ${loss} of step ${step}`).toBeLessThan(1e-4);
    });
    (await dpoLosses(gpu, STEPS)).forEach((loss, step) => {
      expect(Math.abs(loss - plain[step]), `DPO loss ${loss} of step ${step}`).toBeLessThan(1e-4);
    });
    const used = new Set([...gpu.used.values()].map(({ op, variant }) => `${op.name} by ${variant}`));
    expect([...used]).toEqual(expect.arrayContaining(["attention_forward by tile", "matmul_nt by workgroup_64"]));
  },
);

describe("attention in the tiles of a GPU, longer than those that software adapters compile", () => {
  const rowsOf = ({ dispatches }: Plan) =>
    dispatches.flatMap(({ kernel: { name, code } }) =>
      name.startsWith("attention.") ? [Number(code.match(/const ROWS = (\d+)u/)![1])] : []
    );
  // What 32 KiB of workgroup memory hold: 64 rows, or 32 where a row is longer. Windows and segments end within tiles.
  for (const [D, window, rows] of [[4, 131, [64, 64, 64, 64, 64, 64]], [36, 35, [64, 64, 32, 32, 32, 32]]] as const) {
    test(`rows of size ${D}, window ${window}`, async () => {
      const adapter = await asGpu({ subgroups: true, ...GUARDED });
      const gpu = { ...adapter, traits: { ...adapter.traits, workgroupBytes: 32768 } };
      for (const op of OPS) gpu.choices.force(op, "tile");
      const sizes = { B: 1, T: 131, H: 3, G: 1, D, window };
      const segments = Uint32Array.from({ length: sizes.T }, (_, t) => t < 7 ? 0 : t < 100 ? 1 : 2);
      let recorded: Plan | undefined;
      await checkOp(gpu, {
        inputs: { qkv: { shape: [1, sizes.T, 5 * D] } },
        given: { segments: { shape: [1, sizes.T], data: segments } },
        modes: ["values"],
        record(plan, t) {
          recorded = plan;
          return attention(plan, t.qkv, { ...sizes, segments: t.segments });
        },
        reference: (v) => reference.attention(v.qkv, { ...sizes, segments }),
      });
      expect(rowsOf(recorded!)).toEqual(rows);
    });
  }
});
