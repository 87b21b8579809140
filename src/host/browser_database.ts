/** The page's side of workers/database.ts. Openers of one path share one connection: its files have room for no second. */
import type { FromDatabase, ToDatabase } from "../../workers/messages.ts";
import type { Database } from "../store/database.ts";
import { type Engine, locked, newTurns, type Turns } from "./locked.ts";

interface Shared {
  engine: Promise<Engine>;
  turns: Turns;
  openers: number;
}
const shared = new Map<string, Shared>();
/** Per path, the end of the last connection: the next one opens after it. */
const closing = new Map<string, Promise<void>>();

export async function openDatabase(path: string): Promise<Database> {
  const key = path.split("/").filter((part) => part !== "" && part !== ".").join("/");
  let entry = shared.get(key);
  if (!entry) {
    const engine = (closing.get(key) ?? Promise.resolve()).then(() => connect(key, path));
    shared.set(key, entry = { engine, turns: newTurns(), openers: 0 });
  }
  const mine = entry;
  mine.openers++;
  const leave = async (engine?: Engine) => {
    if (--mine.openers > 0) return;
    shared.delete(key);
    const end = Promise.resolve(engine?.close());
    closing.set(key, end.catch(() => {}));
    await end;
  };
  try {
    const engine = await mine.engine;
    return locked({ ...engine, close: () => leave(engine) }, mine.turns);
  } catch (error) {
    await leave();
    throw error;
  }
}

type Body = ToDatabase extends infer Each ? Each extends unknown ? Omit<Each, "id"> : never : never;
let ask: ((message: Body) => Promise<unknown>) | undefined;
let databases = 0;

async function connect(key: string, path: string): Promise<Engine> {
  ask ??= startWorker();
  const send = ask;
  const database = databases++;
  await send({ database, kind: "open", path: key }).catch((error: Error) => {
    throw new Error(error.message.replace(key, path));
  });
  return {
    run: async (sql, params) => void await send({ database, kind: "run", sql, params }),
    all: async (sql, params) => await send({ database, kind: "all", sql, params }) as unknown[],
    close: async () => void await send({ database, kind: "close" }),
  };
}

function startWorker(): (message: Body) => Promise<unknown> {
  const worker = new Worker(new URL("../../workers/database.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let sent = 0;
  worker.addEventListener("message", ({ data: { id, value, error } }: MessageEvent<FromDatabase>) => {
    const { resolve, reject } = waiting.get(id)!;
    waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  });
  worker.addEventListener("error", (event) => {
    for (const { reject } of waiting.values()) reject(new Error(`the database worker failed: ${event.message}`));
    waiting.clear();
    ask = undefined;
  });
  return (message) =>
    new Promise((resolve, reject) => {
      const id = sent++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...message, id });
    });
}
