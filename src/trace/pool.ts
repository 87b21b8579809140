// A queue of programs in front of a few arenas. The pool owns the clock: an arena that does not answer in time is
// killed and replaced, and the next program never notices.

import {
  type Arena,
  ArenaDied,
  type ArenaReply,
  type ArenaRequest,
  defaultLimits,
  type Limits,
  type ProgramJob,
  type ProgramResult,
} from "./schema.ts";
import { infraResult, stoppedProgram } from "./verdict.ts";

export interface Pool {
  /** Judges one program. Never rejects for what the program does; a failure of the machinery gives `infra: true`. */
  run(job: ProgramJob): Promise<ProgramResult>;
  /**
   * Runs trusted Python text, isolated all the same: executes `source`, calls its `main(input)` with the JSON value and
   * gives back the JSON value it returns. Rejects with Python's error text. `timeoutMs` is 60,000 if missing.
   */
  script(source: string, input: unknown, timeoutMs?: number): Promise<unknown>;
  /** Ends all interpreters; what is queued or running rejects (scripts) or comes back with `infra: true` (programs). */
  close(): void;
}

interface Task {
  work(arena: Arena): Promise<ArenaReply>;
  resolve(reply: ArenaReply): void;
  reject(error: unknown): void;
}

/**
 * @param spawn starts one arena
 * @param options `size`: how many work at once, 1 if missing. `spares`: how many more stand ready, once all work and more
 *   is queued, to take the place of one that had to be killed; 1 if missing. `limits`: in place of the defaults
 */
export function createPool(
  spawn: () => Promise<Arena>,
  options: { size?: number; spares?: number; limits?: Partial<Limits> } = {},
): Pool {
  const size = options.size ?? 1;
  let spares = options.spares ?? 1;
  const queue: Task[] = [];
  const idle: Arena[] = [];
  const all = new Set<Arena>();
  let starting = 0;
  let busy = 0;
  let closed = false;

  function ask(request: ArenaRequest, timeoutMs: number): Promise<ArenaReply> {
    if (closed) return Promise.reject(new Error("the Python pool is closed"));
    return new Promise((resolve, reject) => {
      queue.push({ work: (arena) => arena.request(request, timeoutMs), resolve, reject });
      pump();
    });
  }

  function pump() {
    for (const arena of all) if (!arena.alive) all.delete(arena); // one may have ended while nobody used it
    idle.splice(0, idle.length, ...idle.filter((arena) => arena.alive));
    while (queue.length > 0 && idle.length > 0 && busy < size) void serve(idle.pop()!, queue.shift()!);
    const spare = all.size >= size && queue.length > 0 ? spares : 0;
    while (starting + busy + idle.length < Math.min(size, busy + queue.length) + spare) void start();
  }

  async function start() {
    starting++;
    try {
      const arena = await spawn();
      if (closed) return arena.kill();
      all.add(arena);
      idle.push(arena);
    } catch (error) {
      // Without a spare one can live. No interpreter means no answer for anybody: say so instead of trying for ever.
      if (all.size > 0) spares = 0;
      else for (const task of queue.splice(0)) task.reject(error);
    } finally {
      starting--;
      pump();
    }
  }

  async function serve(arena: Arena, task: Task) {
    busy++;
    try {
      const reply = await task.work(arena);
      if (reply.recycle) arena.kill();
      task.resolve(reply);
    } catch (error) {
      arena.kill();
      task.reject(error);
    } finally {
      busy--;
      if (arena.alive && !closed) idle.push(arena);
      else all.delete(arena);
      pump();
    }
  }

  return {
    async run(job) {
      const start = performance.now();
      const elapsed = () => performance.now() - start;
      const limits = { ...defaultLimits, ...options.limits, ...job.limits };
      try {
        const reply = await ask({ kind: "run", job, limits }, limits.wallMsPerProgram);
        if (reply.kind === "result") return reply.result;
        return infraResult(job.id, reply.kind === "error" ? reply.message : "unexpected answer", elapsed());
      } catch (error) {
        if (!(error instanceof ArenaDied) || closed) {
          return infraResult(job.id, error instanceof Error ? error.message : String(error), elapsed());
        }
        const { tests, loaded, result } = error.last;
        if (result) return { ...result, elapsedMs: elapsed() };
        const verdict = error.reason === "timeout" ? "timeout" : "crash";
        return stoppedProgram(job.id, verdict, error.message, tests, loaded, elapsed());
      }
    },
    async script(source, input, timeoutMs = 60_000) {
      const reply = await ask({ kind: "script", source, input }, timeoutMs);
      if (reply.kind === "value") return reply.value;
      throw new Error(reply.kind === "error" ? reply.message : "unexpected answer");
    },
    close() {
      closed = true;
      for (const arena of all) arena.kill();
      for (const task of queue.splice(0)) task.reject(new Error("the Python pool is closed"));
    },
  };
}
