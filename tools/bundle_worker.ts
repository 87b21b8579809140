// Makes one classic script of a worker and everything it imports, for a realm where modules cannot be loaded. The tests and
// the build of the page use it as a plugin of vite: `import source from "./x.ts?bundle" with { type: "text" }`.
import { build } from "esbuild";
import type { Plugin } from "vite";

/** @param entry path of the worker's main module. Throws with esbuild's messages if it does not build. */
export async function bundleWorker(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2024",
    // Pyodide imports these only where it takes itself to be in Node.
    external: ["node:*", "ws"],
    // A classic script has no address of its own; Emscripten wants to take one apart all the same.
    define: { "import.meta.url": '"http://arena.invalid/worker.js"' },
    logLevel: "silent",
  });
  return outputFiles[0].text;
}

/** Lets vite answer an import of `file.ts?bundle` with the bundle's text. */
export function bundleImports(): Plugin {
  return {
    name: "etalon:bundle-imports",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith("?bundle")) return;
      const text = await bundleWorker(id.slice(0, -"?bundle".length));
      return { code: `export default ${JSON.stringify(text)};`, map: null };
    },
  };
}
