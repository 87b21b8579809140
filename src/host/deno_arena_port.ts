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
    const body = new TextEncoder().encode(JSON.stringify(message));
    const frame = new Uint8Array(4 + body.length);
    new DataView(frame.buffer).setUint32(0, body.length, true);
    frame.set(body, 4);
    for (let at = 0; at < frame.length;) at += stdout.writeSync(frame.subarray(at));
  },
};
