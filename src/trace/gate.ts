// The wall around the interpreter: the list of functions WebAssembly may call after boot. Python can reach nothing
// that is not here, whatever modules, frames or raw memory it gets hold of.

export interface Gate {
  /** the interpreter's heap as it is now; set once the module exists */
  heap(): Uint8Array;
  /** the first forbidden import that was called, else null */
  violation: string | null;
  /** whether a file stays within `limit` bytes; set once there are files */
  fits(fd: number, bytes: number, limit: number): boolean;
  stderr: string;
  keepStderr: boolean;
  /** Before each program: budgets, clock and randomness start anew. */
  reset(memoryBytes: number, onMessage: (text: string) => void): void;
  /** What Python reads next from the port. */
  feed(text: string): void;
  /** What a program reads from descriptor 0. */
  setInput(text: string): void;
  // What the gated imports share.
  state: { closed: boolean; memoryBytes: number; written: number; nowMs: number; random: number };
  pending: { port: Uint8Array; stdin: Uint8Array };
  onMessage(text: string): void;
}

/**
 * A descriptor no file has: whole messages go out by one write each, and come in by reads. Nothing secret passes here
 * in the interpreter of a program, which may use it as well.
 */
const port = 1000;

// Reading the in-memory file system and closing down: harmless, and Python needs it to import its own library.
const open = new Set([
  "__syscall_openat",
  "__syscall_fstat64",
  "__syscall_stat64",
  "__syscall_lstat64",
  "__syscall_newfstatat",
  "__syscall_getdents64",
  "__syscall_getcwd",
  "__syscall_readlinkat",
  "__syscall_faccessat",
  "__syscall_fcntl64",
  "_try_fcntl64",
  "__syscall_ioctl",
  "__syscall_getuid32_js",
  "fd_close",
  "fd_seek",
  "fd_pread",
  "fd_fdstat_get",
  "clock_res_get",
  "environ_get",
  "environ_sizes_get",
  "emscripten_get_heap_max",
  "_tzset_js",
  "_localtime_js",
  "_gmtime_js",
  "_mktime_js",
  "_timegm_js",
  // Ends the interpreter, as os._exit and os.abort must; the heap is rewound after.
  "proc_exit",
  "exit",
  "_abort_js",
]);

const nothing = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** The time at which every program begins. */
export const epochMs = Date.UTC(2025, 0, 1);
const fileBytes = 4 * 1024 * 1024; // what a program may write to /tmp
const EPERM = 63;
const ENOSPC = 51;

export function newGate(): Gate {
  const gate: Gate = {
    heap: () => {
      throw new Error("the gate has no heap yet");
    },
    violation: null,
    fits: () => true,
    stderr: "",
    keepStderr: false,
    state: { closed: false, memoryBytes: 0, written: 0, nowMs: epochMs, random: 1 },
    pending: { port: nothing, stdin: nothing },
    onMessage: () => {},
    reset(memoryBytes, onMessage) {
      gate.violation = null;
      gate.stderr = "";
      gate.onMessage = onMessage;
      gate.pending = { port: nothing, stdin: nothing };
      gate.state = { closed: true, memoryBytes, written: 0, nowMs: epochMs, random: 0x9e3779b9 };
    },
    feed(text) {
      gate.pending.port = encoder.encode(text);
    },
    setInput(text) {
      gate.pending.stdin = encoder.encode(text);
    },
  };
  return gate;
}

/** The same imports, each function behind the gate. Nothing changes until the gate is closed. */
export function gatedImports(imports: WebAssembly.Imports, gate: Gate): WebAssembly.Imports {
  const gated: WebAssembly.Imports = {};
  for (const [space, entries] of Object.entries(imports)) {
    // GOT.mem and GOT.func are proxies that make up globals on demand: they hold no functions.
    if (space !== "env" && space !== "wasi_snapshot_preview1") {
      gated[space] = entries;
      continue;
    }
    gated[space] = new Proxy(entries, {
      get(target, name, receiver) {
        const value = Reflect.get(target, name, receiver);
        return typeof value === "function" ? behind(String(name), value as ImportedFunction, gate) : value;
      },
    });
  }
  return gated;
}

// deno-lint-ignore no-explicit-any -- numbers and bigints, as each import's signature says
type ImportedFunction = (...values: any[]) => any;

function behind(name: string, real: ImportedFunction, gate: Gate): ImportedFunction {
  const own = replacement(name, real, gate);
  if (own) {
    // During boot only the interpreter's last words are caught.
    const always = name === "fd_write";
    return (...values) => gate.state.closed || (always && gate.keepStderr) ? own(...values) : real(...values);
  }
  // A refused file operation is an ordinary OSError for the program; anything else ends it.
  if (open.has(name)) return real;
  const refuse = name.startsWith("__syscall_");
  return (...values) => {
    if (!gate.state.closed) return real(...values);
    if (refuse) return -EPERM;
    gate.violation ??= name;
    throw new Error(`sandbox: import ${name}`);
  };
}

function replacement(name: string, real: ImportedFunction, gate: Gate): ImportedFunction | undefined {
  const tick = () => gate.state.nowMs += 1; // a clock that moves by a millisecond each time it is read
  switch (name) {
    case "emscripten_get_now":
      return () => tick() - epochMs;
    case "emscripten_date_now":
      return tick;
    case "clock_time_get":
      return (...values) => {
        const address = Number(values[values.length - 1]);
        const heap = gate.heap();
        new DataView(heap.buffer).setBigUint64(address, BigInt(tick()) * 1_000_000n, true);
        return 0;
      };
    case "random_get":
      return (address: number, length: number) => {
        const heap = gate.heap();
        for (let i = 0; i < length; i++) {
          gate.state.random = Math.imul(gate.state.random, 1664525) + 1013904223 | 0;
          heap[address + i] = gate.state.random >>> 24;
        }
        return 0;
      };
    case "emscripten_resize_heap":
      return (bytes: number) => (bytes >>> 0) > gate.state.memoryBytes ? 0 : real(bytes);
    case "fd_read":
      return (fd: number, vectors: number, count: number, result: number) => {
        const from = fd === port ? "port" as const : fd === 0 ? "stdin" as const : null;
        if (!from) return real(fd, vectors, count, result);
        const taken = scatter(gate.heap(), vectors, count, gate.pending[from]);
        gate.pending[from] = gate.pending[from].subarray(taken);
        new DataView(gate.heap().buffer).setUint32(result, taken, true);
        return 0;
      };
    case "fd_write":
      return (fd: number, vectors: number, count: number, result: number) => {
        const bytes = gather(gate.heap(), vectors, count);
        if (fd === port) gate.onMessage(decoder.decode(bytes));
        else if (fd > 2) {
          gate.state.written += bytes.length;
          return gate.state.written > fileBytes || !gate.fits(fd, bytes.length, fileBytes)
            ? ENOSPC
            : real(fd, vectors, count, result);
        } else if (fd === 2 && gate.stderr.length < 20_000) gate.stderr += decoder.decode(bytes);
        // 1 and 2 lead nowhere; the interpreter's last words are kept.
        new DataView(gate.heap().buffer).setUint32(result, bytes.length, true);
        return 0;
      };
  }
}

function gather(heap: Uint8Array, vectors: number, count: number): Uint8Array {
  const view = new DataView(heap.buffer);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const start = view.getUint32(vectors + 8 * i, true);
    parts.push(heap.slice(start, start + view.getUint32(vectors + 8 * i + 4, true)));
  }
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Fills the buffers from the front of `bytes`; gives back how many it took. */
function scatter(heap: Uint8Array, vectors: number, count: number, bytes: Uint8Array): number {
  const view = new DataView(heap.buffer);
  let taken = 0;
  for (let i = 0; i < count; i++) {
    const start = view.getUint32(vectors + 8 * i, true);
    const part = bytes.subarray(taken, taken + view.getUint32(vectors + 8 * i + 4, true));
    heap.set(part, start);
    taken += part.length;
  }
  return taken;
}
