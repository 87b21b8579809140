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
import { closeGate, gatedImports, newGate } from "./gate.ts";
import bootSource from "./boot.py" with { type: "text" };
import harnessSource from "./harness.py" with { type: "text" };
import judgeSource from "./judge.py" with { type: "text" };
import snapshotSource from "./snapshot.py" with { type: "text" };
import branchesSource from "./branches.py" with { type: "text" };
import counterSource from "./counter.py" with { type: "text" };
import tracerSource from "./tracer.py" with { type: "text" };

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

const sources: Record<string, string> = {
  snapshot: snapshotSource,
  branches: branchesSource,
  counter: counterSource,
  tracer: tracerSource,
  judge: judgeSource,
  harness: harnessSource,
};

/** Boots from bytes alone. Takes over `fetch` and `WebAssembly.instantiateStreaming` of its realm while it does. */
export async function bootInterpreter(assets: ArenaAssets): Promise<Interpreter> {
  const gate = newGate();
  const realm = globalThis as unknown as Record<string, unknown>;
  const saved = { fetch: realm.fetch, streaming: WebAssembly.instantiateStreaming };
  realm.fetch = (url: unknown) =>
    String(url).endsWith(".zip") ? Promise.resolve(new Response(assets.stdlib)) : Promise.resolve(new Response(null));
  let memory: WebAssembly.Memory | undefined;
  WebAssembly.instantiateStreaming = async (_response, imports) => {
    const module = await WebAssembly.compile(assets.wasm);
    const instance = await WebAssembly.instantiate(module, gatedImports(imports!, gate));
    memory = instance.exports.memory as WebAssembly.Memory;
    return { instance, module };
  };
  // deno-lint-ignore no-explicit-any -- _module is Pyodide's private handle, pinned with its version
  let pyodide: any;
  try {
    pyodide = await loadPyodide({
      indexURL: "http://arena.invalid/",
      createPyodideModule,
      lockFileContents: JSON.stringify({ info: lockInfo, packages: {} }),
      packageBaseUrl: "http://arena.invalid/",
      stdin: () => null,
      stdout: () => {},
      stderr: () => {},
      enableRunUntilComplete: false,
      jsglobals: Object.create(null),
      env: { PYTHONHASHSEED: "0", HOME: "/tmp" },
      // deno-lint-ignore no-explicit-any -- createPyodideModule and stdin returning null are missing in the types
    } as any);
  } finally {
    realm.fetch = saved.fetch;
    WebAssembly.instantiateStreaming = saved.streaming;
  }
  const module: EmscriptenModule = pyodide._module;
  const { FS } = module;
  gate.heap = () => module.HEAPU8;
  const run = (code: string) => {
    const status = module._PyRun_SimpleString(module.stringToNewUTF8(code));
    if (status !== 0) throw new Error(`the Python side did not load: ${gate.stderr.slice(-2000)}`);
  };
  FS.ignorePermissions = true;
  FS.mkdirTree("/run");
  FS.mkdirTree("/tmp");
  FS.writeFile("/run/sources", JSON.stringify(sources));
  FS.writeFile("/run/boot.py", bootSource);
  gate.keepStderr = true;
  run("exec(compile(open('/run/boot.py').read(), '<etalon boot>', 'exec'), {})");
  blankInittab(module);
  freeze(FS, "/");
  FS.chmod("/tmp", 0o777);
  const entry = module.stringToNewUTF8("import sys; sys._etalon()");
  const image = module.HEAPU8.slice();
  const stack = module.stackSave();
  closeGate(gate, memory!);

  function rewind() {
    FS.ignorePermissions = true;
    const heap = module.HEAPU8;
    heap.set(image);
    if (heap.length > image.length) heap.fill(0, image.length);
    module.stackRestore(stack);
    for (const stream of FS.streams) if (stream && stream.fd > 2) FS.close(stream);
    clear(FS, "/tmp");
    FS.writeFile("/run/out", "");
  }

  function execute(request: string, memoryBytes: number, onLine: (line: string) => void): Execution {
    gate.reset(memoryBytes, onLine);
    FS.writeFile("/run/in", request);
    FS.writeFile("/run/out", "");
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
  return { execute, heapBytes: () => module.HEAPU8.length };
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
  const message = error instanceof Error ? error.message : String(error);
  if (violation) return { reason: "sandbox", message: violation };
  const exited = (error as { name?: string } | null)?.name === "ExitStatus" || /exit/i.test(message);
  return { reason: exited ? "exit" : "crash", message };
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
    else if (child !== "/run/out") FS.chmod(child, 0o444);
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
