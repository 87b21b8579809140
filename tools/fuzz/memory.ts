// Resident memory of this process and of the interpreters it started, from /proc: zeros where there is none.

import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

export interface Memory {
  /** how many programs had been run */
  done: number;
  /** MB of the largest child process */
  largest: number;
  /** MB of this process */
  own: number;
}

export function memoryNow(done: number): Memory {
  const children = processes().filter(({ parent }) => parent === process.pid);
  const largest = Math.max(0, ...children.map(({ megabytes }) => megabytes));
  return { done, largest, own: Math.round(process.memoryUsage().rss / 1e6) };
}

function processes(): { parent: number; megabytes: number }[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        const field = (key: string) => Number(status.match(new RegExp(`^${key}:\\s+(\\d+)`, "m"))?.[1] ?? 0);
        return [{ parent: field("PPid"), megabytes: Math.round(field("VmRSS") / 1000) }];
      } catch {
        return []; // it has just ended
      }
    });
  } catch {
    return [];
  }
}

/** Medians early (the second fifth) and late (the last fifth); flat if the late ones are at most 30 % and 50 MB above. */
export function memoryTrend(samples: Memory[]) {
  const sorted = samples.toSorted((a, b) => a.done - b.done);
  const fifth = Math.ceil(sorted.length / 5);
  const early = sorted.slice(fifth, 2 * fifth);
  const late = sorted.slice(-fifth);
  const middle = (of: Memory[], key: "largest" | "own") =>
    of.map((one) => one[key]).sort((a, b) => a - b)[of.length >> 1] ?? 0;
  const trend = (key: "largest" | "own") => ({ earlyMb: middle(early, key), lateMb: middle(late, key) });
  const children = trend("largest");
  const own = trend("own");
  // Too few samples say nothing.
  const flat = sorted.length < 20 || [children, own].every(({ earlyMb, lateMb }) => lateMb <= earlyMb * 1.3 + 50);
  return { children, own, peakMb: Math.max(0, ...samples.map((one) => one.largest)), samples: samples.length, flat };
}
