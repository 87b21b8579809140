import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { defaults, type RunConfig } from "../../src/recipes/run_config.ts";
import { requireUnchanged, type Run, type RunEvent, runStages, type Stage } from "../../src/recipes/run.ts";
import { openStore } from "../../src/store/store.ts";

const host = denoHost();
let dir: string;
beforeEach(async () => dir = await Deno.makeTempDir({ prefix: "etalon-run-" }));
afterEach(async () => await Deno.remove(dir, { recursive: true }));

/** What stages see of a run in `dir`, with these settings of DPO. */
async function open(settings: Partial<RunConfig["dpo"]>): Promise<Run> {
  const store = await openStore(host, `${dir}/run.db`);
  return {
    ...{ host, store, dir, modelId: "model", predictions: [], trainProblems: [], evalProblems: [] },
    config: { ...defaults, dpo: { ...defaults.dpo, ...settings } },
    record: async (stage: string) => await store.meta(`stage ${stage}`),
    folder: (stage: string) => `${dir}/${stage}`,
  } as unknown as Run;
}

/** Trains nothing, but leaves a checkpoint; stops where it is told to. */
function stage(stops: { now: boolean }, leaves = true): Stage {
  return {
    name: "dpo",
    needs: [],
    settings: ({ dpo, pairs: { mask } }) => ({ dpo, mask }),
    async *run(run) {
      yield { type: "stage", name: "dpo", detail: "", seconds: null };
      if (leaves) await host.write(`${run.folder("dpo")}/checkpoints/latest.json`, "{}");
      if (stops.now) throw new Error("stopped");
      return { detail: "trained" };
    },
  };
}

async function details(settings: Partial<RunConfig["dpo"]>, of: Stage): Promise<string[]> {
  const run = await open(settings);
  try {
    const events: RunEvent[] = [];
    for await (const event of runStages(run, [of])) events.push(event);
    return events.flatMap((event) => event.type === "stage" && event.seconds !== null ? [event.detail] : []);
  } finally {
    await run.store.close();
  }
}

describe("a stage of a run", () => {
  test("that was interrupted does not go on from its checkpoint with other settings", async () => {
    await expect(details({ beta: 0.1 }, stage({ now: true }))).rejects.toThrow("stopped");
    await expect(details({ beta: 0.5 }, stage({ now: false }))).rejects.toThrow(
      `Cannot run stage dpo in ${dir}: it was begun there with other settings (dpo.beta was 0.1 and is 0.5 now); ` +
        `remove ${dir}/dpo to begin it anew, or choose another folder`,
    );
    expect(await details({ beta: 0.1 }, stage({ now: false }))).toEqual(["trained"]);
  });

  test("that left nothing, or whose folder was removed, begins with whatever settings it is given", async () => {
    await expect(details({ beta: 0.1 }, stage({ now: true }, false))).rejects.toThrow("stopped");
    await expect(details({ beta: 0.2 }, stage({ now: true }))).rejects.toThrow("stopped");
    await host.remove(`${dir}/dpo`);
    expect(await details({ beta: 0.3 }, stage({ now: false }))).toEqual(["trained"]);
  });

  test("that is done is not done again, and refused with other settings", async () => {
    expect(await details({ beta: 0.1 }, stage({ now: false }))).toEqual(["trained"]);
    expect(await details({ beta: 0.1 }, stage({ now: true }))).toEqual(["trained (done before)"]);
    await expect(details({ beta: 0.5 }, stage({ now: false }))).rejects.toThrow(
      `Cannot run stage dpo in ${dir}: it was done there with other settings (dpo.beta was 0.1 and is 0.5 now); choose`,
    );
  });

  test("that was interrupted keeps them too, while its checkpoint is there", async () => {
    await expect(details({ steps: 7 }, stage({ now: true }))).rejects.toThrow("stopped");
    const run = await open({ steps: 9 });
    await expect(requireUnchanged(run, [], [stage({ now: false })])).rejects.toThrow("stage dpo was begun there");
    await host.remove(`${dir}/dpo`);
    await requireUnchanged(run, [], [stage({ now: false })]);
    await run.store.close();
  });

  test("that is done keeps its settings when another stage changes those of the folder", async () => {
    expect(await details({ steps: 7 }, stage({ now: false }))).toEqual(["trained"]);
    const other: Stage = { ...stage({ now: false }), name: "kto" };
    for (const [steps, message] of [[7, null], [9, "stage dpo was done there with other settings (dpo.steps was 7"]]) {
      const run = await open({ steps: steps as number });
      const checked = requireUnchanged(run, [other], [stage({ now: false })]);
      if (message === null) await checked;
      else await expect(checked).rejects.toThrow(`Cannot change ${dir}: ${message}`);
      await run.store.close();
    }
  });
});
