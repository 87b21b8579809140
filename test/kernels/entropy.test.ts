import { afterAll, beforeAll, describe, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { add, scale, tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { checkOp, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const draw = random(5);
const floats = (count: number) => Float32Array.from({ length: count }, () => draw() * 2 - 1);

describe("gradients of entropy and logsumexp join that of the log-probability", () => {
  // One chunk whose logits are kept, several that are computed again, widths for four numbers at a time and for one.
  for (const [N, C, V, chunk] of [[7, 4, 67, undefined], [5, 8, 64, undefined], [6, 4, 131, 64], [9, 4, 132, 64]]) {
    test(`${N} rows, ${V} tokens, ${chunk ? `chunks of ${chunk}` : "one chunk"}`, async () => {
      const targets = Uint32Array.from({ length: N! }, () => Math.floor(draw() * V!));
      const [chosen, each] = [floats(N!), floats(N!)];
      const factors = Float32Array.of(0.7, -1.3, 0); // of logsumexp, entropy, accuracy
      await checkOp(gpu, {
        inputs: { h: { shape: [N!, C!] }, w: { shape: [V!, C!], spread: 2 } },
        given: {
          targets: { shape: [N!], data: targets },
          chosen: { shape: [N!], data: chosen },
          each: { shape: [N!], data: each },
          factors: { shape: [3], data: factors },
        },
        record: (plan, t) => {
          const { logprob, aux } = tokenLogprob(plan, t.h, t.w, t.targets, chunk, true);
          const sums = weightedSum(plan, aux, t.each, 3);
          return add(plan, weightedSum(plan, logprob, t.chosen, 1), weightedSum(plan, sums, t.factors, 1));
        },
        reference: ({ h, w }) => {
          const logits = reference.linear(h, w, N!, C!, V!);
          let sum = 0;
          for (let n = 0; n < N!; n++) {
            const row = logits.subarray(n * V!, (n + 1) * V!);
            const lse = reference.logsumexp(row);
            const entropy = row.reduce((total, z) => total - Math.exp(z - lse) * (z - lse), 0);
            sum += chosen[n] * (row[targets[n]] - lse) + each[n] * (factors[0] * lse + factors[1] * entropy);
          }
          return Float64Array.of(sum);
        },
      });
    });
  }
});

describe("a tensor times a number, forward and gradient", () => {
  for (const size of [3, 64, 67, 5000]) {
    test(`${size} numbers`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [size] } },
        record: (plan, { x }) => scale(plan, x, 1.25),
        reference: ({ x }) => x.map((value) => 1.25 * value),
      }));
  }
});
