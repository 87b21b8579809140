// GPT-2's block against PyTorch (float64, test/golden/gpt_torch.py): same weights and batches from a seed, 20 AdamW steps.
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile, createReader, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { createGpt, gptAttendWithin, gptForward, gptHeadWeight } from "../../src/model/gpt.ts";
import { getWeights, setWeights } from "../../src/model/weights.ts";
import { RECOMPUTE, saveMemory } from "../../src/model/saving.ts";
import { createOptimizer } from "../../src/optim/adamw.ts";
import { batchOf, initialWeights, optimizer, shapes } from "../../bench/peers/workload.ts";
import golden from "../golden/gpt_torch.json" with { type: "json" };

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const { nano } = shapes;
const { V, T, C, L, H, B } = nano;
const N = B * T;
const relative = (got: number, want: number) => Math.abs(got - want) / Math.max(1e-3, Math.abs(want));
const length = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

for (const recompute of RECOMPUTE) {
  test(`20 AdamW steps give PyTorch's losses and weights, recompute ${recompute}`, async () => {
    const config = { C, F: 4 * C, L, H, D: C / H, V, normEps: 1e-5, tied: false, maxPositions: T };
    const model = createGpt(gpu, config, true, "all");
    setWeights(model, initialWeights(nano), "initial weights");
    const ids = persistent(gpu, "ids", [N], "u32");
    const targets = persistent(gpu, "targets", [N], "u32");
    const positions = persistent(gpu, "positions", [N], "u32");
    const lossWeight = persistent(gpu, "loss.weight", [N]);
    write(gpu, positions, Uint32Array.from({ length: N }, (_, n) => n % T));
    write(gpu, lossWeight, new Float32Array(N).fill(-1 / N));

    const plan = new Plan("gpt", gpu);
    const h = gptForward(plan, model, ids, positions, gptAttendWithin(config, B, T), recompute);
    const { logprob } = tokenLogprob(plan, h, gptHeadWeight(model), targets);
    const loss = plan.keep(weightedSum(plan, logprob, lossWeight, 1));
    plan.backward(loss, model.one);
    saveMemory(plan, { recompute });
    const executable = await compile(gpu, plan);
    const reader = executable.reader([loss]);
    const { lr, beta1, beta2, eps, decay } = optimizer;
    const adamw = await createOptimizer(gpu, model.weights, {
      beta1,
      beta2,
      eps,
      weightDecay: decay,
      maxGradNorm: 1e30, // PyTorch's loop does not clip
    });

    for (const [step, want] of golden.nano.losses.entries()) {
      const batch = batchOf(nano, step);
      write(gpu, ids, batch.ids);
      write(gpu, targets, batch.targets);
      await executable.run();
      if (step === 0) {
        const names = Object.keys(golden.nano.gradNorms);
        expect([...model.weights.tensors.keys()].sort()).toEqual([...names].sort());
        const gradients = createReader(
          gpu,
          names.map((name) => {
            const tensor = model.weights.tensors.get(name)!;
            return { ...tensor, storage: tensor.storage.gradient! };
          }),
        );
        (await gradients.read()).forEach((gradient, i) => {
          const want = golden.nano.gradNorms[names[i] as keyof typeof golden.nano.gradNorms];
          expect(relative(length(gradient), want), `gradient of ${names[i]}`).toBeLessThan(1e-4);
        });
        gradients.destroy();
      }
      const [[got]] = await reader.read();
      expect(Math.abs(got - want), `loss of step ${step}: ${got}, PyTorch ${want}`).toBeLessThan(1e-4);
      await adamw.update(step + 1, lr);
    }
    for (const [name, { data }] of await getWeights(model)) {
      const want = golden.nano.finalNorms[name as keyof typeof golden.nano.finalNorms];
      expect(relative(length(data), want), `final norm of ${name}`).toBeLessThan(1e-3);
    }
    executable.destroy();
    adamw.destroy();
  });
}
