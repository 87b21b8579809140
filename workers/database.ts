/// <reference lib="webworker" />
// SQLite for a page: the files it needs can be opened in a dedicated worker alone. One worker serves all databases of a page.
import type { Engine } from "../src/host/locked.ts";
import { opfsEngine } from "../src/host/sqlite_wasm.ts";
import type { FromDatabase, ToDatabase } from "./messages.ts";

const engines = new Map<number, Engine>();

self.addEventListener("message", async ({ data }: MessageEvent<ToDatabase>) => {
  let reply: FromDatabase;
  try {
    reply = { id: data.id, value: await answer(data) };
  } catch (error) {
    reply = { id: data.id, error: error instanceof Error ? error.message : String(error) };
  }
  self.postMessage(reply);
});

async function answer(message: ToDatabase): Promise<unknown> {
  if (message.kind === "open") {
    engines.set(message.database, await opfsEngine(message.path));
    return null;
  }
  const engine = engines.get(message.database)!;
  if (message.kind === "all") return await engine.all(message.sql, message.params);
  if (message.kind === "run") return await engine.run(message.sql, message.params);
  engines.delete(message.database);
  return await engine.close();
}
