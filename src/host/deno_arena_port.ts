// Takes standard input and output for the arena process and then removes the Deno API from the realm: what runs later
// finds neither, and Pyodide takes itself for a web page's worker.

import type { FromArena } from "../../workers/messages.ts";

const { stdout } = Deno;

/**
 * What the running program has done so far, as JSON lines after their length: read by the other thread if this one has
 * to be ended. Sending each line at once would cost more than running most programs.
 */
const lastWords = new SharedArrayBuffer(1 << 20);
const lastBytes = new Uint8Array(lastWords, 4);
const lastLength = new Int32Array(lastWords, 0, 1);

/**
 * Runs in a thread of its own, because this one is Python's: passes standard input on, and when that ends, writes the
 * last words and ends the process. Input ends when the parent has waited long enough, or is gone, however it went; a
 * program in a loop of C code would never notice.
 */
async function readInput() {
  let words: SharedArrayBuffer;
  onmessage = ({ data }) => words = data;
  for await (const chunk of Deno.stdin.readable) postMessage(chunk, { transfer: [chunk.buffer] });
  try {
    const length = Atomics.load(new Int32Array(words!, 0, 1), 0);
    const bytes = new Uint8Array(words!, 4, length).slice();
    for (let start = 0; start < length;) {
      const end = bytes.indexOf(10, start);
      const frame = new Uint8Array(4 + end - start);
      new DataView(frame.buffer).setUint32(0, end - start, true);
      frame.set(bytes.subarray(start, end), 4);
      for (let at = 0; at < frame.length;) at += Deno.stdout.writeSync(frame.subarray(at));
      start = end + 1;
    }
  } finally {
    Deno.kill(Deno.pid, "SIGKILL"); // Deno.exit would end the thread only
  }
}
const input = new Worker(`data:text/javascript,${encodeURIComponent(`(${readInput})()`)}`, { type: "module" });
input.postMessage(lastWords);

const realm = globalThis as unknown as Record<string, unknown>;
delete realm.Deno;
delete realm.process;
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

const encoder = new TextEncoder();

export const port = {
  /** One frame: its length as a little-endian u32, then the bytes. */
  async readBytes(): Promise<Uint8Array<ArrayBuffer>> {
    const head = await take(4);
    return await take(new DataView(head.buffer).getUint32(0, true));
  },
  /** Synchronous, because it is Python that holds the thread. */
  send(message: FromArena) {
    if (message.kind === "progress") return keep(encoder.encode(JSON.stringify(message) + "\n"));
    Atomics.store(lastLength, 0, 0);
    if (message.kind === "ready" && message.image) {
      // The only bytes an arena sends: announced in the JSON, then a frame of their own.
      sendFrame(encoder.encode(JSON.stringify({ ...message, image: true })));
      sendFrame(message.image);
    } else sendFrame(encoder.encode(JSON.stringify(message)));
  },
};

function keep(line: Uint8Array) {
  const have = lastLength[0];
  if (have + line.length > lastBytes.length) return sendFrame(line.subarray(0, -1));
  lastBytes.set(line, have);
  Atomics.store(lastLength, 0, have + line.length);
}

function sendFrame(body: Uint8Array) {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length, true);
  frame.set(body, 4);
  for (let at = 0; at < frame.length;) at += stdout.writeSync(frame.subarray(at));
}
