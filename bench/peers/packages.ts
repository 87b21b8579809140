/**
 * The other libraries, fetched at fixed versions when the peer bench first runs and kept out of the project's own deno.json
 * and deno.lock: nobody who trains or tests needs them. packages.json names them, packages.lock holds their hashes, and
 * both are copied beside the folder they are installed into.
 */
import { build } from "esbuild";

const folder = new URL("../../.cache/peers/", import.meta.url).pathname;
const source = (name: string) => new URL(name, import.meta.url).pathname;

/** Installs what packages.lock says, and nothing else. Throws with deno's own message if that cannot be done. */
export async function fetchPackages(): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.copyFile(source("packages.json"), `${folder}deno.json`);
  await Deno.copyFile(source("packages.lock"), `${folder}deno.lock`);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet", "--frozen"],
    cwd: folder,
  }).output();
  if (!success) throw new Error(`Cannot fetch the other libraries: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Makes one script of a contestant's module and all it imports, for Deno and for the page alike; gives its path. */
export async function bundleContestant(entry: string): Promise<string> {
  const outfile = `${folder}${entry.replace(/\.[jt]s$/, ".bundle.js")}`;
  await build({
    entryPoints: [source(entry)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2024",
    loader: { ".wgsl": "text" },
    nodePaths: [`${folder}node_modules`],
    logLevel: "error",
  });
  return outfile;
}
