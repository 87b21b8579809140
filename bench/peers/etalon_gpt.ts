/** Etalon's contestant: forward, backward and update in one plan, so that a step is one submit. */
import { compile, flush, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { adamw, tokenLogprob } from "../../kernels/mod.ts";
import { sftLoss } from "../../src/loss/sft.ts";
import { createGpt, gptAttendWithin, type GptConfig, gptForward, gptHeadWeight } from "../../src/model/gpt.ts";
import { weight } from "../../src/model/weights.ts";
import { createMoments } from "../../src/optim/moments.ts";
import type { Contestant } from "./contestant.ts";
import { type Batch, type GptShape, optimizer, weightSpecs, weightValues } from "./workload.ts";

export async function create(shape: GptShape): Promise<Contestant> {
  const { V, T, C, L, H, B } = shape;
  const gpu = await openGpu();
  const config: GptConfig = { C, F: 4 * C, L, H, D: C / H, V, normEps: 1e-5, tied: false, maxPositions: T };
  const model = createGpt(gpu, config, true, "all");
  weightSpecs(shape).forEach((spec, k) => write(gpu, weight(model, spec.name), weightValues(spec, k)));

  const ids = persistent(gpu, "ids", [B, T], "u32");
  const positions = persistent(gpu, "positions", [B, T], "u32");
  const targets = persistent(gpu, "targets", [B, T], "u32");
  const lossWeight = persistent(gpu, "loss.weight", [B, T]);
  const hyper = persistent(gpu, "adamw.hyper", [8]);
  const unclipped = persistent(gpu, "adamw.norm", [2]);
  write(gpu, positions, Uint32Array.from({ length: B * T }, (_, i) => i % T));
  write(gpu, lossWeight, new Float32Array(B * T).fill(-1 / (B * T)));
  write(gpu, unclipped, Float32Array.of(0, 1)); // the factor 1 in place of a norm: the workload clips nothing

  const plan = new Plan("gpt.step", gpu);
  const h = gptForward(plan, model, ids, positions, gptAttendWithin(config, B, T));
  const loss = sftLoss(plan, tokenLogprob(plan, h, gptHeadWeight(model), targets).logprob, lossWeight);
  plan.keep(loss);
  plan.backward(loss, model.one);
  adamw(plan, model.weights.pages, createMoments(gpu, model.weights.pages, "f32"), hyper, unclipped);
  const executable = await compile(gpu, plan);
  const reader = executable.reader([loss]);
  flush(gpu);

  return {
    name: "Etalon",
    async step(batch: Batch, index: number) {
      const { lr, beta1, beta2, eps, decay } = optimizer;
      const corrections = [1 - beta1 ** (index + 1), 1 - beta2 ** (index + 1)];
      write(gpu, ids, batch.ids);
      write(gpu, targets, batch.targets);
      write(gpu, hyper, Float32Array.of(lr, beta1, beta2, eps, decay, ...corrections, Infinity));
      await executable.enqueue(); // goes with the readback, in one submit
      return (await reader.read())[0][0];
    },
  };
}
