// The in-memory host stands for the real ones in other tests, so all must pass the very same list. No Deno in here.
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/host/host.ts";

/** `open` gives the host and a folder of it that is empty. */
export function testHost(kind: string, open: () => { host: Host; root: string }): void {
  describe(`${kind} host`, () => {
    let host: Host;
    let root = "";
    beforeAll(() => void ({ host, root } = open()));

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

    test("a database keeps every kind of value, in its file, for the next opener", async () => {
      const path = `${root}/db/values.sqlite`;
      const database = await host.openDatabase(path);
      await database.run("CREATE TABLE kept (a, b, c, d, e)");
      const values = [null, 2 ** 40 + 1, -0.125, "naïve ✓ 🙂", new Uint8Array([0, 255, 7])];
      await database.run("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", values);
      await database.close();
      expect(await host.exists(path)).toBe(true);
      const again = await host.openDatabase(path);
      const [{ e, ...rest }] = await again.all<{ e: Uint8Array }>("SELECT * FROM kept WHERE b > ?", [2 ** 40]);
      expect(Object.values(rest)).toEqual(values.slice(0, 4));
      expect([...e]).toEqual([0, 255, 7]);
      expect(await again.all("SELECT * FROM kept WHERE b > ?", [2 ** 41])).toEqual([]);
      await expect(again.run("INSERT INTO none VALUES (1)")).rejects.toThrow("no such table: none");
      await again.close();
      await expect(again.all("SELECT 1")).rejects.toThrow("Cannot use a database: it has been closed");
      await host.remove(`${root}/db`);
      expect(await host.exists(path)).toBe(false);
    });

    test("a transaction is all or nothing, and those of two openers come one after the other", async () => {
      const path = `${root}/turns/turns.sqlite`;
      const [one, two] = await Promise.all([host.openDatabase(path), host.openDatabase(path)]);
      await one.run("CREATE TABLE t (n INTEGER)");
      await one.run("INSERT INTO t VALUES (0)");
      const failing = one.transaction(async () => {
        await one.run("INSERT INTO t VALUES (99)");
        throw new Error("changed its mind");
      });
      await expect(failing).rejects.toThrow("changed its mind");
      // Each reads, waits and writes: without turns they would overwrite each other.
      const count = (database: typeof one) =>
        database.transaction(async () => {
          const [{ n }] = await database.all<{ n: number }>("SELECT max(n) AS n FROM t");
          await new Promise((resolve) => setTimeout(resolve, 1));
          await database.run("UPDATE t SET n = ?", [n + 1]);
        });
      await Promise.all(Array.from({ length: 20 }, (_, i) => count(i % 3 === 0 ? one : two)));
      expect(await two.all("SELECT n FROM t")).toEqual([{ n: 20 }]);
      await one.close();
      await two.close();
    });
  });
}
