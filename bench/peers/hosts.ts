/** Where contestants run, each time in a process of its own: Deno on its adapter, Chromium on SwiftShader, or PyTorch. */
import { chromium } from "playwright";
import { ensureChromium } from "../../src/cli/setup.ts";
import type { PeerJob } from "./contestant.ts";
import { bundleContestant } from "./packages.ts";
import type { PeerRun, ShapeName } from "./workload.ts";

export type Host = "deno" | "chromium";

const here = (name: string) => new URL(name, import.meta.url).pathname;

/** Runs one contestant. Errors carry what the process said. */
export function runOn(host: Host, job: PeerJob): Promise<PeerRun> {
  return host === "deno" ? runInDeno(job) : runInChromium(job);
}

function runInDeno({ bundle, backend, shape, steps }: PeerJob): Promise<PeerRun> {
  // --no-config: the bundles hold all they import, and deno.lock has no business with them.
  const args = ["run", "--no-prompt", "-A", "--no-config", here("child.ts"), bundle, backend, shape, `${steps}`];
  return jsonOf(Deno.execPath(), args);
}

async function jsonOf(command: string, args: string[]): Promise<PeerRun> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`${[command, ...args].join(" ")}: ${decode(stderr)}`);
  return JSON.parse(decode(stdout).split("\n").at(-1)!);
}

/** PyTorch's eager CPU run on two threads; null where no Python with torch is on PATH or in /usr/bin. */
export async function runTorch(shape: ShapeName, steps: number): Promise<PeerRun | null> {
  for (const python of ["/usr/bin/python3", "python3"]) {
    try {
      const probe = await new Deno.Command(python, { args: ["-c", "import torch"], stderr: "null" }).output();
      if (probe.success) return await jsonOf(python, [here("torch_gpt.py"), "--shape", shape, "--steps", `${steps}`]);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** A browser and a server for one run. The page is cross-origin isolated: precise clocks, and threads for wasm. */
async function runInChromium(job: PeerJob): Promise<PeerRun> {
  const scripts = new Map([
    ["/harness.js", await Deno.readTextFile(await bundleContestant("contestant.ts"))],
    ["/contestant.js", await Deno.readTextFile(job.bundle)],
  ]);
  const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  const server = Deno.serve({ port: 0, hostname: "localhost", onListen: () => {} }, ({ url }) => {
    const script = scripts.get(new URL(url).pathname);
    const type = script ? "text/javascript" : "text/html";
    return new Response(script ?? "<!doctype html><title>peers</title>", {
      headers: { ...headers, "Content-Type": type },
    });
  });
  const browser = await chromium.launch({
    executablePath: await ensureChromium(),
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
  });
  try {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => message.type() === "error" && said.push(message.text()));
    page.on("crash", () => said.push("the page crashed"));
    await page.goto(`http://localhost:${server.addr.port}/`);
    try {
      return await page.evaluate(async ({ backend, shape, steps }) => {
        const load = (path: string) => import(path);
        const [harness, contestant] = await Promise.all([load("/harness.js"), load("/contestant.js")]);
        return harness.runContestant(contestant, backend, shape, steps);
      }, job);
    } catch (error) {
      throw new Error([(error as Error).message, ...said].join("\n"));
    }
  } finally {
    await browser.close();
    await server.shutdown();
  }
}
