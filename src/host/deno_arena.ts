/**
 * Arenas for Deno: each is a child process with no permission at all, fed its files through standard input. A process,
 * because Deno cannot end a worker that is busy; killing one stops whatever it does within about 30 ms.
 */
import { cacheFolder } from "./deno.ts";
import { imageKey } from "../../workers/image.ts";
import { newAnswers } from "../../workers/answers.ts";
import { ArenaDied, type FromArena } from "../../workers/messages.ts";
import type { Arena, ArenaReply, ArenaRequest } from "../trace/schema.ts";

const root = new URL("../../", import.meta.url);
const bootTimeoutMs = 60_000;
const lastWordsMs = 1_000;
const selfTestMs = 180_000;

/** How an arena's Deno is started: no permission, nothing from the network, and nobody to ask for more. */
export const arenaFlags = [
  "run",
  "--no-prompt",
  "--no-remote",
  "--no-npm",
  "--no-config",
  "--no-lock",
  "--no-check",
  "--quiet",
];

/** The files every arena needs, read once. */
let assets: Promise<Assets> | undefined;
/** The heap of a booted interpreter: from the cache, or from the first arena of this process. */
let image: Promise<Uint8Array> | undefined;

interface Assets {
  wasm: Uint8Array;
  stdlib: Uint8Array;
  importMap: string;
  imagePath: string;
}

/** Starts one interpreter; resolves when it is ready for requests. The first on a machine takes seconds. */
export async function spawnArena(): Promise<Arena> {
  const files = await (assets ??= loadAssets());
  if (!image) {
    const cached = await Deno.readFile(files.imagePath).catch(() => null);
    if (cached) image ??= Promise.resolve(cached);
  }
  if (image) {
    const known = await image.catch(() => undefined);
    return (await startArena(files, known ?? new Uint8Array(0))).arena;
  }
  // Whoever comes meanwhile waits for this image instead of making another.
  image = makeImage(files);
  image.catch(() => image = undefined);
  return (await startArena(files, await image)).arena;
}

/** A Pyodide or a Python side of ours that is new here: what it must hold is tried before it is used. */
async function makeImage(files: Assets): Promise<Uint8Array> {
  if (Deno.stderr.isTerminal()) console.error("Preparing the Python sandbox; the first time takes about 15 seconds.");
  const { arena, made } = await startArena(files, new Uint8Array(0));
  try {
    const reply = await arena.request({ kind: "self-test" }, selfTestMs);
    if (reply.kind !== "value") {
      throw new Error(reply.kind === "error" ? reply.message : "the self-test gave no answer");
    }
  } finally {
    arena.kill();
  }
  await keepImage(files.imagePath, made!);
  return made!;
}

async function loadAssets(): Promise<Assets> {
  const folder = new URL("node_modules/pyodide/", root);
  try {
    const path = await Deno.realPath(folder);
    const [wasm, stdlib] = await Promise.all([
      Deno.readFile(`${path}/pyodide.asm.wasm`),
      Deno.readFile(`${path}/python_stdlib.zip`),
    ]);
    // The child knows no node_modules and no deno.json: this is its whole import map.
    const map = { imports: { "pyodide/": new URL(`file://${path.startsWith("/") ? "" : "/"}${path}/`).href } };
    return {
      wasm,
      stdlib,
      importMap: `data:application/json,${encodeURIComponent(JSON.stringify(map))}`,
      imagePath: `${cacheFolder()}/python-${await imageKey()}.image`,
    };
  } catch (error) {
    assets = undefined;
    const reason = error instanceof Deno.errors.NotFound
      ? "it is not there; `deno install` puts it there"
      : String(error);
    throw new Error(`Cannot start Python: ${folder.pathname} cannot be read: ${reason}`);
  }
}

/** The cache only saves time: where it can't be written, every process boots once the long way. */
async function keepImage(path: string, bytes: Uint8Array) {
  const temporary = `${path}.${Deno.pid}`;
  try {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(temporary, bytes);
    await Deno.rename(temporary, path);
  } catch {
    await Deno.remove(temporary).catch(() => {});
  }
}

async function startArena(files: Assets, image: Uint8Array): Promise<{ arena: Arena; made?: Uint8Array }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...arenaFlags, `--import-map=${files.importMap}`, new URL("deno_arena_child.ts", import.meta.url).href],
    clearEnv: true,
    env: { TZ: "UTC", NO_COLOR: "1", ...denoCache() },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    // A group of its own: Ctrl-C on a terminal would else end the interpreter too, and the program in it as a crash.
    detached: true,
  }).spawn();
  const arena = new ProcessArena(child);
  return { arena, made: await arena.boot([files.wasm, files.stdlib, image]) };
}

/** The one thing the child's Deno must know of us: where its cache of compiled TypeScript is. */
function denoCache(): Record<string, string> {
  const set: Record<string, string> = {};
  for (const name of ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SystemRoot"]) {
    const value = Deno.env.get(name);
    if (value) set[name] = value;
  }
  return set;
}

/** In their own groups the interpreters would outlive a program that ends while they are busy. */
const running = new Set<ProcessArena>();
addEventListener("unload", () => running.forEach((arena) => arena.kill()));

class ProcessArena implements Arena {
  alive = true;
  #answers = newAnswers(() => this.#expire());
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #lastWords = "";

  constructor(readonly child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    running.add(this);
    void this.#listen();
    void this.#hearErrors();
  }

  /** Sends the files; gives back the image if the process had to make one. */
  async boot(files: Uint8Array[]): Promise<Uint8Array | undefined> {
    const ready = this.#answers.ready(bootTimeoutMs);
    ready.catch(() => {});
    for (const file of files) await this.#write(file);
    return (await ready).image;
  }

  async request(message: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
    if (!this.alive) throw new ArenaDied("ended", "the Python process has ended");
    const reply = this.#answers.next(timeoutMs);
    reply.catch(() => {});
    await this.#write(new TextEncoder().encode(JSON.stringify(message)));
    return await reply as ArenaReply;
  }

  /** Time is up: with its input closed the process gives its last words and ends itself; or else it is killed. */
  #expire() {
    void this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.kill(), lastWordsMs);
    this.child.status.then(() => clearTimeout(timer));
  }

  kill() {
    if (!this.alive) return;
    this.alive = false;
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It ended by itself just now.
    }
    this.#answers.fail("ended", "the Python process was killed");
  }

  async #write(body: Uint8Array) {
    const frame = new Uint8Array(4 + body.length);
    new DataView(frame.buffer).setUint32(0, body.length, true);
    frame.set(body, 4);
    try {
      await this.#writer.write(frame);
    } catch {
      // A closed pipe: the process has ended, and #listen says so to whoever waits.
    }
  }

  async #listen() {
    const decoder = new TextDecoder();
    let announced: (FromArena & { kind: "ready" }) | undefined;
    try {
      for await (const body of frames(this.child.stdout)) {
        if (announced) {
          this.#answers.receive({ ...announced, image: body });
          announced = undefined;
          continue;
        }
        const message = JSON.parse(decoder.decode(body)) as FromArena;
        if (message.kind === "ready" && message.image) announced = message;
        else this.#answers.receive(message);
      }
    } catch {
      // Broken output counts as an end.
    }
    const status = await this.child.status;
    this.alive = false;
    running.delete(this);
    const words = this.#lastWords.trim().split("\n").slice(-3).join(" ");
    this.#answers.fail("ended", `the Python process ended with code ${status.code}${words && `: ${words}`}`);
  }

  async #hearErrors() {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr) {
      this.#lastWords = (this.#lastWords + decoder.decode(chunk, { stream: true })).slice(-4000);
    }
  }
}

/** Splits a byte stream into frames: a little-endian u32 length, then that many bytes. */
async function* frames(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const head = new Uint8Array(4);
  let body: Uint8Array<ArrayBuffer> | null = null;
  let have = 0;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length;) {
      const target: Uint8Array = body ?? head;
      const part = chunk.subarray(at, at + target.length - have);
      target.set(part, have);
      have += part.length;
      at += part.length;
      if (have < target.length) continue;
      have = 0;
      if (body) {
        yield body;
        body = null;
      } else body = new Uint8Array(new DataView(head.buffer).getUint32(0, true));
    }
  }
}
