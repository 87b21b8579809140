/** The Host for Deno: real files, child processes for Python. The one file of src/host that may say `Deno.`. */
import { gunzip } from "./gzip.ts";
import type { Host } from "./host.ts";

// A write that never got to its rename leaves such a file behind; list() hides it, nothing reads it.
const partial = /^\..*\.\d+-\d+\.partial$/;
let writes = 0;

/** Where small files lie that only save time. */
export function cacheFolder(): string {
  return new URL("../../node_modules/.cache/etalon", import.meta.url).pathname;
}

export function denoHost(): Host {
  return { readBytes, readText, write, append, list, exists, remove, gunzip, spawnArena, openDatabase };
}

async function readBytes(path: string): Promise<Uint8Array> {
  return await named("read", path, () => Deno.readFile(path));
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`Cannot read ${path}: it is not UTF-8 text`);
  }
}

async function write(path: string, data: string | Uint8Array): Promise<void> {
  const { folder, name } = split(path);
  const temporary = `${folder}/.${name}.${Deno.pid}-${writes++}.partial`;
  await named("write", path, async () => {
    await Deno.mkdir(folder, { recursive: true });
    try {
      // Same folder, so that the rename stays within one file system: only there is it atomic.
      await Deno.writeFile(temporary, typeof data === "string" ? new TextEncoder().encode(data) : data);
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
  });
}

async function append(path: string, text: string): Promise<void> {
  await named("write", path, async () => {
    await Deno.mkdir(split(path).folder, { recursive: true });
    await Deno.writeTextFile(path, text, { append: true });
  });
}

async function list(path: string): Promise<string[]> {
  return await named("list", path, async () => {
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) {
      if (!partial.test(entry.name)) names.push(entry.name);
    }
    return names.sort();
  }, "folder");
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new Error(`Cannot look at ${path}: ${reason(error, "file")}`);
  }
}

async function remove(path: string): Promise<void> {
  await named("remove", path, async () => {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  });
}

async function spawnArena() {
  // Late, so that reading a file does not load the Python side.
  const { spawnArena } = await import("./deno_arena.ts");
  return await spawnArena();
}

async function openDatabase(path: string) {
  const { openDatabase } = await import("./deno_database.ts");
  return await named("open", path, () => openDatabase(path));
}

function split(path: string): { folder: string; name: string } {
  const cut = path.lastIndexOf("/");
  if (cut < 0) return { folder: ".", name: path };
  return { folder: path.slice(0, cut) || "/", name: path.slice(cut + 1) };
}

async function named<T>(verb: string, path: string, action: () => Promise<T>, kind = "file"): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new Error(`Cannot ${verb} ${path}: ${reason(error, kind)}`);
  }
}

function reason(error: unknown, kind: string): string {
  if (error instanceof Deno.errors.NotFound) return `no such ${kind}`;
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.NotADirectory) return "a part of the path is a file, not a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "Deno was started without the permission for it";
  if (error instanceof Deno.errors.AlreadyExists) return "a file of that name is in the way";
  return error instanceof Error ? error.message : String(error);
}
