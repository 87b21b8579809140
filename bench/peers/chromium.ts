/** Contestants in Chromium on SwiftShader, each run with a browser of its own. */
import { chromium } from "playwright";
import { ensureChromium } from "../../src/cli/setup.ts";
import type { PeerJob } from "./contestant.ts";
import { bundleContestant } from "./packages.ts";
import type { PeerRun } from "./workload.ts";

/** A browser and a server for one run. The page is cross-origin isolated: precise clocks, and threads for wasm. */
export async function runInChromium(job: PeerJob): Promise<PeerRun> {
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
