import { expect, test } from "vitest";
import { browserHost } from "../../src/host/browser.ts";
import { openStore } from "../../src/store/store.ts";
import { problems, samples } from "../store/rows.ts";
import { testStore } from "../store/store_tests.ts";

const noPython = () => Promise.reject(new Error("no interpreter in this test"));
const host = browserHost(noPython);
await host.remove("store-test");

testStore("browser", () => ({ host, root: "store-test" }));

/** A worker of its own, as another tab would have: it does what it is told with workers/database.ts. */
function otherTab() {
  const worker = new Worker(new URL("../../workers/database.ts", import.meta.url), { type: "module" });
  let id = 0;
  const ask = (message: object) =>
    new Promise<{ value?: unknown; error?: string }>((resolve) => {
      worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      worker.postMessage({ id: id++, database: 0, ...message });
    });
  return { ask, close: () => worker.terminate() };
}

test("a store that another tab has open is refused by name, and is whole when that tab has gone", async () => {
  const path = "store-test/taken/store.sqlite";
  const store = await openStore(host, path);
  await store.addProblems(problems);
  await store.addSamples("a", samples(3));

  const tab = otherTab();
  expect(await tab.ask({ kind: "open", path })).toMatchObject({
    error: `Cannot open ${path}: another tab of this page has it open`,
  });
  await store.addSamples("a", samples(4)); // the attempt did no harm
  await store.close();
  expect(await tab.ask({ kind: "open", path })).toMatchObject({ value: null });
  await expect(openStore(host, path)).rejects.toThrow(`Cannot open ${path}: another tab of this page has it open`);
  const rows = await tab.ask({ kind: "all", sql: "SELECT count(*) AS n FROM samples", params: [] });
  expect(rows.value).toEqual([{ n: 8 }]);
  // A tab that is closed in the middle of a transaction: what it had not finished is gone.
  await tab.ask({ kind: "run", sql: "BEGIN", params: [] });
  await tab.ask({ kind: "run", sql: "DELETE FROM samples", params: [] });
  tab.close();

  const again = await openStore(host, path);
  expect(await again.count("a")).toBe(8);
  await again.close();
});

test("a store is a folder of the run: listed, and removed with it", async () => {
  const store = await openStore(host, "store-test/run/store.sqlite");
  await store.close();
  expect(await host.list("store-test/run")).toEqual(["store.sqlite"]);
  await host.remove("store-test/run");
  expect(await host.exists("store-test/run/store.sqlite")).toBe(false);
  const fresh = await openStore(host, "store-test/run/store.sqlite");
  expect(await fresh.sets()).toEqual([]);
  await fresh.close();
});
