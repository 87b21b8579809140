// Who may import whom (the table in README.md). The graph is Deno's own: `deno info --json` on a file that imports every
// TypeScript file of the tree.
import { walk } from "./walk.ts";

export interface Edge {
  from: string;
  to: string; // a path in this repository, or `npm:name`, or `node:name`
  typeOnly: boolean;
}

interface Rule {
  /** Whole files may be imported from here. */
  code: string[];
  /** Only types may be imported from here. */
  types: string[];
  /** npm packages and `node:` modules; `*` is any. */
  packages: string[];
}

const shaped = ["src/data", "src/files", "src/trace", "src/eval", "src/store"];
const engine = ["src/plan", "kernels", "src/model", "src/loss", "src/optim"];

/** The first rule whose folder or file holds the importing file decides (`*` ends a prefix). A folder may always import itself. */
export const rules: [string, Rule][] = [
  ["src/plan", { code: [], types: [], packages: [] }],
  ["kernels", { code: ["src/plan", "wgsl"], types: [], packages: [] }],
  ["src/model", { code: ["src/plan", "kernels"], types: ["src/loss", "src/optim"], packages: [] }],
  ["src/loss", { code: ["src/plan", "kernels"], types: ["src/model", "src/optim"], packages: [] }],
  ["src/optim", { code: ["src/plan", "kernels"], types: ["src/model", "src/loss"], packages: [] }],
  // Plain functions flow one way: files and trace, then data, then eval.
  ["src/data", {
    code: ["src/files", "src/trace"],
    types: [...shaped, "src/host/host.ts"],
    packages: ["npm:@huggingface/tokenizers"],
  }],
  ["src/files", {
    code: [],
    types: [...shaped, "src/host/host.ts"],
    packages: ["npm:hyparquet", "npm:hyparquet-writer"],
  }],
  ["src/trace", { code: [], types: [...shaped, "src/host/host.ts", "workers/messages.ts"], packages: ["npm:pyodide"] }],
  ["src/eval", { code: ["src/data"], types: [...shaped, "src/host/host.ts"], packages: [] }],
  // A pair's row is what a recipe made of two samples: its form is the recipe's.
  ["src/store", {
    code: ["src/files", "src/trace", "src/data", "src/eval"],
    types: [...shaped, "src/host/host.ts", "src/recipes/preferences.ts"],
    packages: [],
  }],
  ["src/recipes", { code: [...engine, ...shaped], types: ["src/host/host.ts"], packages: [] }],
  ["src/mod.ts", { code: [...engine, ...shaped, "src/recipes"], types: ["src/host/host.ts"], packages: [] }],
  // The Deno side of the port starts arenas and runs the inside of one.
  ["src/host/deno*", { code: ["src/host", "workers"], types: shaped, packages: ["*"] }],
  ["src/host", { code: [], types: [...shaped, "workers/messages.ts"], packages: ["npm:@sqlite.org/sqlite-wasm"] }],
  ["src/cli", { code: ["src/mod.ts", "src/host", "workers/messages.ts"], types: [], packages: ["*"] }],
  ["web", { code: ["src/mod.ts", "src/host", "workers/messages.ts"], types: [], packages: ["*"] }],
  // An arena is a process of its own per sandbox: it takes src/trace directly and not the whole API.
  ["workers", { code: ["src/mod.ts", "src/host", "src/trace"], types: ["src/store/database.ts"], packages: ["*"] }],
  // Nothing above may import these, so they are free.
  ["bench", { code: ["*"], types: [], packages: ["*"] }],
  ["tools", { code: ["*"], types: [], packages: ["*"] }],
];

const folders = ["src", "kernels", "workers", "web", "bench", "tools"];

/** Every import between files of this repository and out of it, from the folders the rules speak of. */
export async function importEdges(): Promise<Edge[]> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  const root = `file://${Deno.cwd()}/`;
  const files = walk(folders, ".ts").filter((path) => !path.endsWith(".d.ts"));
  await Deno.writeTextFile(entry, files.map((path) => `import ${JSON.stringify(root + path)};`).join("\n"));
  const args = ["info", "--json", "--config", "deno.json", entry];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  await Deno.remove(entry);
  if (!success) throw new Error(`Cannot read the import graph: ${new TextDecoder().decode(stderr).trim()}`);

  const { modules }: { modules: Module[] } = JSON.parse(new TextDecoder().decode(stdout));
  const own = modules.filter((module) => module.specifier.startsWith(root));
  const broken = own.find((module) => module.error);
  if (broken) throw new Error(`Cannot read the import graph: ${broken.error}`);
  return own.flatMap((module) =>
    (module.dependencies ?? []).map((dependency) => ({
      from: module.specifier.slice(root.length),
      to: target(dependency, root),
      typeOnly: dependency.code === undefined,
    }))
  );
}

interface Module {
  specifier: string;
  error?: string;
  dependencies?: Dependency[];
}

interface Dependency {
  specifier: string;
  code?: { specifier?: string; error?: string };
  type?: { specifier?: string; error?: string };
}

function target(dependency: Dependency, root: string): string {
  const to = dependency.code?.specifier ?? dependency.type?.specifier ?? dependency.specifier;
  if (to.startsWith(root)) return to.slice(root.length);
  const npm = to.match(/^npm:\/?((?:@[^/@]+\/)?[^/@]+)/);
  return npm ? `npm:${npm[1]}` : to;
}

/** The rule for one file: undefined if no rule speaks of it. */
function ruleFor(path: string): [string, Rule] | undefined {
  return rules.find(([place]) => isIn(path, place));
}

function isIn(path: string, place: string): boolean {
  if (place.endsWith("*")) return path.startsWith(place.slice(0, -1));
  return path === place || path.startsWith(`${place}/`);
}

/** One line for every edge the rules do not allow. */
export function forbidden(edges: Edge[]): string[] {
  return edges.filter((edge) => !allowed(edge)).map(({ from, to, typeOnly }) =>
    `${from} imports ${typeOnly ? "a type of " : ""}${to}`
  );
}

function allowed({ from, to, typeOnly }: Edge): boolean {
  const found = ruleFor(from);
  if (!found) return false;
  const [place, rule] = found;
  if (/^(npm|node):/.test(to)) return rule.packages.some((name) => name === "*" || name === to);
  if (isIn(to, place) || rule.code.some((other) => isIn(to, other))) return true;
  return typeOnly && rule.types.some((other) => isIn(to, other));
}
