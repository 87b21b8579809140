/** The plans of a recipe as text, for `deno task plan`: what the GPU will be asked to do, before it does anything. */
import { describe, openDryGpu, persistent, Plan, planMemory, type Recorder } from "../plan/mod.ts";
import { preferenceLoss } from "../loss/preference.ts";
import { sftLoss } from "../loss/sft.ts";
import type { LlamaConfig } from "../model/config.ts";
import { createLlama } from "../model/llama.ts";
import { saveMemory, type Saving } from "../model/saving.ts";
import { batchInputs, score } from "./scorer.ts";

/** `sft` or `dpo` at B sequences of T tokens: one accumulation step, forward and backward. Nothing is allocated. */
export function describeRecipe(
  recorder: Recorder,
  config: LlamaConfig,
  recipe: "sft" | "dpo",
  B: number,
  T: number,
  saving: Saving,
): string {
  const gpu = openDryGpu(recorder);
  const model = createLlama(gpu, config, true);
  const plan = new Plan(`${recipe}.${B}x${T}`, gpu);
  const inputs = batchInputs(model, B, T);
  const { logprob } = score(plan, model, inputs, saving.recompute);
  const given = (name: string, shape: number[]) => persistent(gpu, name, shape);
  if (recipe === "sft") plan.backward(sftLoss(plan, logprob, given("loss.weight", [B, T])), model.one);
  else {
    const loss = preferenceLoss(plan, logprob, {
      mask: inputs.mask,
      reference: given("reference", [B]),
      pairs: given("pairs", [B / 2, 5]),
      sftWeight: given("sft.weight", [B, T]),
      hyper: given("hyper", [4]),
    }, {});
    plan.backward(loss.loss, model.one);
  }
  saveMemory(plan, saving);
  return describe(plan, planMemory(plan, true));
}
