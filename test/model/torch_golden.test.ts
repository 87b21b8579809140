import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { compile, createReader, type Gpu, openGpu, Plan } from "../../src/plan/mod.ts";
import { linear } from "../../kernels/mod.ts";
import { parseConfig } from "../../src/model/config.ts";
import {
  attendWithin,
  createLlama,
  forward,
  getWeights,
  headWeight,
  type Llama,
  setWeights,
} from "../../src/model/llama.ts";
import { RECOMPUTE } from "../../src/model/saving.ts";
import { readSafetensors } from "../../src/files/safetensors.ts";
import { batchArrays, type Sequence } from "../../src/recipes/batches.ts";
import { batchInputs, sequenceLogprobs, writeBatch } from "../../src/recipes/scorer.ts";
import { createSftStep } from "../../src/recipes/sft_step.ts";
import { createDpoStep } from "../../src/recipes/dpo_step.ts";
import { whole } from "../../src/recipes/policy.ts";
import { expectClose } from "../kernels/check_op.ts";

// test/golden/llama_torch.py made these files with torch autograd in float64; every weight, gradient and loss is its own.
let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const read = (path: string) => readFileSync(new URL(`../golden/${path}`, import.meta.url));
const tensorsOf = (path: string) => readSafetensors(read(path), path).tensors;

function load(folder: string): Llama {
  const model = createLlama(gpu, parseConfig(read(`${folder}/config.json`).toString(), "config.json"), true);
  setWeights(model, tensorsOf(`${folder}/model.safetensors`), "model.safetensors");
  return model;
}

interface Batch {
  ids: number[][];
  lengths: number[];
  promptLengths: number[];
}
const sequencesOf = (batch: Batch): Sequence[] =>
  batch.ids.map((row, b) => ({ tokens: row.slice(0, batch.lengths[b]), promptLength: batch.promptLengths[b] }));

const relative = (got: number, want: number) => Math.abs(got - want) / Math.max(1e-3, Math.abs(want));

for (const folder of ["llama_torch_untied", "llama_torch_tied"]) {
  const golden = JSON.parse(read(`${folder}/golden.json`).toString());
  const tensors = tensorsOf(`${folder}/golden.safetensors`);

  describe(`${folder}: agreement with torch`, () => {
    test("logits at every valid position", async () => {
      const model = load(folder);
      const { V } = model.config;
      const [B, T] = [golden.sft.ids.length, golden.sft.ids[0].length];
      const inputs = batchInputs(model, B, T);
      const rows: Sequence[] = golden.sft.ids.map((row: number[]) => ({ tokens: [...row, 0], promptLength: 1 }));
      writeBatch(model, inputs, batchArrays(rows, B, T, golden.padId));
      const plan = new Plan("logits");
      const h = forward(plan, model, inputs.ids, inputs.positions, attendWithin(model.config, B, T));
      const logits = plan.keep(linear(plan, h, headWeight(model)));
      const executable = await compile(gpu, plan);
      await executable.run();
      const [got] = await executable.reader([logits]).read();
      const want = tensors.get("logits")!.data;
      golden.sft.lengths.forEach((length: number, b: number) => {
        const range = [b * T * V, (b * T + length) * V];
        expectClose(got.subarray(...range), want.subarray(...range), 1e-5, 1e-4, `logits of sequence ${b}`);
      });
    });

    test("the SFT loss, its gradient norm and every gradient", async () => {
      for (const recompute of RECOMPUTE) {
        const model = load(folder);
        const { optimizer: o } = golden.sft;
        const adamw = { beta1: o.betas[0], beta2: o.betas[1], eps: o.eps, weightDecay: o.weightDecay, maxGradNorm: 1 };
        // Two micro-batches of two, one of them half empty: the sum must not depend on the split.
        const step = await createSftStep(whole(model), { microBatch: 2, padId: golden.padId, adamw, recompute });
        await step.accumulate(sequencesOf(golden.sft));
        const names = [...model.weights.tensors.keys()];
        const reader = createReader(
          gpu,
          names.map((name) => {
            const tensor = model.weights.tensors.get(name)!;
            return { ...tensor, storage: tensor.storage.gradient! };
          }),
        );
        const gradients = await reader.read();
        names.forEach((name, i) => {
          const want = tensors.get(`grad.${name}`)!.data;
          const largest = want.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
          expectClose(gradients[i], want, 1e-5 * Math.max(1, largest), 1e-3, `gradient of ${name}`);
        });
        await step.optimizer.update(1, o.lr);
        const { loss, grad_norm } = await step.metrics(1);
        expect(relative(loss, golden.sft.loss)).toBeLessThan(1e-5);
        expect(relative(grad_norm, golden.sft.gradNorm)).toBeLessThan(1e-4);
        step.destroy();
      }
    });

    test("ten AdamW steps of SFT: losses, gradient norms, final weights", async () => {
      const model = load(folder);
      const { optimizer: o } = golden.sft;
      const adamw = {
        beta1: o.betas[0],
        beta2: o.betas[1],
        eps: o.eps,
        weightDecay: o.weightDecay,
        maxGradNorm: o.maxGradNorm,
      };
      const step = await createSftStep(whole(model), {
        microBatch: 3,
        padId: golden.padId,
        adamw,
        recompute: "none" as const,
      });
      for (const [i, want] of golden.sft.steps.entries()) {
        await step.accumulate(sequencesOf(golden.sft));
        await step.optimizer.update(i + 1, o.lr);
        const got = await step.metrics(1);
        expect(relative(got.loss, want.loss), `loss of step ${i + 1}`).toBeLessThan(1e-3);
        expect(relative(got.grad_norm, want.gradNorm), `gradient norm of step ${i + 1}`).toBeLessThan(5e-3);
      }
      for (const [name, { data }] of await getWeights(model)) {
        const norm = Math.sqrt(data.reduce((sum, w) => sum + w * w, 0));
        expect(relative(norm, golden.sft.finalNorms[name]), `final norm of ${name}`).toBeLessThan(1e-3);
      }
      step.destroy();
    });

    test("ten steps of DPO with an SFT term: losses, rewards, margins", async () => {
      const model = load(folder);
      const { dpo } = golden;
      const sequences = sequencesOf(dpo);
      const P = sequences.length / 2;
      const reference = await sequenceLogprobs(model, sequences, 3, golden.padId);
      expectClose(reference, dpo.referenceLogps, 1e-4, 1e-5, "reference log-probabilities");
      const pairs = Array.from({ length: P }, (_, p) => ({
        chosen: sequences[p],
        rejected: sequences[P + p],
        referenceChosen: reference[p],
        referenceRejected: reference[P + p],
      }));
      const { optimizer: o, beta, alpha } = dpo;
      const adamw = {
        beta1: o.betas[0],
        beta2: o.betas[1],
        eps: o.eps,
        weightDecay: o.weightDecay,
        maxGradNorm: o.maxGradNorm,
      };
      const options = {
        microBatch: 1,
        padId: golden.padId,
        beta,
        alpha,
        labelSmoothing: 0,
        adamw,
        recompute: "none" as const,
      };
      const step = await createDpoStep(whole(model), options);
      for (const [i, want] of dpo.steps.entries()) {
        await step.accumulate(pairs);
        await step.optimizer.update(i + 1, o.lr);
        const got = await step.metrics(1);
        const where = `step ${i + 1}`;
        expect(relative(got.loss, want.loss), `loss of ${where}`).toBeLessThan(1e-3);
        expect(relative(got.grad_norm, want.gradNorm), `gradient norm of ${where}`).toBeLessThan(5e-3);
        expect(Math.abs(got["rewards/chosen"] - want.rewardsChosen), where).toBeLessThan(1e-3);
        expect(Math.abs(got["rewards/rejected"] - want.rewardsRejected), where).toBeLessThan(1e-3);
        expect(Math.abs(got["rewards/margins"] - want.margins), where).toBeLessThan(1e-3);
        // At step 1 the policy is the reference: every margin is a tie up to rounding, and the strict > says nothing.
        if (i > 0) expect(got["rewards/accuracies"], where).toBe(want.accuracy);
      }
      step.destroy();
    });
  });
}
