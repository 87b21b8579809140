/** `bench decode`: sampled tokens per second, prefill and readbacks included. */
import type { Gpu } from "../src/plan/mod.ts";
import { createGenerator, type Generator } from "../src/model/generate.ts";
import type { Suite } from "./report.ts";
import { median } from "./units.ts";
import { destroyModel, randomModel, type Shape } from "./workload.ts";

const PROMPT = 16;

/** One batch; returns tokens and milliseconds. */
async function generate(generator: Generator, batch: number, maxNewTokens: number) {
  const prompt = Array.from({ length: PROMPT }, (_, i) => i + 3);
  const requests = Array.from({ length: batch }, (_, stream) => ({ prompt, stream }));
  const settings = { temperature: 1, topP: 0.95, topK: 0, seed: 1, maxNewTokens };
  const start = performance.now();
  let tokens = 0;
  for await (const completions of generator.run(requests, settings)) {
    tokens += completions.reduce((sum, completion) => sum + completion.tokens.length, 0);
  }
  return { tokens, ms: performance.now() - start };
}

export async function benchDecode(gpu: Gpu, shape: Shape, newTokens: number, rounds: number): Promise<Suite> {
  // An EOS outside the vocabulary is never drawn, so each sequence has its full length in each run.
  const model = randomModel(gpu, { ...shape.config, eosId: shape.config.V });
  const rows = [];
  for (const batch of [1, 16, 128]) {
    const generator = await createGenerator(model, batch, PROMPT + newTokens);
    await generate(generator, batch, 1);
    const times: number[] = [];
    let tokens = 0;
    for (let round = 0; round < rounds; round++) {
      const result = await generate(generator, batch, newTokens);
      times.push(result.ms);
      tokens = result.tokens;
    }
    generator.destroy();
    const ms = median(times);
    rows.push({ name: `batch ${batch}`, values: { ms, "tokens/s": tokens / ms * 1000, "ms/token": ms / newTokens } });
  }
  destroyModel(model);
  return {
    name: `decode ${shape.name.split(" ")[0]}`,
    workload:
      `prompts of ${PROMPT} tokens, ${newTokens} new ones, temperature 1, top-p 0.95; wall clock with all readbacks`,
    rows,
  };
}
