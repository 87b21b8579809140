// The inside of an arena: boots the interpreter from the assets it is sent, then answers requests one by one. As the
// entry of a Web Worker it talks through postMessage; in Deno src/host/deno_arena_child.ts gives it standard input and
// output instead.

import { bootInterpreter, type Interpreter } from "../src/trace/interpreter.ts";
import { runProgram, runScript } from "../src/trace/arena.ts";
import type { ArenaAssets, FromArena, ToArena } from "./messages.ts";

/** Boots and returns the function that answers requests. Progress goes to `send` while a program runs. */
export async function openArena(
  assets: ArenaAssets,
  send: (message: FromArena) => void,
): Promise<((request: ToArena) => void) | null> {
  const start = performance.now();
  let interpreter: Interpreter & { image: Uint8Array<ArrayBuffer> };
  try {
    interpreter = await bootInterpreter(assets);
  } catch (error) {
    send({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    return null;
  }
  const bootMs = performance.now() - start;
  send(assets.image ? { kind: "ready", bootMs } : { kind: "ready", bootMs, image: interpreter.image });
  return (request) => {
    const reply = request.kind === "run"
      ? runProgram(interpreter, request.job, request.limits, send)
      : runScript(interpreter, request.source, request.input);
    send(reply);
  };
}

declare const DedicatedWorkerGlobalScope: { new (): unknown; prototype: unknown } | undefined;

if (typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope) {
  const send = (message: FromArena) => postMessage(message);
  let answer: ((request: ToArena) => void) | null = null;
  addEventListener("message", async (event: MessageEvent<ArenaAssets | ToArena>) => {
    if ("wasm" in event.data) answer = await openArena(event.data, send);
    else answer?.(event.data);
  });
}
