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
import { closeFiles, type EmscriptenFs } from "./files.ts";
import { epochMs, type Gate, gatedImports, newGate } from "./gate.ts";
import { bootSource, pythonSources } from "./python_sources.ts";

/** What one call of the Python side gave. `fatal`: the interpreter itself broke and its output is worthless. */
export interface Execution {
  output: string;
  fatal: { reason: "exit" | "crash" | "sandbox"; message: string } | null;
}

export interface Interpreter {
  /**
   * Fresh budgets, clock and randomness. `onMessage` gets what Python writes to the port and says what it reads next;
   * what it says nothing to is the answer of the call.
   */
  begin(memoryBytes: number, onMessage?: (text: string) => string | undefined): void;
  /** What descriptor 0 gives from now on. */
  input(text: string): void;
  /** Runs one request through harness.py; the interpreter keeps its state until it is rewound. */
  call(request: string): Execution;
  /** Forgets everything since boot. */
  rewind(): void;
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
  _PyObject_CallNoArgs(object: number): number;
  _Py_IncRef(object: number): void;
  stringToNewUTF8(text: string): number;
  stackSave(): number;
  stackRestore(stack: number): void;
  UTF8ToString(address: number): string;
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
  const image = assets.image ?? firstImage(module, gate);
  const head = new DataView(image.buffer, image.byteOffset, headBytes);
  if (head.getUint32(0, true) !== magic) throw new Error("the image of the interpreter is damaged");
  const entry = head.getUint32(4, true);
  const stack = head.getUint32(8, true);
  const heapImage = image.subarray(headBytes);
  if (module.HEAPU8.length < heapImage.length) module.growMemory(heapImage.length);
  const files = closeFiles(FS, epochMs);
  gate.fits = files.fits;
  gate.state.closed = true;

  // Most of the heap is zeros (the stack above all): filling is faster than copying.
  const parts = zeroParts(heapImage);
  let dirty = true;

  function rewind() {
    if (!dirty) return;
    dirty = false;
    const heap = module.HEAPU8;
    for (const { start, end, zero } of parts) {
      if (zero) heap.fill(0, start, end);
      else heap.set(heapImage.subarray(start, end), start);
    }
    if (heap.length > heapImage.length) heap.fill(0, heapImage.length);
    module.stackRestore(stack);
    files.restore();
  }

  let answer = "";
  function call(request: string): Execution {
    dirty = true;
    answer = "";
    gate.feed(request);
    FS.ignorePermissions = false;
    try {
      if (module._PyObject_CallNoArgs(entry) !== 0) return { output: answer, fatal: null };
      return { output: "", fatal: { reason: "crash", message: "the program broke what runs it" } };
    } catch (error) {
      return { output: "", fatal: fatalReason(error, gate.violation) };
    } finally {
      FS.ignorePermissions = true;
    }
  }

  rewind();
  return {
    begin(memoryBytes, onMessage) {
      gate.reset(memoryBytes, (text) => {
        if (onMessage) {
          const reply = onMessage(text);
          if (reply !== undefined) return gate.feed(reply);
        }
        answer = text;
      });
    },
    input: gate.setInput,
    call,
    rewind,
    heapBytes: () => module.HEAPU8.length,
    image,
  };
}

/** The image as stretches of data and of zeros, in pages of 4 KiB; short zero stretches count as data. */
function zeroParts(image: Uint8Array): { start: number; end: number; zero: boolean }[] {
  const pageBytes = 4096;
  const words = new BigUint64Array(image.slice().buffer);
  const parts: { start: number; end: number; zero: boolean }[] = [];
  for (let start = 0; start < image.length; start += pageBytes) {
    const zero = words.subarray(start / 8, (start + pageBytes) / 8).every((word) => word === 0n);
    const last = parts.at(-1);
    if (last?.zero === zero) last.end = start + pageBytes;
    else parts.push({ start, end: start + pageBytes, zero });
  }
  const merged: typeof parts = [];
  for (const part of parts) {
    const zero = part.zero && part.end - part.start >= 64 * pageBytes;
    const last = merged.at(-1);
    if (last && last.zero === zero) last.end = part.end;
    else merged.push({ ...part, zero });
  }
  return merged;
}

/** The code is the same for all interpreters of a realm. */
let compiled: Promise<WebAssembly.Module> | undefined;

/** Pyodide as far as it is needed: with an image the module alone, its Python state comes with the heap. */
async function instantiate(assets: ArenaAssets, gate: Gate): Promise<EmscriptenModule> {
  const realm = globalThis as unknown as Record<string, unknown>;
  const saved = { fetch: realm.fetch, streaming: WebAssembly.instantiateStreaming };
  // The web path of Pyodide asks for its files by URL; this realm has no network, they come from memory.
  realm.fetch = (url: unknown) => Promise.resolve(new Response(String(url).endsWith(".zip") ? assets.stdlib : null));
  WebAssembly.instantiateStreaming = async (_response, imports) => {
    const module = await (compiled ??= WebAssembly.compile(assets.wasm));
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
  FS.mkdirTree("/run");
  FS.writeFile("/run/sources", JSON.stringify(pythonSources));
  FS.writeFile("/run/boot.py", bootSource);
  gate.reset(512 * 1024 * 1024, () => {});
  gate.state.closed = false;
  gate.keepStderr = true;
  const code = "exec(compile(open('/run/boot.py').read(), '<etalon boot>', 'exec'), {})";
  const status = module._PyRun_SimpleString(module.stringToNewUTF8(code));
  if (status !== 0) throw new Error(`the Python side did not load: ${gate.stderr.slice(-2000)}`);
  blankInittab(module);
  const entry = Number(FS.readFile("/run/entry", { encoding: "utf8" }));
  module._Py_IncRef(entry); // no name leads there any more
  for (const path of ["/run/sources", "/run/boot.py", "/run/entry"]) FS.unlink(path);
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
