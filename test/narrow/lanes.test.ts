import { expect, test } from "vitest";
import { openGpu } from "../../src/plan/mod.ts";

test("a subgroup of the software adapter has four lanes in this project", async () => {
  const gpu = await openGpu();
  const { family, subgroupSize } = gpu.traits;
  gpu.close();
  // A real GPU keeps its own size whatever the software adapter is told.
  expect(family === "llvmpipe" ? subgroupSize : 4).toBe(4);
});
