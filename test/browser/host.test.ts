import { expect, test } from "vitest";
import { browserHost } from "../../src/host/browser.ts";
import { loadTuned, tunedName, tuneUsed } from "../../src/recipes/tuning.ts";
import { compile, openGpu, persistent, Plan } from "../../src/plan/mod.ts";
import { rmsnorm } from "../../kernels/mod.ts";
import { testHost } from "../host/host_tests.ts";

const noPython = () => Promise.reject(new Error("no interpreter in this test"));
testHost("browser", () => ({ host: browserHost(noPython), root: "host-test" }));

test("the tuner's findings are kept in the browser's own files and learned from them", async () => {
  const host = browserHost(noPython);
  const gpu = await openGpu();
  const plan = new Plan("norm", gpu);
  rmsnorm(plan, persistent(gpu, "x", [9, 16]), persistent(gpu, "gain", [16]), 1e-5);
  await compile(gpu, plan);
  const path = `cache/${tunedName(gpu)}`;
  await host.remove(path);
  const winners: string[] = [];
  for await (const { winner } of tuneUsed(host, gpu, path, 1)) winners.push(winner);
  gpu.close();
  expect(winners.length).toBe(1);
  const later = await openGpu();
  expect(await loadTuned(host, later, path)).toBe(1);
  expect(Object.values(later.choices.learned)).toEqual(winners);
  later.close();
});
