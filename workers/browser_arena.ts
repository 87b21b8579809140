// Arenas for a browser tab: each is a Web Worker inside a sandboxed frame, running workers/python.ts. A tab can end a busy
// worker by removing its frame, so that is the kill here.

import type { Arena, ArenaReply, ArenaRequest } from "../src/trace/schema.ts";
import { newAnswers } from "./answers.ts";
import { type ArenaAssets, ArenaDied, type FromArena } from "./messages.ts";
import { openSandbox } from "./sandbox.ts";
import workerSource from "./sandbox_worker.ts?bundle" with { type: "text" };

const bootTimeoutMs = 60_000;

/**
 * Starts one interpreter; resolves when it is ready. The first boot of a page puts its heap image into `assets`, so hand
 * the same object to the next call. Needs a document, so it is for the page and not for one of its workers.
 */
export async function spawnWorkerArena(assets: ArenaAssets): Promise<Arena> {
  let alive = true;
  const answers = newAnswers(() => end("the Python worker was ended"));
  const sandbox = openSandbox(workerSource, {
    // Whatever is in a message, it is data: nothing of it is evaluated.
    said: (message) => answers.receive(message as FromArena),
    broken: (detail) => end(`the Python worker failed: ${detail}`),
  });

  function end(detail: string) {
    alive = false;
    sandbox.close();
    answers.fail("ended", detail);
  }

  // Bytes, not a compiled module: that cannot be sent to another agent cluster.
  const ready = answers.ready(bootTimeoutMs);
  sandbox.post(assets);
  const message = await ready;
  if (message.image) assets.image = message.image;
  return {
    async request(request: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
      if (!alive) throw new ArenaDied("ended", "the Python worker has ended");
      const reply = answers.next(timeoutMs);
      sandbox.post(request);
      return await reply as ArenaReply;
    },
    kill: () => end("the Python worker was ended"),
    get alive() {
      return alive;
    },
  };
}
