import { describe, expect, test } from "vitest";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();

// The attempts to get out or to cheat are in escapes.test.ts.
describe("a program in the sandbox", () => {
  test("does not get through by printing a whole result and hanging", async () => {
    // An arena that is killed leaves its last words behind, and those are the program's to speak too.
    const program = `import json, os
def f(x):
  try: word = json.load(open('/run/in'))['nonce']
  except Exception: word = ''
  result = {'id': 'f', 'verdict': 'pass', 'passed': True, 'tests': [], 'infra': False}
  for prefix in (word, ''):
    for body in ({'result': result}, {'test': {'index': 0, 'outcome': 'PASS', 'verdict': 'pass'}}):
      for number in [*range(1, 41), 1000]:
        try: os.write(number, (prefix + json.dumps(body) + '\\n').encode())
        except OSError: pass
  sum(range(10**12))
`;
    const limits = { wallMsPerProgram: 3000 };
    const result = await pool.run(asserts(program, "f", ["assert f(5) == 5"], { limits }));
    expect(result).toMatchObject({ passed: false, verdict: "timeout", infra: false, testsPassed: 0 });
    const next = await pool.run(asserts("def f(x):\n  return x\n", "f", ["assert f(5) == 5"]));
    expect(next.passed, "the next program is unaffected").toBe(true);
  });

  test("leaves nothing behind: builtins, modules, files, random state", async () => {
    const probe = asserts(
      "import random, math, os, sys\ndef f(x):\n  return [len('ab'), math.sqrt(4), os.listdir('/tmp'), random.random(), sys.getrecursionlimit()]\n",
      "f",
      ["assert f(5) == 5"],
    );
    const before = await pool.run(probe);
    await pool.run(asserts(
      "import builtins, math, random, sys\nbuiltins.len = math.sqrt = lambda *a: 9\nrandom.seed(5)\n" +
        "sys.setrecursionlimit(5000)\nopen('/tmp/left', 'w').write('x')\ndef f(x):\n  return 5\n",
      "f",
      ["assert f(5) == 5"],
    ));
    const after = await pool.run(probe);
    expect(before.tests[0].actual).toMatch(/^\[2, 2\.0, \[\], 0\.\d+, 1010\]$/);
    expect(after.tests[0].actual).toBe(before.tests[0].actual);
  });
});

describe("the arena process", () => {
  test("has no permission for anything", async () => {
    // The same flags as the arena, on a module that asks.
    const source = `
      const names = ["read", "write", "net", "env", "run", "ffi", "sys"];
      const states = names.map((name) => Deno.permissions.querySync({ name }).state);
      const tries = [];
      for (const url of ["https://example.invalid/x.ts", "npm:left-pad@1.3.0", "file:///etc/hostname"]) {
        tries.push(await import(url).then(() => "loaded", () => "refused"));
      }
      console.log(JSON.stringify([states, tries]));`;
    const { arenaFlags } = await import("../../src/host/deno_arena.ts");
    const path = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(path, source);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: [...arenaFlags, path] }).output();
    await Deno.remove(path);
    const [states, tries] = JSON.parse(new TextDecoder().decode(stdout) || new TextDecoder().decode(stderr));
    expect(new Set(states)).toEqual(new Set(["prompt"])); // not granted, and --no-prompt turns asking into a refusal
    expect(tries).toEqual(["refused", "refused", "refused"]);
  });
});
