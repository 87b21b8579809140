/**
 * The Host for a browser tab: files in the origin private file system (OPFS), Python in a worker of a sandboxed frame. Files
 * stay on the visitor's machine, are seen by this origin alone, and outlive the tab.
 */
import { openDatabase } from "./browser_database.ts";
import { gunzip } from "./gzip.ts";
import type { Host } from "./host.ts";

/** `spawnArena` starts an interpreter from the assets that the page has loaded (workers/browser_arena.ts). */
export function browserHost(spawnArena: Host["spawnArena"]): Host {
  return { readBytes, readText, write, append, list, exists, remove, gunzip, spawnArena, openDatabase };
}

async function readBytes(path: string): Promise<Uint8Array> {
  return await named("read", path, async () => {
    const { folder, name } = await parent(path, false);
    const file = await (await folder.getFileHandle(name)).getFile();
    return new Uint8Array(await file.arrayBuffer());
  });
}

async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`Cannot read ${path}: it is not UTF-8 text`);
  }
}

/** A writable stream of OPFS goes to a copy that takes the file's place when it is closed: that makes a write atomic. */
async function write(path: string, data: string | Uint8Array): Promise<void> {
  await put(path, data, false);
}

async function append(path: string, text: string): Promise<void> {
  await put(path, text, true);
}

async function put(path: string, data: string | Uint8Array, keep: boolean): Promise<void> {
  await named("write", path, async () => {
    const { folder, name } = await parent(path, true);
    const handle = await folder.getFileHandle(name, { create: true });
    const stream = await handle.createWritable({ keepExistingData: keep });
    if (keep) await stream.seek((await handle.getFile()).size);
    await stream.write(data as Exclude<typeof data, Uint8Array> | Uint8Array<ArrayBuffer>);
    await stream.close();
  });
}

async function list(path: string): Promise<string[]> {
  return await named("list", path, async () => {
    const folder = await folderAt(parts(path), false);
    const names: string[] = [];
    for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) {
      if (!name.endsWith(".crswap")) names.push(name); // Chromium's copy of a file that is being written
    }
    return names.sort();
  }, "folder");
}

async function exists(path: string): Promise<boolean> {
  const steps = parts(path);
  const name = steps.pop();
  if (name === undefined) return true;
  try {
    const folder = await folderAt(steps, false);
    await folder.getFileHandle(name).catch(() => folder.getDirectoryHandle(name));
    return true;
  } catch (error) {
    if (isMissing(error) || isMismatch(error) || error instanceof NotAFolder) return false;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  await named("remove", path, async () => {
    try {
      const { folder, name } = await parent(path, false);
      await folder.removeEntry(name, { recursive: true });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  });
}

const parts = (path: string) => path.split("/").filter((part) => part !== "" && part !== ".");

async function folderAt(steps: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> {
  let folder = await navigator.storage.getDirectory();
  for (const step of steps) {
    try {
      folder = await folder.getDirectoryHandle(step, { create });
    } catch (error) {
      throw isMismatch(error) ? new NotAFolder("a part of the path is a file, not a folder") : error;
    }
  }
  return folder;
}

async function parent(path: string, create: boolean): Promise<{ folder: FileSystemDirectoryHandle; name: string }> {
  const steps = parts(path);
  const name = steps.pop() ?? "";
  return { folder: await folderAt(steps, create), name };
}

class NotAFolder extends Error {}
const isMissing = (error: unknown) => error instanceof DOMException && error.name === "NotFoundError";
const isMismatch = (error: unknown) => error instanceof DOMException && error.name === "TypeMismatchError";

async function named<T>(verb: string, path: string, action: () => Promise<T>, kind = "file"): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const full = error instanceof DOMException && error.name === "QuotaExceededError";
    const reason = isMissing(error)
      ? `no such ${kind}`
      : isMismatch(error)
      ? "it is a folder"
      : full
      ? "the browser gives this page no more storage"
      : (error as Error).message;
    throw new Error(`Cannot ${verb} ${path}: ${reason}`);
  }
}
