// The Python side of the trace engine as text, in the order in which the modules need each other.

import boot from "./boot.py" with { type: "text" };
import branches from "./branches.py" with { type: "text" };
import channel from "./channel.py" with { type: "text" };
import codec from "./codec.py" with { type: "text" };
import compare from "./compare.py" with { type: "text" };
import counter from "./counter.py" with { type: "text" };
import harness from "./harness.py" with { type: "text" };
import kinds from "./kinds.py" with { type: "text" };
import load from "./load.py" with { type: "text" };
import oracle from "./oracle.py" with { type: "text" };
import printed from "./printed.py" with { type: "text" };
import rows from "./rows.py" with { type: "text" };
import run from "./run.py" with { type: "text" };
import session from "./session.py" with { type: "text" };
import snapshot from "./snapshot.py" with { type: "text" };
import split from "./split.py" with { type: "text" };
import tracer from "./tracer.py" with { type: "text" };
import virtual_loop from "./virtual_loop.py" with { type: "text" };

export const bootSource: string = boot;
export const pythonSources: Record<string, string> = {
  snapshot,
  branches,
  counter,
  rows,
  tracer,
  virtual_loop,
  printed,
  channel,
  codec,
  load,
  session,
  oracle,
  compare,
  split,
  run,
  kinds,
  harness,
};

/** Names an image of the booted interpreter: another Pyodide or another line of ours makes another image. */
export async function imageKey(): Promise<string> {
  const text = JSON.stringify(["pyodide 314.0.7", "image 2", bootSource, pythonSources]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest).subarray(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
