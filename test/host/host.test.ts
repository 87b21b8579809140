import { afterAll, beforeAll, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { testHost } from "./host_tests.ts";

let folder = "";
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-host-" });
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

testHost("deno", () => ({ host: denoHost(), root: folder }));
testHost("memory", () => ({ host: memoryHost(), root: "runs" }));

test("a failed write on disk leaves the old file whole and no partial file behind", async () => {
  const host = denoHost();
  await host.write(`${folder}/kept/model.bin`, "old");
  await host.write(`${folder}/kept/taken/x`, "x"); // a folder where the next write wants a file: the rename fails
  await expect(host.write(`${folder}/kept/taken`, "new")).rejects.toThrow("Cannot write");
  const names = [...Deno.readDirSync(`${folder}/kept`)].map((entry) => entry.name).sort();
  expect(names).toEqual(["model.bin", "taken"]);
  expect(await host.readText(`${folder}/kept/model.bin`)).toBe("old");
});

test("writes to one path at the same time leave one of the versions, never a mixture", async () => {
  const host = denoHost();
  const versions = [..."abcdefgh"].map((letter) => letter.repeat(200_000));
  await Promise.all(versions.map((text) => host.write(`${folder}/race.txt`, text)));
  expect(versions).toContain(await host.readText(`${folder}/race.txt`));
  expect((await host.list(folder)).filter((name) => name.includes("race"))).toEqual(["race.txt"]);
});

test("a partial file that a killed process left is not listed", async () => {
  const host = denoHost();
  await host.write(`${folder}/left/.model.bin.123-4.partial`, "half");
  await host.write(`${folder}/left/model.bin`, "whole");
  expect(await host.list(`${folder}/left`)).toEqual(["model.bin"]);
});

test("the in-memory host says plainly that it has no Python", async () => {
  await expect(memoryHost().spawnArena()).rejects.toThrow("the in-memory host has no interpreter");
});
