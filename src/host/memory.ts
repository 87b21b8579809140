/** A Host whose files live in a Map: for tests, and proof that nothing above the port needs a disk. */
import { gunzip } from "./gzip.ts";
import type { Host } from "./host.ts";
import { type Engine, locked, newTurns, type Turns } from "./locked.ts";

/** Starts with the given files (path to content). It has no Python: spawnArena rejects. */
export function memoryHost(files: Record<string, string | Uint8Array> = {}): Host {
  const stored = new Map<string, Uint8Array>();
  const databases = new Map<string, { engine: Promise<Engine>; turns: Turns }>();
  for (const [path, data] of Object.entries(files)) stored.set(clean(path), toBytes(data));

  const isFolder = (path: string) =>
    path === "" || [...stored.keys()].some((name) => name.startsWith(`${path}/`) || path === "/" && name[0] === "/");

  function read(path: string): Uint8Array {
    const bytes = stored.get(clean(path));
    if (bytes) return bytes;
    throw new Error(`Cannot read ${path}: ${isFolder(clean(path)) ? "it is a folder" : "no such file"}`);
  }

  /** The same refusals as on a disk: a path can be a file or a folder, never both. */
  function checkPlace(path: string): string {
    const name = clean(path);
    if (isFolder(name)) throw new Error(`Cannot write ${path}: it is a folder`);
    for (let cut = name.indexOf("/", 1); cut > 0; cut = name.indexOf("/", cut + 1)) {
      if (stored.has(name.slice(0, cut))) {
        throw new Error(`Cannot write ${path}: a part of the path is a file, not a folder`);
      }
    }
    return name;
  }

  // deno-lint-ignore require-await
  const later = async <T>(action: () => T): Promise<T> => action(); // throws become rejections, as on a real host

  return {
    readBytes: (path) => later(() => read(path).slice()),
    readText: (path) =>
      later(() => {
        const bytes = read(path);
        try {
          return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
        } catch {
          throw new Error(`Cannot read ${path}: it is not UTF-8 text`);
        }
      }),
    write: (path, data) => later(() => void stored.set(checkPlace(path), toBytes(data))),
    append: (path, text) =>
      later(() => {
        const before = stored.get(clean(path)) ?? new Uint8Array();
        const added = toBytes(text);
        const joined = new Uint8Array(before.length + added.length);
        joined.set(before);
        joined.set(added, before.length);
        stored.set(checkPlace(path), joined);
      }),
    list: (path) =>
      later(() => {
        const folder = clean(path);
        if (stored.has(folder)) throw new Error(`Cannot list ${path}: a part of the path is a file, not a folder`);
        if (!isFolder(folder)) throw new Error(`Cannot list ${path}: no such folder`);
        const start = folder === "" || folder === "/" ? folder : `${folder}/`;
        const names = [...stored.keys()].filter((name) => name.startsWith(start))
          .map((name) => name.slice(start.length).split("/")[0]);
        return [...new Set(names)].filter((name) => name !== "").sort();
      }),
    exists: (path) => later(() => stored.has(clean(path)) || isFolder(clean(path))),
    remove: (path) =>
      later(() => {
        const gone = clean(path);
        for (const name of [...stored.keys()]) {
          if (name !== gone && !name.startsWith(`${gone}/`)) continue;
          stored.delete(name);
          databases.delete(name);
        }
      }),
    gunzip,
    spawnArena: () => Promise.reject(new Error("Cannot start Python: the in-memory host has no interpreter")),
    openDatabase: async (path) => {
      const name = clean(path);
      if (!databases.has(name)) {
        if (stored.has(name)) throw new Error(`Cannot open ${path}: file is not a database`);
        stored.set(checkPlace(path), new Uint8Array()); // so that it is listed and can be removed
        const engine = import("./sqlite_wasm.ts").then(({ memoryEngine }) => memoryEngine()); // late: few tests want it
        databases.set(name, { engine, turns: newTurns() });
      }
      const { engine, turns } = databases.get(name)!;
      return locked({ ...await engine, close: () => {} }, turns); // lives on for the next opener
    },
  };
}

function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
}

/** `./runs//a/` and `runs/a` are one path. */
function clean(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return (path.startsWith("/") ? "/" : "") + parts.join("/");
}
