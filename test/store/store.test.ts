import { afterAll, beforeAll, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { openStore } from "../../src/store/store.ts";
import { problems, samples } from "./rows.ts";
import { testStore } from "./store_tests.ts";

let folder = "";
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-store-" });
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

testStore("deno", () => ({ host: denoHost(), root: folder }));
const memory = memoryHost();
testStore("memory", () => ({ host: memory, root: "runs" }));

test("a file that is no database is refused with its path", async () => {
  await Deno.writeTextFile(`${folder}/text`, "no database at all, but some text\n".repeat(100));
  await expect(openStore(denoHost(), `${folder}/text`)).rejects.toThrow(
    `Cannot open ${folder}/text: file is not a database`,
  );
});

test("a process killed while it writes leaves a store that opens whole, and the work goes on from it", async () => {
  const path = `${folder}/killed/store.sqlite`;
  for (const patience of [2, 9]) { // batches written before the kill
    const args = ["run", "-A", "test/store/endless_writer.ts", path];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    for (let seen = 0; seen < patience;) seen += (await reader.read()).value!.length;
    child.kill("SIGKILL"); // in the middle of whatever it does
    await child.status;
    await reader.cancel();
    const database = await denoHost().openDatabase(path);
    expect(await database.all("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect(await database.all("PRAGMA foreign_key_check")).toEqual([]);
    await database.close();
    const store = await openStore(denoHost(), path);
    const got = await store.samples("a");
    expect(got.length).toBeGreaterThanOrEqual(4 * patience);
    expect(got.length % 4).toBe(0); // batches of four, none of them in part
    await store.addSamples("a", samples(got.length / 2 + 2));
    expect(await store.count("a")).toBe(got.length + 4);
    await store.close();
  }
});

test("two processes write into one store", async () => {
  const path = `${folder}/two/store.sqlite`;
  const ends = await Promise.all(
    [1, 2].map(() =>
      new Deno.Command(Deno.execPath(), { args: ["run", "-A", "test/store/endless_writer.ts", path, "40"] }).output()
    ),
  );
  expect(ends.map(({ code, stderr }) => [code, new TextDecoder().decode(stderr)])).toEqual([[0, ""], [0, ""]]);
  const store = await openStore(denoHost(), path);
  expect(await store.count("a")).toBe(80);
  expect(await store.problems()).toEqual(problems);
  await store.close();
});
