/**
 * Arenas for Deno: each is a child process with no permission at all, fed its files through standard input. A process,
 * because Deno cannot end a worker that is busy; killing one stops whatever it does within about 30 ms.
 */
import { untried } from "../trace/verdict.ts";
import { type Arena, ArenaDied, type ArenaReply, type ArenaRequest, type TestResult } from "../trace/schema.ts";
import type { FromArena } from "../../workers/messages.ts";

const root = new URL("../../", import.meta.url);
const bootTimeoutMs = 60_000;

/** The files an arena needs, read once per process. */
let assets: Promise<{ wasm: Uint8Array; stdlib: Uint8Array; importMap: string }> | undefined;

async function loadAssets() {
  const folder = new URL("node_modules/pyodide/", root);
  try {
    const path = await Deno.realPath(folder);
    const [wasm, stdlib] = await Promise.all([
      Deno.readFile(`${path}/pyodide.asm.wasm`),
      Deno.readFile(`${path}/python_stdlib.zip`),
    ]);
    // The child knows no node_modules and no deno.json: this is its whole import map.
    const map = { imports: { "pyodide/": new URL(`file://${path.startsWith("/") ? "" : "/"}${path}/`).href } };
    return { wasm, stdlib, importMap: `data:application/json,${encodeURIComponent(JSON.stringify(map))}` };
  } catch (error) {
    assets = undefined;
    const reason = error instanceof Deno.errors.NotFound
      ? "it is not there; `deno install` puts it there"
      : String(error);
    throw new Error(`Cannot start Python: ${folder.pathname} cannot be read: ${reason}`);
  }
}

/** Starts one interpreter; resolves when it is ready for requests. */
export async function spawnArena(): Promise<Arena> {
  const { wasm, stdlib, importMap } = await (assets ??= loadAssets());
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-remote",
      "--no-npm",
      "--no-config",
      "--no-lock",
      "--no-check",
      "--quiet",
      `--import-map=${importMap}`,
      new URL("deno_arena_child.ts", import.meta.url).href,
    ],
    clearEnv: true,
    env: { TZ: "UTC", NO_COLOR: "1", ...cacheFolder() },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const arena = new ProcessArena(child);
  await arena.boot([wasm, stdlib]);
  return arena;
}

/** The one thing the child's Deno must know of us: where its cache of compiled TypeScript is. */
function cacheFolder(): Record<string, string> {
  const set: Record<string, string> = {};
  for (const name of ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SystemRoot"]) {
    const value = Deno.env.get(name);
    if (value) set[name] = value;
  }
  return set;
}

class ProcessArena implements Arena {
  alive = true;
  #waiting: { resolve(reply: FromArena): void; reject(error: Error): void } | null = null;
  #tests: TestResult[] = [];
  #loaded = false;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #lastWords = "";

  constructor(readonly child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    void this.#listen();
    void this.#hearErrors();
  }

  async boot(files: Uint8Array[]): Promise<void> {
    const ready = this.#next(bootTimeoutMs);
    ready.catch(() => {});
    for (const file of files) await this.#write(file);
    const message = await ready;
    if (message.kind !== "ready") {
      this.kill();
      throw new Error(
        `Cannot start Python: ${message.kind === "failed" ? message.message : `it said ${message.kind}`}`,
      );
    }
  }

  async request(message: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
    if (!this.alive) throw new ArenaDied("ended", "the Python process has ended");
    if (this.#waiting) throw new Error("an arena takes one request at a time");
    this.#tests = [];
    this.#loaded = false;
    const reply = this.#next(timeoutMs);
    reply.catch(() => {});
    await this.#write(new TextEncoder().encode(JSON.stringify(message)));
    return await reply as ArenaReply;
  }

  kill() {
    if (!this.alive) return;
    this.alive = false;
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It ended by itself just now.
    }
    this.#fail("ended", "the Python process was killed");
  }

  #next(timeoutMs: number): Promise<FromArena> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail("timeout", `no answer within ${timeoutMs} ms`);
        this.kill();
      }, timeoutMs);
      const settle = <T>(then: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        this.#waiting = null;
        then(value);
      };
      this.#waiting = { resolve: settle(resolve), reject: settle(reject) };
    });
  }

  #fail(reason: "timeout" | "ended", detail: string) {
    this.#waiting?.reject(new ArenaDied(reason, detail, this.#tests, this.#loaded));
  }

  async #write(body: Uint8Array) {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, body.length, true);
    try {
      await this.#writer.write(head);
      await this.#writer.write(body);
    } catch {
      // A closed pipe: the process has ended, and #listen says so to whoever waits.
    }
  }

  async #listen() {
    const decoder = new TextDecoder();
    let buffer = new Uint8Array(0);
    try {
      for await (const chunk of this.child.stdout) {
        const joined = new Uint8Array(buffer.length + chunk.length);
        joined.set(buffer);
        joined.set(chunk, buffer.length);
        buffer = joined;
        while (buffer.length >= 4) {
          const length = new DataView(buffer.buffer, buffer.byteOffset).getUint32(0, true);
          if (buffer.length < 4 + length) break;
          const message = JSON.parse(decoder.decode(buffer.subarray(4, 4 + length))) as FromArena;
          buffer = buffer.slice(4 + length);
          if (message.kind !== "progress") this.#waiting?.resolve(message);
          else if ("test" in message) this.#tests[message.test.index] = message.test;
          else if ("loaded" in message) this.#loaded = true;
          else this.#tests = message.sources.map(untried);
        }
      }
    } catch {
      // Broken output counts as an end.
    }
    const status = await this.child.status;
    this.alive = false;
    const words = this.#lastWords.trim().split("\n").slice(-3).join(" ");
    this.#fail("ended", `the Python process ended with code ${status.code}${words && `: ${words}`}`);
  }

  async #hearErrors() {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr) {
      this.#lastWords = (this.#lastWords + decoder.decode(chunk, { stream: true })).slice(-4000);
    }
  }
}
