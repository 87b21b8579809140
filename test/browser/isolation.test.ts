import { expect, test } from "vitest";

test("the test page is cross-origin isolated and has a GPU adapter", async () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  expect(await navigator.gpu.requestAdapter()).not.toBeNull();
});
