// Takes standard input and output for the arena process and then removes the Deno API from the realm: what runs later
// finds neither, and Pyodide takes itself for a web page's worker.

import type { FromArena } from "../../workers/messages.ts";

const { stdin, stdout } = Deno;
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

const reader = stdin.readable.getReader();
let buffered = new Uint8Array(0);

/** Exactly `count` bytes, or null at the end of the input. */
async function take(count: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const out = new Uint8Array(count);
  let have = 0;
  while (have < count) {
    if (buffered.length === 0) {
      const { value, done } = await reader.read();
      if (done) return null;
      buffered = value;
    }
    const part = buffered.subarray(0, count - have);
    out.set(part, have);
    have += part.length;
    buffered = buffered.subarray(part.length);
  }
  return out;
}

export const port = {
  /** One frame: its length as a little-endian u32, then the bytes. Null at the end of the input. */
  async readBytes(): Promise<Uint8Array<ArrayBuffer> | null> {
    const head = await take(4);
    return head && await take(new DataView(head.buffer).getUint32(0, true));
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
