/** What stages that train a policy share: how they end, and the model they leave. */
import { mergeLora } from "../../model/lora.ts";
import { getWeights } from "../../model/weights.ts";
import { writeSafetensors } from "../../files/safetensors.ts";
import { saveModel } from "../checkpoint.ts";
import type { TrainingEvent } from "../events.ts";
import type { Policy } from "../policy.ts";
import { Stopped } from "../rollout.ts";
import type { Run, RunEvent, StageResult } from "../run.ts";

/** Events of a trainer with its metrics kept in the store. Returns tokens per second; throws Stopped where it was stopped. */
export async function* logged(
  run: Run,
  stage: string,
  events: AsyncIterable<TrainingEvent>,
): AsyncGenerator<RunEvent, number | undefined> {
  let rate: number | undefined;
  for await (const event of events) {
    yield { stage, ...event };
    if (event.type === "stopped") throw new Stopped();
    if (event.type !== "step") continue;
    await run.store.addMetrics(stage, event.step, event.metrics);
    rate = event.tokensPerSecond;
  }
  return rate;
}

/** Writes the trained model, adapters merged, as a Hugging Face folder; adapters stand beside it as they were trained. */
export async function saveTrained(run: Run, stage: string, policy: Policy): Promise<void> {
  const { host, gpu, modelDir } = run;
  const { model, lora, trained } = policy;
  if (lora) {
    await host.write(`${run.folder(stage)}/adapter.safetensors`, writeSafetensors(await getWeights(trained)));
    await mergeLora(gpu, model, lora, 1);
  }
  await saveModel(host, model, `${run.folder(stage)}/model`, modelDir);
  run.unload();
}

/** Where there is nothing to learn from: the model stays what it was, and the report says why. */
export async function leaveAsItIs(run: Run, stage: string, why: string): Promise<StageResult> {
  await saveTrained(run, stage, await run.policy());
  return { detail: "nothing to train on", steps: 0, notes: [why] };
}
