import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { tokenLogprob } from "../../kernels/mod.ts";
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const draw = random(11);
const ints = (count: number, below: number) => Uint32Array.from({ length: count }, () => Math.floor(draw() * below));
const floats = (count: number, spread: number) => Float32Array.from({ length: count }, () => (draw() * 2 - 1) * spread);

/** logsumexp, entropy and whether the target is the argmax (the first of equals), as [3,N]. */
function auxOf(logits: Float64Array, targets: Uint32Array): Float64Array {
  const N = targets.length, V = logits.length / N;
  const aux = new Float64Array(3 * N);
  for (let n = 0; n < N; n++) {
    const row = logits.subarray(n * V, (n + 1) * V);
    const lse = reference.logsumexp(row);
    aux[n] = lse;
    aux[N + n] = row.reduce((sum, z) => sum - Math.exp(z - lse) * (z - lse), 0);
    aux[2 * N + n] = Number(row.indexOf(Math.max(...row)) === targets[n]);
  }
  return aux;
}

for (const variant of ["workgroup a row", "invocation a row", "large workgroup a row"]) {
  describe(`log-probabilities by ${variant}`, () => {
    // A chunk starts at row 64 of the head: at a bindable offset whatever the width.
    for (const [N, C, V, chunk] of [[7, 8, 131, 64], [37, 4, 132, 64], [3, 5, 67, undefined], [35, 8, 64, undefined]]) {
      const targets = ints(N!, V!);
      test(`${N} rows, ${V} tokens, ${chunk ? `chunks of ${chunk}` : "one chunk"}`, async () => {
        gpu.choices.force("token_logprob.fold", variant);
        await checkOp(gpu, {
          inputs: { h: { shape: [N!, C!] }, w: { shape: [V!, C!], spread: 2 } },
          given: { targets: { shape: [N!], data: targets } },
          record: (plan, t) => tokenLogprob(plan, t.h, t.w, t.targets, chunk).logprob,
          reference: (v) => reference.tokenLogprob(v.h, v.w, targets, C!),
        });
      });
    }

    test("entropy, logsumexp and the first of equal maxima", async () => {
      gpu.choices.force("token_logprob.fold", variant);
      for (const [N, C, V, chunk] of [[9, 4, 140, 64], [9, 4, 140, undefined], [5, 4, 71, undefined]]) {
        const h = floats(N! * C!, 1), w = floats(V! * C!, 3);
        // Every token thrice, so that every maximum is one of equals, some of them in other chunks and other places of a vec4.
        const third = Math.floor(V! / 3);
        for (let v = third; v < V!; v++) w.set(w.subarray((v % third) * C!, (v % third + 1) * C!), v * C!);
        const logits = reference.linear(Float64Array.from(h), Float64Array.from(w), N!, C!, V!);
        const targets = ints(N!, V!);
        for (let n = 0; n < N!; n += 2) {
          const row = logits.subarray(n * V!, (n + 1) * V!);
          targets[n] = row.indexOf(Math.max(...row));
        }
        const plan = new Plan("aux", gpu);
        const tensors = [["h", [N!, C!]], ["w", [V!, C!]], ["targets", [N!]]] as const;
        const [ht, wt, tt] = tensors.map(([name, shape]) =>
          persistent(gpu, name, shape, name === "targets" ? "u32" : "f32")
        );
        write(gpu, ht, h);
        write(gpu, wt, w);
        write(gpu, tt, targets);
        const aux = plan.keep(tokenLogprob(plan, ht, wt, tt, chunk).aux);
        const executable = await compile(gpu, plan);
        await executable.run();
        const [got] = await executable.reader([aux]).read();
        expectClose(got, auxOf(logits, targets), 1e-5, 1e-4, `aux of ${V} tokens`);
        expect(got.slice(2 * N!).some((correct) => correct === 1)).toBe(true);
        executable.destroy();
      }
    });
  });
}
