import { expect, test } from "vitest";
import { browserConfig, isBrowserClean } from "../../tools/check.ts";

async function checkOf(source: string): Promise<{ success: boolean; text: string }> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, source);
  const args = ["check", "--quiet", "--config", browserConfig(), path];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } }).output();
  await Deno.remove(path);
  return { success, text: new TextDecoder().decode(stderr) };
}

test("the browser-clean check knows WebGPU and the DOM, and refuses Deno", async () => {
  const clean = await checkOf("export const page: [Document, GPU] = [document, navigator.gpu];");
  expect(clean.text).toBe("");
  expect(clean.success).toBe(true);
  const dirty = await checkOf("export const files = Deno.readDirSync('.');");
  expect(dirty.success).toBe(false);
  expect(dirty.text).toContain("Cannot find name 'Deno'");
});

test("only the command line and files named deno*.ts are left out of it", () => {
  const paths = ["src/plan/plan.ts", "workers/python.ts", "src/host/host.ts", "src/host/denominator/x.ts"];
  expect(paths.filter(isBrowserClean)).toEqual(paths);
  expect(["src/cli/setup.ts", "src/host/deno.ts", "src/host/deno_arena.ts"].filter(isBrowserClean)).toEqual([]);
});
