import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory.ts";

// The in-memory host stands for the real one in other tests, so both must pass the very same list.
let folder = "";
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-host-" });
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

for (const kind of ["deno", "memory"]) {
  describe(`${kind} host`, () => {
    let host: Host;
    let root = "";
    beforeAll(() => {
      host = kind === "deno" ? denoHost() : memoryHost();
      root = kind === "deno" ? folder : "runs";
    });

    test("reads back text and bytes it wrote, in folders it made", async () => {
      await host.write(`${root}/a/b/text.txt`, "naïve ✓\n");
      await host.write(`${root}/a/b/data.bin`, new Uint8Array([0, 255, 7]));
      expect(await host.readText(`${root}/a/b/text.txt`)).toBe("naïve ✓\n");
      expect([...await host.readBytes(`${root}/a/b/data.bin`)]).toEqual([0, 255, 7]);
      expect(await host.list(`${root}/a/b`)).toEqual(["data.bin", "text.txt"]);
      expect(await host.list(`${root}/a`)).toEqual(["b"]);
    });

    test("replaces a file as a whole and appends to it", async () => {
      await host.write(`${root}/log.txt`, "a long first version\n");
      await host.write(`${root}/log.txt`, "short\n");
      await host.append(`${root}/log.txt`, "more\n");
      await host.append(`${root}/new/log.txt`, "made\n");
      expect(await host.readText(`${root}/log.txt`)).toBe("short\nmore\n");
      expect(await host.readText(`${root}/new/log.txt`)).toBe("made\n");
    });

    test("tells what is there and removes folders with all they hold", async () => {
      await host.write(`${root}/gone/x/y.txt`, "1");
      expect(await host.exists(`${root}/gone/x/y.txt`)).toBe(true);
      expect(await host.exists(`${root}/gone/x`)).toBe(true);
      expect(await host.exists(`${root}/gone/x/y.txt/z`)).toBe(false);
      await host.remove(`${root}/gone`);
      expect(await host.exists(`${root}/gone/x/y.txt`)).toBe(false);
      await host.remove(`${root}/gone`);
    });

    test("names the path and the reason when something fails", async () => {
      await expect(host.readText(`${root}/none.txt`)).rejects.toThrow(`Cannot read ${root}/none.txt: no such file`);
      await expect(host.list(`${root}/none`)).rejects.toThrow(`Cannot list ${root}/none: no such folder`);
      await host.write(`${root}/file`, "x");
      await expect(host.write(`${root}/file/inside`, "y")).rejects.toThrow(`Cannot write ${root}/file/inside: a `);
      await host.write(`${root}/bad.txt`, new Uint8Array([0xff, 0xfe, 0x41]));
      await expect(host.readText(`${root}/bad.txt`)).rejects.toThrow(`Cannot read ${root}/bad.txt: it is not UTF-8`);
      await host.write(`${root}/dir/x`, "x");
      await expect(host.readText(`${root}/dir`)).rejects.toThrow(`Cannot read ${root}/dir: it is a folder`);
      await expect(host.write(`${root}/dir`, "x")).rejects.toThrow(`Cannot write ${root}/dir: it is a folder`);
    });

    test("hands out copies: changing the bytes read changes no file", async () => {
      await host.write(`${root}/copy.bin`, new Uint8Array([1, 2]));
      (await host.readBytes(`${root}/copy.bin`))[0] = 9;
      expect([...await host.readBytes(`${root}/copy.bin`)]).toEqual([1, 2]);
    });

    test("unpacks gzip and refuses a cut or foreign file", async () => {
      const text = "line\n".repeat(1000);
      const packed = new Uint8Array(
        await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
      );
      expect(packed.length).toBeLessThan(200);
      expect(new TextDecoder().decode(await host.gunzip(packed))).toBe(text);
      await expect(host.gunzip(packed.slice(0, 30))).rejects.toThrow("Cannot unpack gzip data");
      await expect(host.gunzip(new TextEncoder().encode("hello"))).rejects.toThrow("Cannot unpack gzip data");
    });
  });
}

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
