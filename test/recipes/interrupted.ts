// Runs of a recipe that are stopped or cut off at random places and go on in what stands for a new process.
import { random } from "../kernels/check_op.ts";

/**
 * Pulls `process` until a random one of its first events and then leaves it (a crash: what is on the host stays, all
 * else is gone) or aborts its signal and pulls it to its end, until a run ends by itself. Returns how often each happened.
 */
export async function interrupted<E extends { type: string }>(
  process: (signal: AbortSignal) => AsyncGenerator<E>,
  seed: number,
  most = 3,
): Promise<{ crashes: number; stops: number }> {
  const next = random(seed);
  const count = { crashes: 0, stops: 0 };
  for (let n = 0; n < 60; n++) {
    const stop = new AbortController();
    const at = Math.floor(next() * most);
    const crash = next() < 0.5;
    let events = 0;
    let left = false;
    for await (const event of process(stop.signal)) {
      if (event.type === "stopped") left = true;
      if (events++ !== at) continue;
      if (crash) {
        left = true;
        count.crashes++;
        break;
      }
      stop.abort();
      count.stops++;
    }
    if (!left) return count;
  }
  throw new Error("Cannot finish: 60 interruptions");
}
