// Arenas for a browser tab: each is a Web Worker running workers/python.ts. A tab can end a busy worker, so terminate()
// is the kill here.

import type { Arena, ArenaReply, ArenaRequest } from "../src/trace/schema.ts";
import { newAnswers } from "./answers.ts";
import { type ArenaAssets, ArenaDied, type FromArena } from "./messages.ts";

const bootTimeoutMs = 60_000;

/**
 * Starts one interpreter; resolves when it is ready. The first boot of a page puts its heap image into `assets`, so hand
 * the same object to the next call.
 */
export async function spawnWorkerArena(assets: ArenaAssets): Promise<Arena> {
  const worker = new Worker(new URL("./python.ts", import.meta.url), { type: "module" });
  let alive = true;
  const answers = newAnswers(kill);

  function kill() {
    alive = false;
    worker.terminate();
    answers.fail("ended", "the Python worker was ended");
  }
  worker.onmessage = ({ data }: MessageEvent<FromArena>) => answers.receive(data);
  worker.onerror = (event) => {
    alive = false;
    answers.fail("ended", `the Python worker failed: ${event.message}`);
  };

  const ready = answers.ready(bootTimeoutMs);
  worker.postMessage(assets);
  const message = await ready;
  if (message.image) assets.image = message.image;
  return {
    async request(request: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
      if (!alive) throw new ArenaDied("ended", "the Python worker has ended");
      const reply = answers.next(timeoutMs);
      worker.postMessage(request);
      return await reply as ArenaReply;
    },
    kill,
    get alive() {
      return alive;
    },
  };
}
