// The asking side of an arena, the same for a process and for a Web Worker: one question at a time, each with a clock.

import type { LastWords } from "../src/trace/schema.ts";
import { ArenaDied, type FromArena, hear } from "./messages.ts";

export interface Answers {
  /** The next message that is no progress; after `timeoutMs` it rejects with `ArenaDied` and `end` is called. */
  next(timeoutMs: number): Promise<FromArena>;
  /** The first message of an arena; throws if the interpreter did not start. */
  ready(timeoutMs: number): Promise<FromArena & { kind: "ready" }>;
  receive(message: FromArena): void;
  /** Whoever waits gets `ArenaDied` with what the running program had reported. */
  fail(reason: "timeout" | "ended", detail: string): void;
}

/** @param end stops the interpreter, whatever it is doing; what it still says until `fail` counts */
export function newAnswers(end: () => void): Answers {
  let expired: string | null = null;
  let waiting: { resolve(message: FromArena): void; reject(error: Error): void } | null = null;
  let heard: string[] = [];

  function lastWords(): LastWords {
    const last: LastWords = { tests: [], loaded: false };
    for (const text of heard) hear(last, text);
    return last;
  }
  function fail(reason: "timeout" | "ended", detail: string) {
    const last = lastWords();
    waiting?.reject(expired ? new ArenaDied("timeout", expired, last) : new ArenaDied(reason, detail, last));
  }
  function next(timeoutMs: number): Promise<FromArena> {
    if (waiting) throw new Error("an arena takes one request at a time");
    heard = [];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        expired = `no answer within ${timeoutMs} ms`;
        end();
      }, timeoutMs);
      const settle = <T>(then: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        waiting = null;
        then(value);
      };
      waiting = { resolve: settle(resolve), reject: settle(reject) };
    });
  }
  async function ready(timeoutMs: number) {
    const message = await next(timeoutMs);
    if (message.kind === "ready") return message;
    end();
    throw new Error(`Cannot start Python: ${message.kind === "failed" ? message.message : `it said ${message.kind}`}`);
  }
  function receive(message: FromArena) {
    if (message.kind === "progress") heard.push(message.text);
    else if (!expired) waiting?.resolve(message);
  }
  return { next, ready, receive, fail };
}
