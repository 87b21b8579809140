// Takes standard input and output for the arena process and then removes the Deno API from the realm: what runs later
// finds neither, and Pyodide takes itself for a web page's worker.

import type { FromArena } from "../../workers/messages.ts";

const { stdout } = Deno;

/**
 * Runs in a thread of its own, because this one is Python's: passes standard input on, and ends the process when that
 * ends. It only does so when the parent is gone, however it went; a program in a loop of C code would never notice.
 */
async function readInput() {
  for await (const chunk of Deno.stdin.readable) postMessage(chunk, { transfer: [chunk.buffer] });
  Deno.kill(Deno.pid, "SIGKILL"); // Deno.exit would end the thread only
}
const input = new Worker(`data:text/javascript,${encodeURIComponent(`(${readInput})()`)}`, { type: "module" });

const realm = globalThis as unknown as Record<string, unknown>;
for (const name of ["Deno", "process", "Buffer", "caches", "BroadcastChannel", "Worker", "WebSocket", "EventSource"]) {
  delete realm[name];
}
realm.location = new URL("http://arena.invalid/");
realm.WorkerGlobalScope = class {
  static [Symbol.hasInstance]() {
    return true;
  }
};

const chunks: Uint8Array<ArrayBuffer>[] = [];
let arrived = () => {};
input.onmessage = ({ data }: MessageEvent<Uint8Array<ArrayBuffer>>) => {
  chunks.push(data);
  arrived();
};

/** Exactly `count` bytes. */
async function take(count: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(count);
  let have = 0;
  while (have < count) {
    if (chunks.length === 0) await new Promise<void>((resolve) => arrived = resolve);
    const part = chunks[0].subarray(0, count - have);
    out.set(part, have);
    have += part.length;
    if (part.length < chunks[0].length) chunks[0] = chunks[0].subarray(part.length);
    else chunks.shift();
  }
  return out;
}

export const port = {
  /** One frame: its length as a little-endian u32, then the bytes. */
  async readBytes(): Promise<Uint8Array<ArrayBuffer>> {
    const head = await take(4);
    return await take(new DataView(head.buffer).getUint32(0, true));
  },
  /** Synchronous, because progress must leave while Python holds the thread. */
  send(message: FromArena) {
    if (message.kind === "ready" && message.image) {
      // The only bytes an arena sends: announced in the JSON, then a frame of their own.
      sendFrame(new TextEncoder().encode(JSON.stringify({ ...message, image: true })));
      sendFrame(message.image);
    } else sendFrame(new TextEncoder().encode(JSON.stringify(message)));
  },
};

function sendFrame(body: Uint8Array) {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, body.length, true);
  for (const part of [head, body]) for (let at = 0; at < part.length;) at += stdout.writeSync(part.subarray(at));
}
