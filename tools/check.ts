// Type checks. First everything, with Deno's types; then what must run in a browser tab too, with the DOM library alone, so
// that a `Deno.` in there is an error.
import { walk } from "./walk.ts";

export interface Check {
  name: string;
  command: string[];
}

/** The checks of `deno task check`, and with them format and lint those of `deno task test`. */
export function typeChecks(): Check[] {
  const every = walk(["src", "kernels", "workers", "web", "bench", "tools", "test"], ".ts");
  const clean = walk(["src", "kernels", "workers", "web"], ".ts").filter(isBrowserClean);
  return [
    { name: "type check", command: ["check", "vitest.config.ts", ...every] },
    { name: "browser-clean type check", command: ["check", "--config", browserConfig(), ...clean] },
  ];
}

/**
 * Writes deno.json with another `lib` beside it and returns the path. Not a file of the repository: it would repeat every
 * version, and an `importMap` that points to deno.json does not know subpaths such as pyodide/pyodide.mjs.
 */
export function browserConfig(): string {
  const path = ".deno.browser.json";
  const config = JSON.parse(Deno.readTextFileSync("deno.json"));
  config.compilerOptions.lib = config.compilerOptions.lib.filter((name: string) => !name.startsWith("deno."));
  const text = JSON.stringify(config, null, 2) + "\n";
  // Written to the side and renamed: two checks at once see the old file or the new one, never half of it.
  Deno.writeTextFileSync(`${path}.${Deno.pid}`, text);
  Deno.renameSync(`${path}.${Deno.pid}`, path);
  return path;
}

export function styleChecks(): Check[] {
  return [
    { name: "format", command: ["fmt", "--check"] },
    { name: "lint", command: ["lint"] },
  ];
}

/** Runs one deno command on this terminal; true if it succeeded. */
export async function passes(check: Check): Promise<boolean> {
  console.log(`check: ${check.name}`);
  const child = new Deno.Command(Deno.execPath(), { args: [check.command[0], "--quiet", ...check.command.slice(1)] });
  return (await child.spawn().status).success;
}

/** Deno's own files are src/cli and those whose name starts with `deno` (src/host/deno.ts, deno_arena.ts). */
export function isBrowserClean(path: string): boolean {
  return !path.startsWith("src/cli/") && !/(^|\/)deno[^/]*\.ts$/.test(path);
}

if (import.meta.main) {
  let failed = 0;
  for (const check of typeChecks()) if (!await passes(check)) failed++;
  Deno.exit(failed === 0 ? 0 : 1);
}
