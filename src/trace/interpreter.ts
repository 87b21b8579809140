// One Pyodide (CPython 3.14 in WebAssembly) without a way out, and able to forget everything a program did to it.
//
// Out: after boot every WebAssembly import but file calls on the in-memory file system, a virtual clock and seeded
// random bytes is replaced by a trap, so no Python code, crafted bytecode included, reaches JavaScript.
// Forget: the heap as it was after boot is kept and copied back after each program, which undoes patched builtins,
// modules and even a fatal error of the interpreter itself.

import { loadPyodide } from "pyodide/pyodide.mjs";
// @ts-ignore: the package ships no types for its Emscripten module
import createPyodideModule from "pyodide/pyodide.asm.mjs";
import type { ArenaAssets } from "../../workers/messages.ts";
import { type Gate, gatedImports, newGate } from "./gate.ts";
import { bootSource, pythonSources } from "./python_sources.ts";

/** What one call of the Python side gave. `fatal`: the interpreter itself broke and its output is worthless. */
export interface Execution {
  output: string;
  fatal: { reason: "exit" | "crash" | "sandbox"; message: string } | null;
}

export interface Interpreter {
  /** Runs one request through harness.py; `onLine` gets each progress line. Always rewinds. */
  execute(request: string, memoryBytes: number, onLine: (line: string) => void): Execution;
  heapBytes(): number;
}

// The parts of Emscripten's module object used here.
interface EmscriptenModule {
  HEAPU8: Uint8Array;
  HEAPU32: Uint32Array;
  FS: EmscriptenFs;
  _PyImport_Inittab: number;
  growMemory(bytes: number): unknown;
  _PyRun_SimpleString(text: number): number;
  stringToNewUTF8(text: string): number;
  stackSave(): number;
  stackRestore(stack: number): void;
  UTF8ToString(address: number): string;
}
interface FsNode {
  contents?: Uint8Array | Record<string, FsNode>;
  mode: number;
}
interface EmscriptenFs {
  ignorePermissions: boolean;
  streams: ({ fd: number } | null)[];
  writeFile(path: string, data: string | Uint8Array): void;
  readFile(path: string, options: { encoding: "utf8" }): string;
  mkdirTree(path: string): void;
  chmod(path: string, mode: number): void;
  readdir(path: string): string[];
  stat(path: string): FsNode;
  isDir(mode: number): boolean;
  isLink(mode: number): boolean;
  lstat(path: string): FsNode;
  unlink(path: string): void;
  rmdir(path: string): void;
  close(stream: unknown): void;
}

/** A heap to start from: 16 bytes of head (magic, entry, stack), then the heap. Made by one boot, used by all others. */
export type Image = Uint8Array<ArrayBuffer>;

const magic = 0x4e4c5445; // "ETLN"
const headBytes = 16;

/** Boots from bytes alone: in 3 to 10 s without an image, in a fraction of a second with one. */
export async function bootInterpreter(assets: ArenaAssets): Promise<Interpreter & { image: Image }> {
  const gate = newGate();
  const module = await instantiate(assets, gate);
  const { FS } = module;
  gate.heap = () => module.HEAPU8;
  FS.ignorePermissions = true;
  FS.mkdirTree("/run");
  FS.mkdirTree("/tmp");
  const image = assets.image ?? firstImage(module, gate);
  const head = new DataView(image.buffer, image.byteOffset, headBytes);
  if (head.getUint32(0, true) !== magic) throw new Error("the image of the interpreter is damaged");
  const entry = head.getUint32(4, true);
  const stack = head.getUint32(8, true);
  const heapImage = image.subarray(headBytes);
  if (module.HEAPU8.length < heapImage.length) module.growMemory(heapImage.length);
  for (const path of ["/run/in", "/run/out"]) FS.writeFile(path, "");
  freeze(FS, "/");
  FS.chmod("/tmp", 0o777);
  // The harness empties the one before it runs a program and fills the other after.
  for (const path of ["/run/in", "/run/out"]) FS.chmod(path, 0o666);
  gate.state.closed = true;

  function rewind() {
    FS.ignorePermissions = true;
    const heap = module.HEAPU8;
    heap.set(heapImage);
    if (heap.length > heapImage.length) heap.fill(0, heapImage.length);
    module.stackRestore(stack);
    for (const stream of FS.streams) if (stream && stream.fd > 2) FS.close(stream);
    clear(FS, "/tmp");
    for (const path of ["/run/in", "/run/out"]) FS.writeFile(path, "");
  }

  function execute(request: string, memoryBytes: number, onLine: (line: string) => void): Execution {
    gate.reset(memoryBytes, onLine);
    FS.writeFile("/run/in", request);
    FS.ignorePermissions = false;
    let fatal: Execution["fatal"] = null;
    let output = "";
    try {
      if (module._PyRun_SimpleString(entry) !== 0) {
        fatal = { reason: "crash", message: `the harness did not end: ${gate.stderr.slice(-500)}` };
      }
      FS.ignorePermissions = true;
      output = FS.readFile("/run/out", { encoding: "utf8" });
    } catch (error) {
      fatal = fatalReason(error, gate.violation);
    } finally {
      rewind();
    }
    return { output: fatal ? "" : output, fatal };
  }

  rewind();
  return { execute, heapBytes: () => module.HEAPU8.length, image };
}

/** Pyodide as far as it is needed: with an image the module alone, its Python state comes with the heap. */
async function instantiate(assets: ArenaAssets, gate: Gate): Promise<EmscriptenModule> {
  const realm = globalThis as unknown as Record<string, unknown>;
  const saved = { fetch: realm.fetch, streaming: WebAssembly.instantiateStreaming };
  // The web path of Pyodide asks for its files by URL; this realm has no network, they come from memory.
  realm.fetch = (url: unknown) => Promise.resolve(new Response(String(url).endsWith(".zip") ? assets.stdlib : null));
  WebAssembly.instantiateStreaming = async (_response, imports) => {
    const module = await WebAssembly.compile(assets.wasm);
    return { module, instance: await WebAssembly.instantiate(module, gatedImports(imports!, gate)) };
  };
  let made: EmscriptenModule | undefined;
  const options = {
    indexURL: "http://arena.invalid/",
    createPyodideModule: async (settings: unknown) => {
      made = await createPyodideModule(settings) as EmscriptenModule;
      // What would follow connects Python with JavaScript, which nobody wants here.
      if (assets.image) throw new Ready();
      return made;
    },
    lockFileContents: JSON.stringify({ info: lockInfo, packages: {} }),
    packageBaseUrl: "http://arena.invalid/",
    stdin: () => null,
    stdout: () => {},
    stderr: () => {},
    enableRunUntilComplete: false,
    jsglobals: Object.create(null),
    env: { PYTHONHASHSEED: "0", HOME: "/tmp" },
    ...(assets.image ? { _loadSnapshot: assets.image.subarray(headBytes) } : {}),
  };
  try {
    // deno-lint-ignore no-explicit-any -- createPyodideModule and _loadSnapshot are missing in Pyodide's types
    await loadPyodide(options as any);
  } catch (error) {
    if (!(error instanceof Ready)) throw error;
  } finally {
    realm.fetch = saved.fetch;
    WebAssembly.instantiateStreaming = saved.streaming;
  }
  return made!;
}

class Ready extends Error {}

/** Loads the Python side into a fresh interpreter and keeps the heap as it is then. */
function firstImage(module: EmscriptenModule, gate: Gate): Image {
  const { FS } = module;
  FS.writeFile("/run/sources", JSON.stringify(pythonSources));
  FS.writeFile("/run/boot.py", bootSource);
  gate.reset(512 * 1024 * 1024, () => {});
  gate.state.closed = false;
  gate.keepStderr = true;
  const code = "exec(compile(open('/run/boot.py').read(), '<etalon boot>', 'exec'), {})";
  const status = module._PyRun_SimpleString(module.stringToNewUTF8(code));
  if (status !== 0) throw new Error(`the Python side did not load: ${gate.stderr.slice(-2000)}`);
  blankInittab(module);
  const entry = module.stringToNewUTF8("import sys; sys._etalon()");
  const image = new Uint8Array(headBytes + module.HEAPU8.length);
  const head = new DataView(image.buffer);
  head.setUint32(0, magic, true);
  head.setUint32(4, entry, true);
  head.setUint32(8, module.stackSave(), true);
  image.set(module.HEAPU8, headBytes);
  return image;
}

// What pyodide-lock.json says of the interpreter itself; there are no packages here.
const lockInfo = {
  abi_version: "2026_0",
  arch: "wasm32",
  platform: "emscripten_5_0_3",
  python: "3.14.2",
  version: "314.0.7",
};

function fatalReason(error: unknown, violation: string | null): Execution["fatal"] {
  if (violation) return { reason: "sandbox", message: violation };
  const { name, status, message } = error as { name?: string; status?: number; message?: string };
  if (name === "ExitStatus" || status !== undefined) {
    return { reason: "exit", message: `the program ended the interpreter with status ${status}` };
  }
  return { reason: "crash", message: message ?? String(error) };
}

/** Builtin modules that lead to JavaScript or raw memory can't be found again, even through the import machinery. */
function blankInittab(module: EmscriptenModule) {
  const hidden =
    /^(_pyodide.*|pyodide.*|js|_ctypes.*|_test.*|_xxtest.*|xx.*|_remote_debugging|_interp.*|_posixsubprocess)$/;
  const view = module.HEAPU32;
  const table = view[module._PyImport_Inittab >> 2];
  for (let at = table >> 2; view[at] !== 0; at += 2) {
    const address = view[at];
    const name = module.UTF8ToString(address);
    if (!hidden.test(name)) continue;
    // A name no import statement can spell: the first byte 0x01, the length kept.
    for (let i = 0; i < name.length; i++) module.HEAPU8[address + i] = 1;
  }
}

function freeze(FS: EmscriptenFs, path: string) {
  if (path === "/proc" || path === "/dev") return;
  for (const name of FS.readdir(path)) {
    if (name === "." || name === "..") continue;
    const child = path === "/" ? `/${name}` : `${path}/${name}`;
    const { mode } = FS.lstat(child);
    if (FS.isLink(mode)) continue;
    if (FS.isDir(mode)) freeze(FS, child);
    else FS.chmod(child, 0o444);
  }
  FS.chmod(path, 0o555);
}

function clear(FS: EmscriptenFs, path: string) {
  for (const name of FS.readdir(path)) {
    if (name === "." || name === "..") continue;
    const child = `${path}/${name}`;
    if (FS.isDir(FS.lstat(child).mode)) {
      clear(FS, child);
      FS.rmdir(child);
    } else FS.unlink(child);
  }
}
