// Three projects run the same kernel tests: `deno` (naga on the machine's Vulkan driver), `narrow` (the same with subgroups of
// half as many lanes) and `browser` (Tint on Chromium's SwiftShader). Start one with `deno run -A npm:vitest@5.1.1 run --project deno test/plan`.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { playwright } from "@vitest/browser-playwright";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { bundleImports } from "./tools/bundle_worker.ts";

/** `import code from "./x.wgsl" with { type: "text" }` works in Deno and esbuild as it is; vite needs this. */
function textImports(): Plugin {
  return {
    name: "etalon:text-imports",
    enforce: "pre",
    transform: (code, id) =>
      /\.(wgsl|py)(\?|$)/.test(id) ? { code: `export default ${JSON.stringify(code)};`, map: null } : undefined,
  };
}

/** Writes down what is asked of /canary, and answers /canary/list with it: a way out of the sandbox would show there. */
function canary(): Plugin {
  const asked: string[] = [];
  return {
    name: "etalon:canary",
    configureServer(server) {
      server.httpServer?.on("upgrade", ({ url }) => {
        if (url?.startsWith("/canary/")) asked.push(url.slice("/canary".length));
      });
      server.middlewares.use("/canary", ({ url = "" }, response) => {
        response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
        response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
        if (url.endsWith(".js")) response.setHeader("Content-Type", "text/javascript");
        if (url === "/list") return response.end(JSON.stringify(asked));
        asked.push(url);
        response.end();
      });
    },
  };
}

/** The system's Chromium; undefined leaves the choice to playwright (its own download, where there is one). */
function chromiumPath(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

// SharedArrayBuffer and precise clocks need cross-origin isolation, on the page as on every worker script.
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [textImports()],
        test: {
          name: "deno",
          pool: "forks", // threads, vmThreads and vmForks fail under Deno
          include: ["test/**/*.test.ts"],
          exclude: ["test/browser/**", "test/narrow/**"],
          setupFiles: ["test/setup_deno.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [textImports()],
        test: {
          name: "narrow",
          pool: "forks",
          include: [
            "test/narrow/**/*.test.ts",
            "test/kernels/**/*.test.ts",
            "test/model/gpt_golden.test.ts",
          ],
          setupFiles: ["test/setup_narrow.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [bundleImports(), textImports(), canary()],
        server: { headers: isolation },
        optimizeDeps: { exclude: ["@sqlite.org/sqlite-wasm"] }, // it finds its .wasm beside itself
        test: {
          name: "browser",
          include: [
            "test/browser/**/*.test.ts",
            "test/kernels/**/*.test.ts",
            "test/plan/**/*.test.ts",
            "test/model/gpt_golden.test.ts",
          ],
          // Many devices, each of which compiles everything again: minutes there, and about plans, not about shaders.
          exclude: ["test/plan/training.test.ts", "test/plan/memory_split.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: chromiumPath(),
                args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
                env: { ...process.env, TZ: "Asia/Kolkata" } as Record<string, string>, // so that a leak of it shows
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
    maxWorkers: 2, // each worker holds a GPU device; software drivers use every core anyway
  },
});
