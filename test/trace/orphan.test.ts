// Interpreters run in process groups of their own; these tests end the program in front of them in every rude way while
// the interpreter is in a loop of C code that never looks up. Processes are looked at through /proc, so on Linux only.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { spawnArena } from "../../src/host/deno_arena.ts";

const pids: number[] = [];
const folder = Deno.makeTempDirSync({ prefix: "etalon-orphan-" });
const program = `${folder}/endless.py`;
Deno.writeTextFileSync(program, "def f(n):\n  return sum(range(10 ** n))\n");

beforeAll(async () => (await spawnArena()).kill()); // afterwards the heap image is cached and a start is short
afterAll(() => Deno.removeSync(folder, { recursive: true }));
afterEach(() => {
  for (const pid of pids.splice(0)) if (look(pid)) Deno.kill(pid, "SIGKILL");
});

interface Process {
  parent: number;
  /** of CPU time */
  seconds: number;
}

/** Null when there is no such process, or it has ended and waits for its parent to notice. */
function look(pid: number | string): Process | null {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ");
    return fields[0] === "Z"
      ? null
      : { parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / 100 };
  } catch {
    return null;
  }
}

async function until<T>(what: string, find: () => T | null | undefined): Promise<T> {
  for (const start = performance.now(); performance.now() - start < 30_000;) {
    const found = find();
    if (found !== null && found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come`);
}

/** Starts `etalon trace` on the endless program; resolves with the interpreter's pid once that is deep in its loop. */
async function startTrace(): Promise<{ parent: Deno.ChildProcess; arena: number }> {
  const task: string = JSON.parse(Deno.readTextFileSync("deno.json")).tasks.etalon.command;
  const args = [...task.split(" ").slice(1), "trace", program, "--call", "f(13)"];
  const options = { args, stdin: "null", stdout: "null", stderr: "null", detached: true } as const;
  const parent = new Deno.Command(Deno.execPath(), options).spawn();
  pids.push(parent.pid);
  const arena = await until("the interpreter", () => {
    return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).find((pid) =>
      look(pid)?.parent === parent.pid
    );
  });
  pids.push(arena);
  // A start takes about 0.5 s of CPU time.
  await until("the loop", () => look(arena)!.seconds > 2.5 || null);
  return { parent, arena };
}

describe.skipIf(Deno.build.os !== "linux")("an interpreter in an endless loop", () => {
  test.each<Deno.Signal>(["SIGINT", "SIGTERM", "SIGKILL"])("ends when etalon trace is ended by %s", async (signal) => {
    const { parent, arena } = await startTrace();
    parent.kill(signal);
    expect((await parent.status).signal).toBe(signal);
    await until("the interpreter's end", () => look(arena) === null || null);
  });
});

test.skipIf(Deno.build.os !== "linux")("an idle interpreter ends with its program too", async () => {
  const source = `import { spawnArena } from ${
    JSON.stringify(new URL("../../src/host/deno_arena.ts", import.meta.url))
  };
    console.log((await spawnArena()).child.pid);
    setTimeout(() => {}, 60_000);`;
  const parent = new Deno.Command(Deno.execPath(), { args: ["eval", source], stdin: "null", stdout: "piped" }).spawn();
  pids.push(parent.pid);
  const { value } = await parent.stdout.getReader().read();
  const arena = Number(new TextDecoder().decode(value));
  expect(look(arena)?.parent).toBe(parent.pid);
  parent.kill("SIGKILL");
  await until("the interpreter's end", () => look(arena) === null || null);
});
