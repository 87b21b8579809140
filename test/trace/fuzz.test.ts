import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fuzz, loadCorpus } from "../../tools/fuzz.ts";
import { fuzzJob } from "../../tools/fuzz/programs.ts";
import { data } from "./helpers.ts";

const corpus = await loadCorpus(fileURLToPath(data));

test(
  "150 damaged, random and hostile programs all come back with a result of their own, and the same one twice",
  async () => {
    const summary = await fuzz(corpus, { seed: 20251, programs: 150, size: 1, repeatEvery: 5 });
    expect(summary.wrong).toEqual([]);
    expect(summary.programs).toBe(150);
    expect(summary.repeated).toBe(30);
    expect(Object.keys(summary.verdicts).length, JSON.stringify(summary.verdicts)).toBeGreaterThan(4);
  },
  300_000,
);

test("a program of the fuzzer is given by seed and number alone", () => {
  for (let index = 0; index < 200; index++) {
    expect(fuzzJob(7, index, corpus)).toEqual(fuzzJob(7, index, corpus));
  }
  const kinds = new Set(Array.from({ length: 500 }, (_, index) => fuzzJob(7, index, corpus).kind));
  expect(kinds.size).toBe(12);
  expect(fuzzJob(7, 0, corpus)).not.toEqual(fuzzJob(8, 0, corpus));
});
