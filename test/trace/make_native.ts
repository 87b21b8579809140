// Makes test/golden/traces/native_314.json: traces by a native CPython 3.14, of canonical solutions, failing model outputs and known bugs.
//
//   deno run -A test/trace/make_native.ts

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expandTrace, type WireTrace } from "../../src/trace/wire.ts";
import { comparable, digest, everyVersion, type NativeGolden, nativePrograms } from "./native.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const python = execFileSync("bash", [here("../../tools/native_python.sh")], { encoding: "utf8" }).trim();

function runPython<T>(args: string[], input: unknown): T {
  const options = { input: JSON.stringify(input), encoding: "utf8", maxBuffer: 1 << 30 } as const;
  return JSON.parse(execFileSync(python, args, { ...options, env: { PYTHONHASHSEED: "0" } }));
}

/** `count` of the names that `wanted` accepts, evenly spread. */
function spread(names: string[], wanted: (name: string) => boolean, count: number): string[] {
  const all = names.filter(wanted);
  return Array.from({ length: Math.min(count, all.length) }, (_, i) => all[Math.floor(i * all.length / count)]);
}

const programs = nativePrograms();
const names = [...programs.keys()];
const chosen = [
  ...spread(names, (name) => name.startsWith("humaneval") && name.endsWith("canonical"), 60),
  ...spread(names, (name) => name.startsWith("mbpp") && name.endsWith("canonical"), 60),
  ...spread(names, (name) => name.endsWith("buggy"), 30),
  ...spread(names, (name) => name.startsWith("candidate"), 90),
].map((name) => ({ name, ...programs.get(name)! }));
const calls = runPython<(string | null)[]>(
  [here("native_pick.py")],
  chosen.map(({ src, row }) => ({ src, entry: row.entry_point, kind: row.test_kind, tests: row.tests })),
);
const jobs = chosen.map(({ name, src }, i) => ({ name, src, call: calls[i]! })).filter(({ call }) => call !== null);
const traced = runPython<{ trace: WireTrace; stream: string[] }[]>(
  [here("native_driver.py"), here("../../src/trace")],
  jobs,
);

const golden: NativeGolden = {
  python: execFileSync(python, ["-c", "import platform; print(platform.python_version())"], { encoding: "utf8" })
    .trim(),
  programs: [],
  events: {},
};
traced.forEach(({ trace: wire, stream }, i) => {
  // Where the recursion limit is met depends on the frames of whoever calls the program.
  if (wire.truncated === "recursion") return;
  if (wire.events.length === 0) return; // it did not load
  const trace = expandTrace(wire);
  const lines = comparable(trace);
  const { name, call } = jobs[i];
  golden.programs.push([name, call, digest(lines), digest(everyVersion(lines)), digest(stream)]);
  const few = lines.length < 60 && Object.keys(golden.events).length < 10;
  if (few && golden.programs.length % 20 === 0) golden.events[name] = lines;
});
writeFileSync(here("../golden/traces/native_314.json"), JSON.stringify(golden, null, 1) + "\n");
console.log(`${golden.programs.length} programs, CPython ${golden.python}`);
