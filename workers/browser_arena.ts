// Arenas for a browser tab: each is a Web Worker running workers/python.ts. A tab can end a busy worker, so terminate()
// is the kill here.

import type { Arena, ArenaReply, ArenaRequest, LastWords } from "../src/trace/schema.ts";
import { type ArenaAssets, ArenaDied, type FromArena, hear } from "./messages.ts";

const bootTimeoutMs = 60_000;

/**
 * Starts one interpreter; resolves when it is ready. The first boot of a page puts its heap image into `assets`, so hand
 * the same object to the next call.
 */
export async function spawnWorkerArena(assets: ArenaAssets): Promise<Arena> {
  const worker = new Worker(new URL("./python.ts", import.meta.url), { type: "module" });
  let alive = true;
  let last: LastWords = { tests: [], loaded: false };
  let waiting: { resolve(message: FromArena): void; reject(error: Error): void } | null = null;

  function kill() {
    alive = false;
    worker.terminate();
    fail("ended", "the Python worker was ended");
  }
  function fail(reason: "timeout" | "ended", detail: string) {
    waiting?.reject(new ArenaDied(reason, detail, last));
  }
  function next(timeoutMs: number): Promise<FromArena> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        fail("timeout", `no answer within ${timeoutMs} ms`);
        kill();
      }, timeoutMs);
      const settle = <T>(then: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        waiting = null;
        then(value);
      };
      waiting = { resolve: settle(resolve), reject: settle(reject) };
    });
  }
  worker.onmessage = ({ data: message }: MessageEvent<FromArena>) => {
    if (message.kind !== "progress") waiting?.resolve(message);
    else hear(last, message);
  };
  worker.onerror = (event) => {
    alive = false;
    fail("ended", `the Python worker failed: ${event.message}`);
  };

  const ready = next(bootTimeoutMs);
  worker.postMessage(assets);
  const message = await ready;
  if (message.kind !== "ready") {
    kill();
    throw new Error(`Cannot start Python: ${message.kind === "failed" ? message.message : `it said ${message.kind}`}`);
  }
  if (message.image) assets.image = message.image;
  return {
    async request(request: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
      if (!alive) throw new ArenaDied("ended", "the Python worker has ended");
      if (waiting) throw new Error("an arena takes one request at a time");
      last = { tests: [], loaded: false };
      const reply = next(timeoutMs);
      worker.postMessage(request);
      return await reply as ArenaReply;
    },
    kill,
    get alive() {
      return alive;
    },
  };
}
