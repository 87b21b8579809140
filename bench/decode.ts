/** `bench decode`: sampled tokens per second, prefill and readbacks included, and what batching and sharing are worth. */
import type { Gpu } from "../src/plan/mod.ts";
import { cacheBytes, createGenerator, type Generator, type Request } from "../src/model/generate.ts";
import { uniformStream } from "../src/model/philox.ts";
import type { Row, Suite } from "./report.ts";
import { median } from "./units.ts";
import { destroyModel, randomModel, type Shape } from "./workload.ts";

const PROMPT = 16;
const LONG_PROMPT = 64;
/** Samples that share a prompt. */
const SAMPLES = 8;
/** Sequences side by side where batching is compared. */
const SLOTS = 32;

const settings = (maxNewTokens: number) => ({ temperature: 1, topP: 1, topK: 0, seed: 1, maxNewTokens });

/** Runs one list of requests after the other; returns tokens and milliseconds. */
async function generate(
  generator: Generator,
  lists: readonly (readonly Request[])[],
  options: ReturnType<typeof settings>,
) {
  const start = performance.now();
  let tokens = 0;
  for (const requests of lists) {
    for await (const completions of generator.run(requests, options)) {
      tokens += completions.reduce((sum, completion) => sum + completion.tokens.length, 0);
    }
  }
  return { tokens, ms: performance.now() - start };
}

/** Medians of each contestant, in turns, after one round that warms up. */
async function inTurns(contestants: readonly (() => Promise<{ tokens: number; ms: number }>)[], rounds: number) {
  const results = contestants.map(() => ({ tokens: 0, times: [] as number[] }));
  for (let round = -1; round < rounds; round++) {
    for (const [i, run] of contestants.entries()) {
      const { tokens, ms } = await run();
      if (round >= 0) results[i].times.push(ms);
      results[i].tokens = tokens;
    }
  }
  return results.map(({ tokens, times }) => ({ tokens, ms: median(times) }));
}

/** `count` prompts of random tokens, `samples` requests each. */
function requestsOf(count: number, length: number, samples: number, V: number): Request[] {
  const uniform = uniformStream(length, count);
  return Array.from({ length: count }, (_, p) => {
    const prompt = Array.from({ length }, () => Math.floor(uniform() * V));
    return Array.from({ length: samples }, (_, i) => ({ prompt, stream: p * samples + i }));
  }).flat();
}

export async function benchDecode(gpu: Gpu, shape: Shape, newTokens: number, rounds: number): Promise<Suite> {
  // An EOS outside the vocabulary is never drawn, so each sequence has its full length in each run.
  const { V } = shape.config;
  const model = randomModel(gpu, { ...shape.config, eosId: V });
  const rows: Row[] = [];
  const row = (name: string, { tokens, ms }: { tokens: number; ms: number }, more: Record<string, number> = {}) =>
    rows.push({ name, values: { ms, "tokens/s": tokens / ms * 1000, ...more } });

  for (const batch of [1, 16, 128]) {
    const generator = await createGenerator(model, batch, PROMPT + newTokens);
    const requests = requestsOf(1, PROMPT, batch, V);
    const [result] = await inTurns([() => generate(generator, [requests], settings(newTokens))], rounds);
    generator.destroy();
    const cache = cacheBytes(shape.config, batch, PROMPT + newTokens) / 2 ** 20;
    row(`batch ${batch}`, result, { "ms/token": result.ms / newTokens, "cache MiB": cache });
  }

  const room = await createGenerator(model, SLOTS, LONG_PROMPT + newTokens);
  const distinct = requestsOf(SLOTS, LONG_PROMPT, 1, V);
  const shared = requestsOf(SLOTS / SAMPLES, LONG_PROMPT, SAMPLES, V);
  const [prefill, apart, together] = await inTurns([
    () => generate(room, [distinct], settings(1)),
    () => generate(room, [distinct], settings(newTokens)),
    () => generate(room, [shared], settings(newTokens)),
  ], rounds);
  room.destroy();
  row(`prefill ${SLOTS} x ${LONG_PROMPT}`, { tokens: SLOTS * LONG_PROMPT, ms: prefill.ms });
  row(`${SLOTS} prompts`, apart);
  row(`${SLOTS / SAMPLES} prompts x ${SAMPLES}`, together, { speedup: apart.ms / together.ms });
  destroyModel(model);

  // One token in 32 ends a sequence: lengths of 1 to `newTokens`. A static batch waits for its longest.
  const stopIds = Array.from({ length: V / 32 }, (_, i) => i * 32 + 5);
  const ragged = randomModel(gpu, { ...shape.config, eosId: V, stopIds });
  const generator = await createGenerator(ragged, SLOTS, PROMPT + newTokens);
  const requests = requestsOf(SLOTS / 2, PROMPT, SAMPLES, V);
  const batches = Array.from({ length: requests.length / SLOTS }, (_, i) => requests.slice(i * SLOTS, (i + 1) * SLOTS));
  const [fixed, continuous] = await inTurns([
    () => generate(generator, batches, settings(newTokens)),
    () => generate(generator, [requests], settings(newTokens)),
  ], rounds);
  generator.destroy();
  destroyModel(ragged);
  row("ragged, static batches", fixed);
  row("ragged, continuous", continuous, { speedup: fixed.ms / continuous.ms });
  return {
    name: `decode ${shape.name.split(" ")[0]}`,
    workload: `prompts of ${PROMPT} tokens (${LONG_PROMPT} in ${SLOTS} slots), ${newTokens} new ones, temperature 1; ` +
      `ragged: ${requests.length} sequences in ${SLOTS} slots, one token in 32 ends one; wall clock with all readbacks`,
    rows,
  };
}
