// The inside of an arena: boots the interpreter from the assets it is sent, then answers requests one by one. As the
// entry of a Web Worker it talks through postMessage; in Deno src/host/deno_arena_child.ts gives it standard input and
// output instead.

import { bootInterpreter } from "../src/trace/interpreter.ts";
import { type Interpreters, runProgram, runScript, runSelfTest } from "../src/trace/arena.ts";
import type { ArenaAssets, FromArena, ToArena } from "./messages.ts";

/** Boots and returns the function that answers requests. Progress goes to `send` while a program runs. */
export async function openArena(
  assets: ArenaAssets,
  send: (message: FromArena) => void,
): Promise<((request: ToArena) => Promise<void>) | null> {
  const start = performance.now();
  let interpreters: Interpreters;
  let image: Uint8Array<ArrayBuffer>;
  try {
    // One that had to make the image is not used: its file system is another than that of all later ones.
    image = assets.image ?? (await bootInterpreter(assets)).image;
    interpreters = {
      program: await bootInterpreter({ ...assets, image }),
      judge: await bootInterpreter({ ...assets, image }),
    };
  } catch (error) {
    send({ kind: "failed", message: errorText(error) });
    return null;
  }
  const bootMs = performance.now() - start;
  send(assets.image ? { kind: "ready", bootMs } : { kind: "ready", bootMs, image });
  return async (request) => {
    if (request.kind === "run") {
      send(runProgram(interpreters, request.job, request.limits, send));
      interpreters.program.rewind(); // while the answer is on its way
    } else if (request.kind === "script") send(runScript(interpreters, request.source, request.input));
    else send(await runSelfTest(interpreters));
  };
}

/** Emscripten throws objects of its own. */
function errorText(error: unknown): string {
  if (error instanceof Error) return error.message;
  const { name, errno } = error as { name?: string; errno?: number };
  return name ? `${name} ${errno ?? ""}`.trim() : String(error);
}

declare const DedicatedWorkerGlobalScope: { new (): unknown; prototype: unknown } | undefined;

if (typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope) {
  const send = (message: FromArena) => postMessage(message);
  let answer: ((request: ToArena) => Promise<void>) | null = null;
  addEventListener("message", async (event: MessageEvent<ArenaAssets | ToArena>) => {
    if ("wasm" in event.data) answer = await openArena(event.data, send);
    else await answer?.(event.data);
  });
}
