/** Preference pairs from the traced samples, with both traces of the test that tells them apart. */
import type { PairCounts } from "../../data/pairs.ts";
import { toJsonl } from "../../files/jsonl.ts";
import { tracedPairs } from "../preferences.ts";
import { addAgreement } from "../rollout.ts";
import type { Stage } from "../run.ts";
import { TRAIN_SET } from "./sample.ts";

/** What the report reads of this stage. */
export interface PairData {
  total: number;
  order: string;
  counts: PairCounts;
}

export const PAIR_SET = "pairs";

export const pairs: Stage = {
  name: "pairs",
  needs: ["sample"],
  settings: ({ pairs: { mask: _a, maskLike: _b, minimalPairs: _c, ...pairs } }) => pairs,
  async *run({ config, dir, host, pool, store, trainProblems }) {
    const { order, referenceSibling, mask: _a, maskLike: _b, minimalPairs: _c, ...policy } = config.pairs;
    yield { type: "stage", name: "pairs", detail: `under ${order}`, seconds: null };
    const samples = await addAgreement(pool, trainProblems, await store.samples(TRAIN_SET), referenceSibling);
    await store.addSamples(TRAIN_SET, samples); // their agreement
    const { rows, counts } = await tracedPairs(pool, trainProblems, samples, order, {
      ...policy,
      seed: config.seed,
    });
    await store.addPairs(PAIR_SET, rows);
    await host.write(`${dir}/pairs.jsonl`, toJsonl(rows));
    const data: PairData = { total: rows.length, order, counts };
    return { detail: `${rows.length} pairs under ${order}, ${counts.ties} ties`, data };
  },
};
