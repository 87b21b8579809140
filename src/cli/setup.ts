// What a bare machine lacks, installed on the spot: on a Debian-like Linux without a GPU driver Mesa's software driver
// gives WebGPU an adapter, and the tests need Chromium. Asks on a terminal, goes ahead as root or with CI=true, else
// names the exact line to type.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const DRIVER = "mesa-vulkan-drivers";
const RESTARTED = "ETALON_RESTARTED";
/** The same as tasks `train` and `etalon` in deno.json: what a restarted run may do. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-run",
  "--allow-sys",
];

/**
 * Returns once this process has a GPU adapter; to be called before anything else touches `navigator.gpu`. If the
 * driver had to be installed, this process cannot see it (its Vulkan instance is older than the driver), so the same
 * command runs again in a child and this process ends with the child's exit code.
 *
 * Throws `Cannot find a GPU adapter: …` with the line to type where nothing may be installed.
 */
export async function ensureAdapter(): Promise<void> {
  if (await adapterName() !== null) return;
  if (Deno.env.get(RESTARTED)) throw new Error(noAdapter(`${DRIVER} is installed, yet WebGPU finds no adapter`));
  await installDriver();
  Deno.exit(await restart());
}

/** The same from outside: a child process looks for the adapter, so it is found even right after an installation. */
export async function ensureAdapterForChildren(): Promise<string> {
  const before = await probeAdapter();
  if (before !== null) return before;
  await installDriver();
  const after = await probeAdapter();
  if (after === null) throw new Error(noAdapter(`${DRIVER} is installed, yet WebGPU finds no adapter`));
  return after;
}

/** Path of a Chromium for the browser tests, installed if there is none. */
export async function ensureChromium(): Promise<string> {
  const present = findChromium();
  if (present) return present;
  await aptInstall("chromium", "Cannot run the browser tests: no Chromium on PATH");
  const installed = findChromium();
  if (!installed) throw new Error("Cannot run the browser tests: package chromium is installed, yet none is on PATH");
  return installed;
}

/** Description of the adapter as the driver gives it, or null. */
export async function adapterName(): Promise<string | null> {
  quietVulkanLoader();
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return null;
  const { vendor, device, description } = adapter.info;
  return description || device || vendor || "unnamed adapter";
}

/** Without XDG_RUNTIME_DIR the Vulkan loader complains on stderr at every first requestAdapter(). */
export function quietVulkanLoader(): void {
  if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", Deno.env.get("TMPDIR") ?? "/tmp");
}

async function probeAdapter(): Promise<string | null> {
  quietVulkanLoader();
  const source = `import { adapterName } from ${JSON.stringify(import.meta.url)};
    const name = await adapterName();
    if (name !== null) console.log(name);`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", source], stderr: "inherit" }).output();
  return new TextDecoder().decode(stdout).trim() || null;
}

function findChromium(): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

async function installDriver(): Promise<void> {
  await aptInstall(DRIVER, noAdapter("this machine has no GPU driver that WebGPU can use"));
}

function noAdapter(why: string): string {
  return `Cannot find a GPU adapter: ${why}`;
}

/** Installs one Debian package, or throws `problem` with the line that would do it. */
async function aptInstall(name: string, problem: string): Promise<void> {
  if (Deno.build.os !== "linux" || !existsSync("/usr/bin/apt-get")) {
    throw new Error(`${problem}; on Debian and Ubuntu "apt-get install ${name}" provides it`);
  }
  const root = Deno.uid() === 0;
  const sudo = root ? "" : "sudo ";
  const line = `${sudo}apt-get update && ${sudo}apt-get install -y ${name}`;
  const unattended = root || Deno.env.get("CI") === "true";
  const terminal = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  if (!unattended && !(terminal && confirm(`${problem}. Run "${line}" now?`))) {
    throw new Error(`${problem}. To install one, run: ${line}`);
  }
  console.error(`${problem}. Running: ${line}`);
  // A fresh container has no package lists at all, so the lists come first; a failure there shows in the second step.
  await apt(root, unattended, name, ["update", "-qq"]);
  const code = await apt(root, unattended, name, ["install", "-y", "-qq", "--no-install-recommends", name]);
  if (code !== 0) throw new Error(`Cannot install ${name}: "${line}" ended with exit code ${code}`);
}

async function apt(root: boolean, unattended: boolean, name: string, args: string[]): Promise<number> {
  const sudo = root ? [] : unattended ? ["sudo", "-n"] : ["sudo"];
  const words = [...sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...args];
  try {
    // apt's own output goes to stderr: the last line of stdout belongs to --json
    const child = new Deno.Command(words[0], { args: words.slice(1), stdin: "inherit", stdout: "piped" }).spawn();
    for await (const chunk of child.stdout) await Deno.stderr.write(chunk);
    return (await child.status).code;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot run ${words[0]}: no such command. As root, run: apt-get update && apt-get install -y ${name}`,
    );
  }
}

/** Runs this very command in a child on the same terminal. Ctrl-C reaches the child too; its exit code decides. */
async function restart(): Promise<number> {
  const ignore = () => {};
  Deno.addSignalListener("SIGINT", ignore);
  const status = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...PERMISSIONS, Deno.mainModule, ...Deno.args],
    env: { [RESTARTED]: "1" },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  Deno.removeSignalListener("SIGINT", ignore);
  return status.code;
}
