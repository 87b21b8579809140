// One list for node:sqlite, for sqlite-wasm in memory and for sqlite-wasm on a browser's files. No Deno in here.
import { describe, expect, test } from "vitest";
import type { Host } from "../../src/host/host.ts";
import { openStore, type StoredSample } from "../../src/store/store.ts";
import { pairRows, problems, result, samples } from "./rows.ts";

/** `open` gives the host and a folder of it that is empty. */
export function testStore(kind: string, open: () => { host: Host; root: string }): void {
  describe(`store: ${kind}`, () => {
    const path = (name: string) => `${open().root}/${name}/store.sqlite`;
    const fresh = (name: string) => openStore(open().host, path(name));
    /** As a store gives them: by problem in the order they were added, then by index, the repeats named. */
    const stored = (given: StoredSample[]) =>
      problems.flatMap(({ id }) => given.filter(({ problemId }) => problemId === id))
        .map((sample) => ({ ...sample, duplicateOf: sample.index % 3 === 2 ? sample.index - 1 : null }));

    test("gives back what it was given, to the byte, over closing and opening", async () => {
      const store = await fresh("whole");
      await store.addProblems(problems);
      await store.addSamples("train", samples(5));
      await store.addSamples("before", [...samples(3)].reverse());
      const half = { ...samples(1)[0], completion: "half a character: \ud83d" };
      await store.addSamples("half", [half]);
      await store.addPairs("train", pairRows);
      await store.setMeta("card", { name: "naïve ✓", list: [1, null] });
      await store.addMetrics("dpo", 1, { loss: 0.5, "rewards/margins": NaN, gap: -Infinity });
      await store.close();
      const again = await fresh("whole");
      expect(await again.problems()).toEqual(problems);
      expect(await again.sets()).toEqual(["train", "before", "half"]);
      expect(await again.samples("train")).toEqual(stored(samples(5)));
      expect(await again.samples("before")).toEqual(stored(samples(3)));
      expect((await again.samples("half"))[0].completion).toBe(half.completion);
      const traced = (await again.samples("train"))[0].result.trace!.events[0].variable_states!;
      expect(Object.keys(traced)).toEqual(["z", "a"]);
      expect(await again.count("train")).toBe(10);
      expect([...(await again.indices("before")).get("p/alpha")!].sort()).toEqual([0, 1, 2]);
      expect(await again.pairs("train")).toEqual(pairRows);
      expect(await again.pairSets()).toEqual(["train"]);
      expect(await again.meta("card")).toEqual({ name: "naïve ✓", list: [1, null] });
      expect(await again.meta("nothing")).toBe(null);
      expect(await again.metrics("dpo")).toEqual([{ step: 1, loss: 0.5, "rewards/margins": NaN, gap: -Infinity }]);
      expect(await again.samples("none")).toEqual([]);
      await again.close();
    });

    test("adding the same rows again changes nothing, the clock apart; what is found out later is added", async () => {
      const store = await fresh("twice");
      await store.addProblems(problems);
      await store.addProblems([...problems].reverse());
      await store.addSamples("a", samples(3));
      const slower = samples(3).map((sample) => ({ ...sample, result: { ...sample.result, elapsedMs: 99 } }));
      await store.addSamples("a", [...slower, ...slower]);
      await store.addPairs("a", pairRows);
      await store.addPairs("a", [...pairRows].reverse());
      expect(await store.problems()).toEqual(problems);
      expect(await store.samples("a")).toEqual(stored(samples(3)));
      expect(await store.pairs("a")).toEqual(pairRows);
      await store.addSamples("a", [{ ...samples(1)[0], logprob: -3.5, agreement: [1] }]);
      const [first] = await store.samples("a");
      expect([first.logprob, first.agreement, first.programKey]).toEqual([-3.5, [1], "program 0"]);
      await store.close();
    });

    test("another row in the place of one is refused, and with it the whole batch", async () => {
      const store = await fresh("other");
      await store.addProblems(problems);
      await store.addSamples("a", samples(2));
      const other = { ...samples(1)[0], completion: "    return 7\n" };
      const added = [samples(3)[4], other];
      await expect(store.addSamples("a", added)).rejects.toThrow(
        `Cannot add sample p/zeta#0 to set "a" of ${
          path("other")
        }: another is there (the new one starts with "    return 7\\n")`,
      );
      expect(await store.count("a")).toBe(4);
      await expect(store.addProblems([{ ...problems[0], prompt: "x" }])).rejects.toThrow(
        `Cannot add problem p/zeta to ${path("other")}: another of that id is there, its prompt differs`,
      );
      await expect(store.addSamples("a", [{ ...other, problemId: "p/none" }])).rejects.toThrow(
        `Cannot add sample p/none#0 to set "a" of ${path("other")}: its problem is not in the store`,
      );
      await store.close();
    });

    test("metrics of a step replace its own and those of later steps", async () => {
      const store = await fresh("metrics");
      for (const step of [1, 2, 3]) await store.addMetrics("dpo", step, { loss: step });
      await store.addMetrics("sft", 1, { loss: 9 });
      await store.addMetrics("dpo", 2, { loss: 20 });
      expect(await store.metrics("dpo")).toEqual([{ step: 1, loss: 1 }, { step: 2, loss: 20 }]);
      expect(await store.metrics("sft")).toEqual([{ step: 1, loss: 9 }]);
      await store.close();
    });

    test("results of another Python or tracer are refused, and a set drawn in another way", async () => {
      const store = await fresh("versions");
      await store.requireVersions({ python: "3.14.2", tracer: "t1" });
      await store.requireVersions({ python: "3.14.2", tracer: "t1" });
      for (const other of [{ python: "3.13.1", tracer: "t1" }, { python: "3.14.2", tracer: "t2" }]) {
        await expect(store.requireVersions(other)).rejects.toThrow(
          `Cannot add to ${path("versions")}: its results are of Python 3.14.2 and tracer t1, ` +
            `the new ones of Python ${other.python} and tracer ${other.tracer}`,
        );
      }
      await store.setSampling("train", { temperature: 1, seed: 3 });
      await store.setSampling("train", { seed: 3, temperature: 1 });
      await expect(store.setSampling("train", { temperature: 0.8, seed: 3 })).rejects.toThrow(
        `Cannot go on with set "train" of ${path("versions")}: temperature was 1 there and is 0.8 now`,
      );
      expect(await store.sampling("train")).toEqual({ temperature: 1, seed: 3 });
      await store.close();
    });

    test("a result is found again by its key", async () => {
      const store = await fresh("cache");
      expect(await store.cachedResult("k")).toBe(null);
      await store.cacheResult("k", result("p/zeta#4", false));
      await store.cacheResult("k", result("p/zeta#5", false));
      expect(await store.cachedResult("k")).toEqual({ ...result("", false), elapsedMs: 0 });
      await store.close();
    });

    test("a store of another version and a database of something else are refused by name", async () => {
      const { host } = open();
      for (
        const [change, message] of [
          ["PRAGMA user_version = 2", "its tables have version 2, this program knows version 1; use the newer program"],
          [
            "PRAGMA user_version = 0",
            "its tables have version 0, this program knows version 1; export it with the program",
          ],
          ["PRAGMA application_id = 7", "it is a SQLite file, but no store of this program"],
        ]
      ) {
        await (await fresh("changed")).close();
        const database = await host.openDatabase(path("changed"));
        await database.run(change);
        await database.close();
        await expect(fresh("changed")).rejects.toThrow(`Cannot open ${path("changed")}: ${message}`);
        await host.remove(`${open().root}/changed`);
      }
    });

    test("two openers of one file write in turns and see all of it", async () => {
      const [one, two] = await Promise.all([fresh("shared"), fresh("shared")]);
      await Promise.all([one.addProblems(problems), two.addProblems(problems)]);
      const all = samples(12);
      await Promise.all(all.map((sample, i) => (i % 2 ? one : two).addSamples("a", [sample])));
      await Promise.all([one.addSamples("a", all), two.addSamples("a", all)]);
      expect(await one.samples("a")).toEqual(stored(all));
      await one.close();
      expect(await two.samples("a")).toEqual(stored(all));
      await two.close();
      await expect(two.count("a")).rejects.toThrow("it has been closed");
    });
  });
}
