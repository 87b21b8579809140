/** Every op with variants that the recipes of models/micro use: what `play` can show without a ladder of its own. */
import { type Gpu, openDryGpu, type Pick, type Recorder, tune } from "../../src/plan/mod.ts";
import { createLlama } from "../../src/model/llama.ts";
import { useRecipes } from "../../src/recipes/tuning.ts";
import { bytesOfPick, flopsOfPick } from "../fixed.ts";
import { gigaPerSecond, show, table } from "../units.ts";
import { microShape } from "../workload.ts";

/** Recorded where nothing is allocated. */
export async function usedOps(like: Recorder): Promise<Map<string, Pick[]>> {
  const dry = openDryGpu(like);
  const { config, B, T } = await microShape();
  await useRecipes(createLlama(dry, config, true), { batch: B, tokens: T, samples: 64 });
  const ops = new Map<string, Pick[]>();
  for (const pick of dry.used.values()) {
    if (pick.op.variants.length > 1) ops.set(pick.op.name, [...(ops.get(pick.op.name) ?? []), pick]);
  }
  return ops;
}

/** Times the variants of one op at each of its shapes; the one that a recording would use is marked. */
export async function playVariants(gpu: Gpu, picks: readonly Pick[], rounds: number): Promise<string> {
  const blocks: string[] = [];
  let k = 0;
  for await (const { op, shapeClass, timings, before } of tune(gpu, picks, rounds)) {
    const pick = picks[k++];
    const used = timings.find(({ variant }) => variant === before)!.microseconds;
    const lines = timings.map(({ variant, microseconds }) => [
      variant + (variant === before ? " *" : ""),
      show(microseconds / 1000),
      show(gigaPerSecond(flopsOfPick(gpu, pick), microseconds)),
      show(gigaPerSecond(bytesOfPick(pick), microseconds)),
      `x${(microseconds / used).toFixed(2)}`,
    ]);
    blocks.push(`${op} ${shapeClass}\n${table([["", "ms", "GFLOP/s", "GB/s", "time / used"], ...lines])}`);
  }
  return blocks.join("\n\n");
}
